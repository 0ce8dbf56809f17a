// RUN: structured-opt %s --structured-raise-attention | FileCheck %s

// The spellings of attention.

#td = affine_map<(t, l, d) -> (t, d)>
#ld = affine_map<(t, l, d) -> (l, d)>
#tl = affine_map<(t, l, d) -> (t, l)>
#lt = affine_map<(t, l, d) -> (l, t)>
#wv = affine_map<(t, e, l) -> (t, l)>
#lv = affine_map<(t, e, l) -> (l, t)>
#vv = affine_map<(t, e, l) -> (l, e)>
#ov = affine_map<(t, e, l) -> (t, e)>
#p = affine_map<(t, l) -> (t, l)>
#c = affine_map<(t, l) -> (l, t)>
#r = affine_map<(t, l) -> (t)>
#k = affine_map<(t, l) -> (l)>
#n = affine_map<(t, l) -> ()>

// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d2)>
// CHECK-DAG: #[[$K:.+]] = affine_map<(d0, d1, d2, d3) -> (d1, d2)>
// CHECK-DAG: #[[$V:.+]] = affine_map<(d0, d1, d2, d3) -> (d1, d3)>
// CHECK-DAG: #[[$O:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d3)>
// CHECK-DAG: #[[$HQ:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d3)>
// CHECK-DAG: #[[$HK:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d3, d2)>
// CHECK-DAG: #[[$HV:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d2, d4)>
// CHECK-DAG: #[[$HO:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d4)>
// CHECK-DAG: #[[$BQ:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d4)>
// CHECK-DAG: #[[$BK:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d3, d4)>
// CHECK-DAG: #[[$BV:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d3, d5)>
// CHECK-DAG: #[[$BO:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d5)>
// CHECK-DAG: #[[$SQ:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d1, d2, d0, d4)>
// CHECK-DAG: #[[$SK:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d0, d4)>
// CHECK-DAG: #[[$SV:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d5)>
// CHECK-DAG: #[[$SO:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2, d0, d1, d5)>

// No op between the product and the softmax.

// CHECK-LABEL: func @no_mask(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @no_mask(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x7xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xf32>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.divf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Products as linalg.matmul; maxnumf; the sum so far to the left.

// CHECK-LABEL: func @matmul(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @matmul(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.matmul indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>) outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x7xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maxnumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %out, %a : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xf32>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.divf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.matmul ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Products as linalg.generic; rounded weights; a result in f32.

