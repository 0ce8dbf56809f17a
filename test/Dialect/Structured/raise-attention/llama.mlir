// RUN: structured-opt %s --structured-raise-attention | FileCheck %s
// RUN: structured-opt %s --structured-raise-attention --structured-to-linalg \
// RUN:     --canonicalize --cse \
// RUN:   | FileCheck %s --check-prefix=LINALG
// RUN: structured-opt %s --structured-raise-attention --structured-to-linalg \
// RUN:     --canonicalize --cse --structured-raise-attention \
// RUN:   | FileCheck %s

// Attention as the fusion on tensors leaves it of a decoder layer: two groups
// of two heads that share their keys, a mask by the position. Raised, lowered
// and raised again it is the same.

#query = affine_map<(t, k, g, l, d) -> (t, k, g, d)>
#key = affine_map<(t, k, g, l, d) -> (l, k, d)>
#scores = affine_map<(t, k, g, l, d) -> (k, g, t, l)>
#weights = affine_map<(t, k, g, e, l) -> (k, g, t, l)>
#value = affine_map<(t, k, g, e, l) -> (l, k, e)>
#result = affine_map<(t, k, g, e, l) -> (t, k, g, e)>
#point = affine_map<(k, g, t, l) -> (k, g, t, l)>
#row = affine_map<(k, g, t, l) -> (k, g, t)>

// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2, d0, d1, d4)>
// CHECK-DAG: #[[$K:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d0, d4)>
// CHECK-DAG: #[[$V:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d3, d0, d5)>
// CHECK-DAG: #[[$O:.+]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2, d0, d1, d5)>
// CHECK-LABEL: func @prefill(
// CHECK-SAME:    %[[q:.+]]: tensor<20x2x2x16xbf16>, %[[k:.+]]: tensor<24x2x16xbf16>, %[[v:.+]]: tensor<24x2x16xbf16>, %[[position:.+]]: tensor<1xi64>)
// CHECK-NOT:     linalg
// CHECK:         %[[e:.+]] = tensor.empty() : tensor<20x2x2x16xbf16>
// CHECK-NEXT:    %[[o:.+]] = structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] ins(%[[q]], %[[k]], %[[v]] : tensor<20x2x2x16xbf16>, tensor<24x2x16xbf16>, tensor<24x2x16xbf16>) outs(%[[e]] : tensor<20x2x2x16xbf16>) {
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: index, %{{.+}}: index, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      %[[first:.+]] = tensor.extract %[[position]][%{{.+}}] : tensor<1xi64>
// CHECK-NEXT:      %[[base:.+]] = arith.index_cast %[[first]] : i64 to index
// CHECK-NEXT:      %[[last:.+]] = arith.addi %[[base]], %[[t]] : index
// CHECK-NEXT:      %[[seen:.+]] = arith.cmpi ule, %[[l]], %[[last]] : index
// CHECK-NEXT:      %[[scaled:.+]] = arith.mulf %[[score]], %{{.+}} : f32
// CHECK-NEXT:      %[[masked:.+]] = arith.select %[[seen]], %[[scaled]], %{{.+}} : f32
// CHECK-NEXT:      structured.yield %[[masked]] : f32
// CHECK-NEXT:    } -> tensor<20x2x2x16xbf16>
// CHECK-NEXT:    return %[[o]]

// LINALG-LABEL: func @prefill(
// LINALG-COUNT-1: linalg.contract {{.*}} -> tensor<2x2x20x24xf32>
// LINALG-COUNT-5: linalg.generic
// LINALG-NOT:     linalg.generic
// LINALG:         linalg.contract {{.*}} -> tensor<20x2x2x16xbf16>
// LINALG-NEXT:    return
func.func @prefill(%q: tensor<20x2x2x16xbf16>, %k: tensor<24x2x16xbf16>,
                   %v: tensor<24x2x16xbf16>, %position: tensor<1xi64>) -> tensor<20x2x2x16xbf16> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %zero16 = arith.constant 0.0 : bf16
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %e = tensor.empty() : tensor<2x2x20x24xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%e : tensor<2x2x20x24xf32>) -> tensor<2x2x20x24xf32>
  %s = linalg.contract indexing_maps = [#query, #key, #scores]
      ins(%q, %k : tensor<20x2x2x16xbf16>, tensor<24x2x16xbf16>)
      outs(%s0 : tensor<2x2x20x24xf32>) -> tensor<2x2x20x24xf32>
  %m = linalg.generic {indexing_maps = [#point, #point],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%s : tensor<2x2x20x24xf32>)
      outs(%e : tensor<2x2x20x24xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = linalg.index 2 : index
    %1 = linalg.index 3 : index
    %first = tensor.extract %position[%c0] : tensor<1xi64>
    %2 = arith.index_cast %first : i64 to index
    %3 = arith.addi %2, %0 : index
    %4 = arith.cmpi ule, %1, %3 : index
    %5 = arith.mulf %a, %scale : f32
    %6 = arith.select %4, %5, %infinity : f32
    linalg.yield %6 : f32
  } -> tensor<2x2x20x24xf32>
  %e1 = tensor.empty() : tensor<2x2x20xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%e1 : tensor<2x2x20xf32>) -> tensor<2x2x20xf32>
  %max = linalg.generic {indexing_maps = [#point, #row],
                       iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%m : tensor<2x2x20x24xf32>)
      outs(%max0 : tensor<2x2x20xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<2x2x20xf32>
  %exp = linalg.generic {indexing_maps = [#point, #row, #point],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%m, %max : tensor<2x2x20x24xf32>, tensor<2x2x20xf32>)
      outs(%e : tensor<2x2x20x24xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<2x2x20x24xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<2x2x20xf32>) -> tensor<2x2x20xf32>
  %sum = linalg.generic {indexing_maps = [#point, #row],
                       iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
      ins(%exp : tensor<2x2x20x24xf32>)
      outs(%sum0 : tensor<2x2x20xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<2x2x20xf32>
  %e2 = tensor.empty() : tensor<2x2x20x24xbf16>
  %w = linalg.generic {indexing_maps = [#point, #row, #point],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
      ins(%exp, %sum : tensor<2x2x20x24xf32>, tensor<2x2x20xf32>)
      outs(%e2 : tensor<2x2x20x24xbf16>) {
  ^bb0(%a: f32, %b: f32, %out: bf16):
    %0 = arith.divf %a, %b : f32
    %1 = arith.truncf %0 : f32 to bf16
    linalg.yield %1 : bf16
  } -> tensor<2x2x20x24xbf16>
  %e3 = tensor.empty() : tensor<20x2x2x16xbf16>
  %o0 = linalg.fill ins(%zero16 : bf16) outs(%e3 : tensor<20x2x2x16xbf16>) -> tensor<20x2x2x16xbf16>
  %o = linalg.contract indexing_maps = [#weights, #value, #result]
      ins(%w, %v : tensor<2x2x20x24xbf16>, tensor<24x2x16xbf16>)
      outs(%o0 : tensor<20x2x2x16xbf16>) -> tensor<20x2x2x16xbf16>
  return %o : tensor<20x2x2x16xbf16>
}