// CHECK-LABEL: func @generics(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xbf16>, tensor<7x8xbf16>, tensor<7x6xbf16>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @generics(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>,
    %v: tensor<7x6xbf16>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.generic {indexing_maps = [#ld, #td, #tl], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%k, %q : tensor<7x8xbf16>, tensor<5x8xbf16>) outs(%s0 : tensor<5x7xf32>) {
  ^bb0(%a: bf16, %b: bf16, %out: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.extf %b : bf16 to f32
    %2 = arith.mulf %1, %0 : f32
    %3 = arith.addf %2, %out : f32
    linalg.yield %3 : f32
  } -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x7xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xbf16>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xbf16>) {
  ^bb0(%a: f32, %b: f32, %out: bf16):
    %0 = arith.divf %a, %b : f32
    %1 = arith.truncf %0 : f32 to bf16
    linalg.yield %1 : bf16
  } -> tensor<5x7xbf16>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.generic {indexing_maps = [#vv, #wv, #ov], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%v, %w : tensor<7x6xbf16>, tensor<5x7xbf16>) outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%a: bf16, %b: bf16, %out: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.extf %b : bf16 to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %out, %2 : f32
    linalg.yield %3 : f32
  } -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Scores in bf16, which the softmax extends.

// CHECK-LABEL: func @narrow_scores(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xbf16>, tensor<7x8xbf16>, tensor<7x6xbf16>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: index, %{{.+}}: index):
// CHECK-NEXT:      %[[narrow:.+]] = arith.truncf %[[score]] : f32 to bf16
// CHECK-NEXT:      %[[wide:.+]] = arith.extf %[[narrow]] : bf16 to f32
// CHECK-NEXT:      structured.yield %[[wide]] : f32
// CHECK-NEXT:    } -> tensor<5x6xbf16>
// CHECK-NEXT:    return %[[o]]
func.func @narrow_scores(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>,
    %v: tensor<7x6xbf16>) -> tensor<5x6xbf16> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %zero16 = arith.constant 0.0 : bf16
  %s0_e = tensor.empty() : tensor<5x7xbf16>
  %s0 = linalg.fill ins(%zero16 : bf16) outs(%s0_e : tensor<5x7xbf16>) -> tensor<5x7xbf16>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xbf16>, tensor<7x8xbf16>)
      outs(%s0 : tensor<5x7xbf16>) -> tensor<5x7xbf16>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x7xbf16>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: bf16, %out: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.maximumf %0, %out : f32
    linalg.yield %1 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xbf16>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: bf16, %b: f32, %out: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.subf %0, %b : f32
    %2 = math.exp %1 : f32
    linalg.yield %2 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xbf16>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xbf16>) {
  ^bb0(%a: f32, %b: f32, %out: bf16):
    %0 = arith.divf %a, %b : f32
    %1 = arith.truncf %0 : f32 to bf16
    linalg.yield %1 : bf16
  } -> tensor<5x7xbf16>
  %o0_e = tensor.empty() : tensor<5x6xbf16>
  %o0 = linalg.fill ins(%zero16 : bf16) outs(%o0_e : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xbf16>, tensor<7x6xbf16>)
      outs(%o0 : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  return %o : tensor<5x6xbf16>
}

// The maximum of scores in bf16, which is exact, in bf16.

// CHECK-LABEL: func @narrow_maximum(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xbf16>, tensor<7x8xbf16>, tensor<7x6xbf16>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: index, %{{.+}}: index):
// CHECK-NEXT:      %[[narrow:.+]] = arith.truncf %[[score]] : f32 to bf16
// CHECK-NEXT:      %[[wide:.+]] = arith.extf %[[narrow]] : bf16 to f32
// CHECK-NEXT:      structured.yield %[[wide]] : f32
// CHECK-NEXT:    } -> tensor<5x6xbf16>
// CHECK-NEXT:    return %[[o]]
func.func @narrow_maximum(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>,
    %v: tensor<7x6xbf16>) -> tensor<5x6xbf16> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %zero16 = arith.constant 0.0 : bf16
  %infinity16 = arith.constant 0xFF80 : bf16
  %s0_e = tensor.empty() : tensor<5x7xbf16>
  %s0 = linalg.fill ins(%zero16 : bf16) outs(%s0_e : tensor<5x7xbf16>) -> tensor<5x7xbf16>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xbf16>, tensor<7x8xbf16>)
      outs(%s0 : tensor<5x7xbf16>) -> tensor<5x7xbf16>
  %max0_e = tensor.empty() : tensor<5xbf16>
  %max0 = linalg.fill ins(%infinity16 : bf16) outs(%max0_e : tensor<5xbf16>) -> tensor<5xbf16>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x7xbf16>)
      outs(%max0 : tensor<5xbf16>) {
  ^bb0(%a: bf16, %out: bf16):
    %0 = arith.maximumf %a, %out : bf16
    linalg.yield %0 : bf16
  } -> tensor<5xbf16>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xbf16>, tensor<5xbf16>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: bf16, %b: bf16, %out: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.extf %b : bf16 to f32
    %2 = arith.subf %0, %1 : f32
    %3 = math.exp %2 : f32
    linalg.yield %3 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xbf16>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xbf16>) {
  ^bb0(%a: f32, %b: f32, %out: bf16):
    %0 = arith.divf %a, %b : f32
    %1 = arith.truncf %0 : f32 to bf16
    linalg.yield %1 : bf16
  } -> tensor<5x7xbf16>
  %o0_e = tensor.empty() : tensor<5x6xbf16>
  %o0 = linalg.fill ins(%zero16 : bf16) outs(%o0_e : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xbf16>, tensor<7x6xbf16>)
      outs(%o0 : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  return %o : tensor<5x6xbf16>
}

// A product with the reciprocal of the sum.

// CHECK-LABEL: func @reciprocal(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @reciprocal(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x7xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xf32>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.divf %one, %b : f32
    %1 = arith.mulf %0, %a : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// The reciprocals as an op of their own.

// CHECK-LABEL: func @reciprocals(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @reciprocals(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x7xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e1 = tensor.empty() : tensor<5xf32>
  %rec = linalg.generic {indexing_maps = [affine_map<(t) -> (t)>, affine_map<(t) -> (t)>], iterator_types = ["parallel"]}
      ins(%sum : tensor<5xf32>) outs(%e1 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.divf %one, %a : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xf32>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %rec : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Differences as an op of their own, and a sum that computes the exponentials
// itself.

// CHECK-LABEL: func @other_ops(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @other_ops(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x7xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %diff = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%diff : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = math.exp %a : f32
    %1 = arith.addf %0, %out : f32
    linalg.yield %1 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xf32>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%diff, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = math.exp %a : f32
    %1 = arith.divf %0, %b : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// The softmax in named ops.

// CHECK-LABEL: func @named_ops(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @named_ops(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.reduce { arith.maximumf } ins(%s : tensor<5x7xf32>) outs(%max0 : tensor<5xf32>) dimensions = [1]
  %maxima_e = tensor.empty() : tensor<5x7xf32>
  %maxima = linalg.broadcast ins(%max : tensor<5xf32>) outs(%maxima_e : tensor<5x7xf32>) dimensions = [1]
  %e = tensor.empty() : tensor<5x7xf32>
  %diff = linalg.sub ins(%s, %maxima : tensor<5x7xf32>, tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %exp = linalg.exp ins(%diff : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.reduce { arith.addf } ins(%exp : tensor<5x7xf32>) outs(%sum0 : tensor<5xf32>) dimensions = [1]
  %sums_e = tensor.empty() : tensor<5x7xf32>
  %sums = linalg.broadcast ins(%sum : tensor<5xf32>) outs(%sums_e : tensor<5x7xf32>) dimensions = [1]
  %w = linalg.div ins(%exp, %sums : tensor<5x7xf32>, tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Scores [l, t]; keys and values first.

// CHECK-LABEL: func @transposed(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xf32>
// CHECK-NEXT:    return %[[o]]
func.func @transposed(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<7x5xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<7x5xf32>) -> tensor<7x5xf32>
  %s = linalg.contract indexing_maps = [#ld, #td, #lt]
      ins(%k, %q : tensor<7x8xf32>, tensor<5x8xf32>)
      outs(%s0 : tensor<7x5xf32>) -> tensor<7x5xf32>
  %we = tensor.empty() : tensor<7x5xf32>
  %w = linalg.softmax dimension(0) ins(%s : tensor<7x5xf32>) outs(%we : tensor<7x5xf32>) -> tensor<7x5xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#vv, #lv, #ov]
      ins(%v, %w : tensor<7x6xf32>, tensor<7x5xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A softmax that is rounded after it.

// CHECK-LABEL: func @rounded_softmax(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xbf16>, tensor<7x8xbf16>, tensor<7x6xbf16>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    } -> tensor<5x6xbf16>
// CHECK-NEXT:    return %[[o]]
func.func @rounded_softmax(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>,
    %v: tensor<7x6xbf16>) -> tensor<5x6xbf16> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %zero16 = arith.constant 0.0 : bf16
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xbf16>, tensor<7x8xbf16>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %fe = tensor.empty() : tensor<5x7xf32>
  %f = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%fe : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e2 = tensor.empty() : tensor<5x7xbf16>
  %w = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%f : tensor<5x7xf32>)
      outs(%e2 : tensor<5x7xbf16>) {
  ^bb0(%a: f32, %out: bf16):
    %0 = arith.truncf %a : f32 to bf16
    linalg.yield %0 : bf16
  } -> tensor<5x7xbf16>
  %o0_e = tensor.empty() : tensor<5x6xbf16>
  %o0 = linalg.fill ins(%zero16 : bf16) outs(%o0_e : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xbf16>, tensor<7x6xbf16>)
      outs(%o0 : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  return %o : tensor<5x6xbf16>
}

// Several ops on the scores, also transposed: a factor that is a number, a
// distance, a mask.

// CHECK-LABEL: func @masks(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>, %[[slope:.+]]: f32, %[[mask:.+]]: tensor<7x5xi1>)
// CHECK-NOT:     linalg
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-DAG:       %[[scaled:.+]] = arith.mulf %[[score]], %[[slope]] : f32
// CHECK-DAG:       %[[seen:.+]] = tensor.extract %[[mask]][%[[l]], %[[t]]] : tensor<7x5xi1>
// CHECK-DAG:       %[[d:.+]] = arith.subi %[[t]], %[[l]] : index
// CHECK:           %[[i:.+]] = arith.index_cast %[[d]] : index to i32
// CHECK-NEXT:      %[[f:.+]] = arith.sitofp %[[i]] : i32 to f32
// CHECK-NEXT:      %[[biased:.+]] = arith.addf %[[scaled]], %[[f]] : f32
// CHECK-NEXT:      %[[masked:.+]] = arith.select %[[seen]], %[[biased]], %{{.+}} : f32
// CHECK-NEXT:      structured.yield %[[masked]] : f32
func.func @masks(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>, %slope: f32, %mask: tensor<7x5xi1>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<7x5xf32>
  %m0 = linalg.generic {indexing_maps = [#p, #n, #c], iterator_types = ["parallel", "parallel"]}
      ins(%s, %slope : tensor<5x7xf32>, f32)
      outs(%me : tensor<7x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.mulf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<7x5xf32>
  %ne = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p, #c], iterator_types = ["parallel", "parallel"]}
      ins(%m0, %mask : tensor<7x5xf32>, tensor<7x5xi1>)
      outs(%ne : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: i1, %out: f32):
    %l = linalg.index 0 : index
    %t = linalg.index 1 : index
    %d = arith.subi %t, %l : index
    %i = arith.index_cast %d : index to i32
    %f = arith.sitofp %i : i32 to f32
    %0 = arith.addf %a, %f : f32
    %1 = arith.select %b, %0, %infinity : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%m : tensor<5x7xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%m, %max : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xf32>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.divf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A bias that is a product too: the first product that fits gives the scores.

// CHECK-LABEL: func @bias_product(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<{{[^>]+}}>, %[[k:[^ ]+]]: tensor<{{[^>]+}}>, %[[v:[^ ]+]]: tensor<{{[^>]+}}>, %[[x:.+]]: tensor<5x8xf32>, %[[y:.+]]: tensor<7x8xf32>)
// CHECK:         %[[bias:.+]] = linalg.contract
// CHECK:         %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      %[[b:.+]] = tensor.extract %[[bias]][%[[t]], %[[l]]] : tensor<5x7xf32>
// CHECK-NEXT:      %[[masked:.+]] = arith.addf %[[score]], %[[b]] : f32
// CHECK-NEXT:      structured.yield %[[masked]] : f32
func.func @bias_product(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>, %x: tensor<5x8xf32>, %y: tensor<7x8xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %bias0_e = tensor.empty() : tensor<5x7xf32>
  %bias0 = linalg.fill ins(%zero : f32) outs(%bias0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %bias = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%x, %y : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%bias0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %bias : tensor<5x7xf32>, tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%m : tensor<5x7xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%m, %max : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xf32>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.divf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Sizes that are known at run time only; batches and heads; what is filled with
// zeros may be a constant.

// CHECK-LABEL: func @dynamic(
// CHECK-NOT:     linalg
// CHECK:         structured.attention indexing_maps = [#[[$BQ]], #[[$BK]], #[[$BV]], #[[$BO]]] ins(%{{.+}} : tensor<?x?x?x16xf32>, tensor<?x?x?x16xf32>, tensor<?x?x?x16xf32>) outs(%{{.+}} : tensor<?x?x?x16xf32>)
// CHECK:         return
func.func @dynamic(%q: tensor<?x?x?x16xf32>, %k: tensor<?x?x?x16xf32>, %v: tensor<?x?x?x16xf32>)
    -> tensor<?x?x?x16xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %zero = arith.constant 0.0 : f32
  %b = tensor.dim %q, %c0 : tensor<?x?x?x16xf32>
  %h = tensor.dim %q, %c1 : tensor<?x?x?x16xf32>
  %t = tensor.dim %q, %c2 : tensor<?x?x?x16xf32>
  %l = tensor.dim %k, %c2 : tensor<?x?x?x16xf32>
  %s_e = tensor.empty(%b, %h, %t, %l) : tensor<?x?x?x?xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s_e : tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %s = linalg.contract indexing_maps = [affine_map<(b, h, t, l, d) -> (b, h, t, d)>,
                                        affine_map<(b, h, t, l, d) -> (b, h, l, d)>,
                                        affine_map<(b, h, t, l, d) -> (b, h, t, l)>]
      ins(%q, %k : tensor<?x?x?x16xf32>, tensor<?x?x?x16xf32>)
      outs(%s0 : tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %w = linalg.softmax dimension(3) ins(%s : tensor<?x?x?x?xf32>)
      outs(%s_e : tensor<?x?x?x?xf32>) -> tensor<?x?x?x?xf32>
  %o_e = tensor.empty(%b, %h, %t) : tensor<?x?x?x16xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o_e : tensor<?x?x?x16xf32>) -> tensor<?x?x?x16xf32>
  %o = linalg.contract indexing_maps = [affine_map<(b, h, t, e, l) -> (b, h, t, l)>,
                                        affine_map<(b, h, t, e, l) -> (b, h, l, e)>,
                                        affine_map<(b, h, t, e, l) -> (b, h, t, e)>]
      ins(%w, %v : tensor<?x?x?x?xf32>, tensor<?x?x?x16xf32>)
      outs(%o0 : tensor<?x?x?x16xf32>) -> tensor<?x?x?x16xf32>
  return %o : tensor<?x?x?x16xf32>
}

// Products as linalg.batch_matmul; keys that are transposed; constants of zeros.

// CHECK-LABEL: func @batch_matmul(
// CHECK-NOT:     linalg
// CHECK:         %[[e:.+]] = tensor.empty() : tensor<2x5x6xf32>
// CHECK-NEXT:    structured.attention indexing_maps = [#[[$HQ]], #[[$HK]], #[[$HV]], #[[$HO]]] ins(%{{.+}} : tensor<2x5x8xf32>, tensor<2x8x7xf32>, tensor<2x7x6xf32>) outs(%[[e]] : tensor<2x5x6xf32>)
// CHECK:         return
func.func @batch_matmul(%q: tensor<2x5x8xf32>, %k: tensor<2x8x7xf32>, %v: tensor<2x7x6xf32>)
    -> tensor<2x5x6xf32> {
  %s0 = arith.constant dense<0.0> : tensor<2x5x7xf32>
  %s = linalg.batch_matmul ins(%q, %k : tensor<2x5x8xf32>, tensor<2x8x7xf32>)
      outs(%s0 : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %e = tensor.empty() : tensor<2x5x7xf32>
  %w = linalg.softmax dimension(2) ins(%s : tensor<2x5x7xf32>)
      outs(%e : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %o0 = arith.constant dense<0.0> : tensor<2x5x6xf32>
  %o = linalg.batch_matmul ins(%w, %v : tensor<2x5x7xf32>, tensor<2x7x6xf32>)
      outs(%o0 : tensor<2x5x6xf32>) -> tensor<2x5x6xf32>
  return %o : tensor<2x5x6xf32>
}

// Two loops of the queries alone: the one of more iterations, which is not the
// last in the scores, is that of the queries, the other a batch loop. One set of values for all heads. The scores' loops are
// in another order than the weights'.

// CHECK-LABEL: func @shared_values(
// CHECK-NOT:     linalg
// CHECK:         structured.attention indexing_maps = [#[[$SQ]], #[[$SK]], #[[$SV]], #[[$SO]]] ins(%{{.+}} : tensor<2x5x3x8xf32>, tensor<7x3x8xf32>, tensor<7x6xf32>)
// CHECK-NEXT:    ^bb0(%{{.+}}: f32, %[[h:.+]]: index, %[[g:.+]]: index, %{{.+}}: index, %{{.+}}: index):
// CHECK:           tensor.extract %{{.+}}[%[[g]], %[[h]]] : tensor<2x3xf32>
// CHECK:         return
func.func @shared_values(%q: tensor<2x5x3x8xf32>, %k: tensor<7x3x8xf32>, %v: tensor<7x6xf32>,
                         %bias: tensor<2x3xf32>) -> tensor<5x3x2x6xf32> {
  %zero = arith.constant 0.0 : f32
  %s_e = tensor.empty() : tensor<5x3x2x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s_e : tensor<5x3x2x7xf32>) -> tensor<5x3x2x7xf32>
  %s = linalg.contract indexing_maps = [affine_map<(g, t, h, l, d) -> (g, t, h, d)>,
                                        affine_map<(g, t, h, l, d) -> (l, h, d)>,
                                        affine_map<(g, t, h, l, d) -> (t, h, g, l)>]
      ins(%q, %k : tensor<2x5x3x8xf32>, tensor<7x3x8xf32>)
      outs(%s0 : tensor<5x3x2x7xf32>) -> tensor<5x3x2x7xf32>
  %m_e = tensor.empty() : tensor<3x2x5x7xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(g, h, t, l) -> (t, h, g, l)>,
                                        affine_map<(g, h, t, l) -> (g, h)>,
                                        affine_map<(g, h, t, l) -> (h, g, t, l)>],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s, %bias : tensor<5x3x2x7xf32>, tensor<2x3xf32>) outs(%m_e : tensor<3x2x5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<3x2x5x7xf32>
  %w = linalg.softmax dimension(3) ins(%m : tensor<3x2x5x7xf32>)
      outs(%m_e : tensor<3x2x5x7xf32>) -> tensor<3x2x5x7xf32>
  %o_e = tensor.empty() : tensor<5x3x2x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o_e : tensor<5x3x2x6xf32>) -> tensor<5x3x2x6xf32>
  %o = linalg.contract indexing_maps = [affine_map<(t, h, g, e, l) -> (h, g, t, l)>,
                                        affine_map<(t, h, g, e, l) -> (l, e)>,
                                        affine_map<(t, h, g, e, l) -> (t, h, g, e)>]
      ins(%w, %v : tensor<3x2x5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x3x2x6xf32>) -> tensor<5x3x2x6xf32>
  return %o : tensor<5x3x2x6xf32>
}

// One query: the softmax has no loop of queries, and is between reshapes.

// CHECK-LABEL: func @one_query(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<3x1x8xf32>, %[[k:[^ ]+]]: tensor<7x3x8xf32>, %[[v:[^ ]+]]: tensor<7x3x6xf32>
// CHECK-NOT:     linalg
// CHECK:         structured.attention {{.+}} ins(%[[q]], %[[k]], %[[v]] : tensor<3x1x8xf32>, tensor<7x3x8xf32>, tensor<7x3x6xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[h:.+]]: index, %{{.+}}: index, %[[l:.+]]: index):
// CHECK-NEXT:      %[[b:.+]] = tensor.extract %{{.+}}[%[[l]]] : tensor<7xf32>
// CHECK-NEXT:      arith.addf %[[score]], %[[b]]
// CHECK:           arith.cmpi ugt, %[[l]], %[[h]]
// CHECK:         return
func.func @one_query(%q: tensor<3x1x8xf32>, %k: tensor<7x3x8xf32>, %v: tensor<7x3x6xf32>,
                     %bias: tensor<7xf32>) -> tensor<3x1x6xf32> {
  %zero = arith.constant 0.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %small = arith.constant -1.0 : f32
  %s_e = tensor.empty() : tensor<3x1x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s_e : tensor<3x1x7xf32>) -> tensor<3x1x7xf32>
  %s = linalg.contract indexing_maps = [affine_map<(h, t, l, d) -> (h, t, d)>,
                                        affine_map<(h, t, l, d) -> (l, h, d)>,
                                        affine_map<(h, t, l, d) -> (h, t, l)>]
      ins(%q, %k : tensor<3x1x8xf32>, tensor<7x3x8xf32>)
      outs(%s0 : tensor<3x1x7xf32>) -> tensor<3x1x7xf32>
  %s1 = tensor.expand_shape %s [[0], [1], [2, 3]] output_shape [3, 1, 1, 7] : tensor<3x1x7xf32> into tensor<3x1x1x7xf32>
  %s2 = tensor.collapse_shape %s1 [[0, 1, 2], [3]] : tensor<3x1x1x7xf32> into tensor<3x7xf32>
  %e = tensor.empty() : tensor<3x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #k, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s2, %bias : tensor<3x7xf32>, tensor<7xf32>) outs(%e : tensor<3x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.addf %a, %b : f32
    %h = linalg.index 0 : index
    %l = linalg.index 1 : index
    %1 = arith.cmpi ugt, %l, %h : index
    %2 = arith.select %1, %0, %small : f32
    linalg.yield %2 : f32
  } -> tensor<3x7xf32>
  %row_e = tensor.empty() : tensor<3xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%row_e : tensor<3xf32>) -> tensor<3xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%m : tensor<3x7xf32>) outs(%max0 : tensor<3xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%m, %max : tensor<3x7xf32>, tensor<3xf32>) outs(%e : tensor<3x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<3x7xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%row_e : tensor<3xf32>) -> tensor<3xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<3x7xf32>) outs(%sum0 : tensor<3xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<3xf32>
  %w0 = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<3x7xf32>, tensor<3xf32>) outs(%e : tensor<3x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.divf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<3x7xf32>
  %w = tensor.expand_shape %w0 [[0, 1], [2]] output_shape [3, 1, 7] : tensor<3x7xf32> into tensor<3x1x7xf32>
  %o_e = tensor.empty() : tensor<3x1x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o_e : tensor<3x1x6xf32>) -> tensor<3x1x6xf32>
  %o = linalg.contract indexing_maps = [affine_map<(h, t, e, l) -> (h, t, l)>,
                                        affine_map<(h, t, e, l) -> (l, h, e)>,
                                        affine_map<(h, t, e, l) -> (h, t, e)>]
      ins(%w, %v : tensor<3x1x7xf32>, tensor<7x3x6xf32>)
      outs(%o0 : tensor<3x1x6xf32>) -> tensor<3x1x6xf32>
  return %o : tensor<3x1x6xf32>
}
