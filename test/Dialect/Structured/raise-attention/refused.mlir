// RUN: structured-opt %s --structured-raise-attention --verify-diagnostics \
// RUN:   | FileCheck %s --implicit-check-not=structured.attention

// What is refused, and why.

// CHECK: module

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

// The weights are needed besides.

func.func @uses_of_weights(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> (tensor<5x6xf32>, tensor<5x7xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.mulf %a, %scale : f32
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
  // expected-remark @below {{no attention: its weights are used elsewhere}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o, %w : tensor<5x6xf32>, tensor<5x7xf32>
}

// The exponentials are needed besides.

func.func @uses_of_exponentials(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> (tensor<5x6xf32>, tensor<5x7xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.mulf %a, %scale : f32
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
  // expected-remark @below {{no attention: its exponentials are used elsewhere}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o, %exp : tensor<5x6xf32>, tensor<5x7xf32>
}

// The sums are needed besides.

func.func @uses_of_sums(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> (tensor<5x6xf32>, tensor<5xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.mulf %a, %scale : f32
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
  // expected-remark @below {{no attention: its sums are used elsewhere}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o, %sum : tensor<5x6xf32>, tensor<5xf32>
}

// The maxima are needed besides.

func.func @uses_of_maxima(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> (tensor<5x6xf32>, tensor<5xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.mulf %a, %scale : f32
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
  // expected-remark @below {{no attention: its maxima are used elsewhere}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o, %max : tensor<5x6xf32>, tensor<5xf32>
}

// The masked scores are needed besides.

func.func @uses_of_masked_scores(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> (tensor<5x6xf32>, tensor<5x7xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.mulf %a, %scale : f32
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
  // expected-remark @below {{no attention: its masked scores are used elsewhere}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o, %m : tensor<5x6xf32>, tensor<5x7xf32>
}

// The scores are needed besides.

func.func @uses_of_scores(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> (tensor<5x6xf32>, tensor<5x7xf32>) {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.mulf %a, %scale : f32
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
  // expected-remark @below {{no attention: its scores are used elsewhere}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o, %s : tensor<5x6xf32>, tensor<5x7xf32>
}

// A read of the scores from a body is another use.

func.func @read_of_scores(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
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
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %l = linalg.index 1 : index
    %c0 = arith.constant 0 : index
    %first = tensor.extract %s[%c0, %l] : tensor<5x7xf32>
    %0 = arith.subf %a, %first : f32
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
  // expected-remark @below {{no attention: its scores are used elsewhere}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Exponentials in bf16.

func.func @narrow_softmax(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>,
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
  %e = tensor.empty() : tensor<5x7xbf16>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xbf16>) outs(%e : tensor<5x7xbf16>) -> tensor<5x7xbf16>
  %o0_e = tensor.empty() : tensor<5x6xbf16>
  %o0 = linalg.fill ins(%zero16 : bf16) outs(%o0_e : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  // expected-remark @below {{no attention: its softmax is not in f32}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xbf16>, tensor<7x6xbf16>)
      outs(%o0 : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  return %o : tensor<5x6xbf16>
}

// Exponentials in bf16, extended for the sum.

func.func @narrow_exponentials(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>,
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
  %e = tensor.empty() : tensor<5x7xbf16>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x7xbf16>, tensor<5xbf16>)
      outs(%e : tensor<5x7xbf16>) {
  ^bb0(%a: bf16, %b: bf16, %out: bf16):
    %0 = arith.subf %a, %b : bf16
    %1 = math.exp %0 : bf16
    linalg.yield %1 : bf16
  } -> tensor<5x7xbf16>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x7xbf16>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: bf16, %out: f32):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.addf %0, %out : f32
    linalg.yield %1 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x7xbf16>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xbf16>, tensor<5xf32>)
      outs(%e2 : tensor<5x7xbf16>) {
  ^bb0(%a: bf16, %b: f32, %out: bf16):
    %0 = arith.extf %a : bf16 to f32
    %1 = arith.divf %0, %b : f32
    %2 = arith.truncf %1 : f32 to bf16
    linalg.yield %2 : bf16
  } -> tensor<5x7xbf16>
  %o0_e = tensor.empty() : tensor<5x6xbf16>
  %o0 = linalg.fill ins(%zero16 : bf16) outs(%o0_e : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  // expected-remark @below {{no attention: its softmax is not in f32}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xbf16>, tensor<7x6xbf16>)
      outs(%o0 : tensor<5x6xbf16>) -> tensor<5x6xbf16>
  return %o : tensor<5x6xbf16>
}

// A maximum with zero.

func.func @maximum(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
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
  %max0 = linalg.fill ins(%zero : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
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
  // expected-remark @below {{no attention: its maxima do not begin with -inf}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A sum with one.

func.func @sum(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
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
  %sum0 = linalg.fill ins(%one : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
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
  // expected-remark @below {{no attention: its sums do not begin with zero}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// The softmax of an argument.

func.func @no_product(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>, %x: tensor<5x7xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%x : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: its scores are no product}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Scores that add to something.

func.func @bias_of_scores(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%one : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: a product adds to what is not zero}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A result that adds to something.

func.func @residual(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
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
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%one : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: a product adds to what is not zero}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Scores summed over two loops.

func.func @two_features(%q: tensor<5x2x8xf32>, %k: tensor<7x2x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [affine_map<(t, l, c, d) -> (t, c, d)>,
                                        affine_map<(t, l, c, d) -> (l, c, d)>,
                                        affine_map<(t, l, c, d) -> (t, l)>]
      ins(%q, %k : tensor<5x2x8xf32>, tensor<7x2x8xf32>) outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: a product has more or less than one loop that its scores or weights lack}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Values without a loop of their own.

func.func @no_value_loop(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7xf32>) -> tensor<5xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5xf32>) -> tensor<5xf32>
  // expected-remark @below {{no attention: a product has more or less than one loop that its scores or weights lack}}
  %o = linalg.contract indexing_maps = [affine_map<(t, l) -> (t, l)>, affine_map<(t, l) -> (l)>,
                                        affine_map<(t, l) -> (t)>]
      ins(%w, %v : tensor<5x7xf32>, tensor<7xf32>) outs(%o0 : tensor<5xf32>) -> tensor<5xf32>
  return %o : tensor<5xf32>
}

// A softmax over the heads.

func.func @softmax_of_heads(%q: tensor<2x5x8xf32>, %k: tensor<2x7x8xf32>,
    %v: tensor<2x7x6xf32>) -> tensor<5x6x7xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<2x5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %s = linalg.contract indexing_maps = [affine_map<(h, t, l, d) -> (h, t, d)>, affine_map<(h, t, l, d) -> (h, l, d)>,
                                        affine_map<(h, t, l, d) -> (h, t, l)>]
      ins(%q, %k : tensor<2x5x8xf32>, tensor<2x7x8xf32>) outs(%s0 : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %e = tensor.empty() : tensor<2x5x7xf32>
  %w = linalg.softmax dimension(0) ins(%s : tensor<2x5x7xf32>) outs(%e : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6x7xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6x7xf32>) -> tensor<5x6x7xf32>
  // expected-remark @below {{no attention: the loop that is reduced is not that of one operand of the scores' product}}
  %o = linalg.contract indexing_maps = [affine_map<(h, t, l, e) -> (h, t, l)>, affine_map<(h, t, l, e) -> (h, l, e)>,
                                        affine_map<(h, t, l, e) -> (t, e, l)>]
      ins(%w, %v : tensor<2x5x7xf32>, tensor<2x7x6xf32>) outs(%o0 : tensor<5x6x7xf32>) -> tensor<5x6x7xf32>
  return %o : tensor<5x6x7xf32>
}

// A softmax over the queries, while values are summed over the keys.

func.func @softmax_of_queries(%q: tensor<2x5x8xf32>, %k: tensor<2x7x8xf32>,
    %v: tensor<2x7x6xf32>) -> tensor<2x5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<2x5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %s = linalg.contract indexing_maps = [affine_map<(h, t, l, d) -> (h, t, d)>, affine_map<(h, t, l, d) -> (h, l, d)>,
                                        affine_map<(h, t, l, d) -> (h, t, l)>]
      ins(%q, %k : tensor<2x5x8xf32>, tensor<2x7x8xf32>) outs(%s0 : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %e = tensor.empty() : tensor<2x5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<2x5x7xf32>) outs(%e : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %o0_e = tensor.empty() : tensor<2x5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<2x5x6xf32>) -> tensor<2x5x6xf32>
  // expected-remark @below {{no attention: the values are not summed over the loop that the softmax reduces}}
  %o = linalg.contract indexing_maps = [affine_map<(h, t, l, e) -> (h, t, l)>, affine_map<(h, t, l, e) -> (h, l, e)>,
                                        affine_map<(h, t, l, e) -> (h, t, e)>]
      ins(%w, %v : tensor<2x5x7xf32>, tensor<2x7x6xf32>) outs(%o0 : tensor<2x5x6xf32>) -> tensor<2x5x6xf32>
  return %o : tensor<2x5x6xf32>
}

// Values summed over the heads, too.

func.func @sum_of_heads(%q: tensor<2x5x8xf32>, %k: tensor<2x7x8xf32>,
    %v: tensor<2x7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<2x5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %s = linalg.contract indexing_maps = [affine_map<(h, t, l, d) -> (h, t, d)>, affine_map<(h, t, l, d) -> (h, l, d)>,
                                        affine_map<(h, t, l, d) -> (h, t, l)>]
      ins(%q, %k : tensor<2x5x8xf32>, tensor<2x7x8xf32>) outs(%s0 : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %e = tensor.empty() : tensor<2x5x7xf32>
  %w = linalg.softmax dimension(2) ins(%s : tensor<2x5x7xf32>) outs(%e : tensor<2x5x7xf32>) -> tensor<2x5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: the values are summed over more than the keys}}
  %o = linalg.contract indexing_maps = [affine_map<(h, t, l, e) -> (h, t, l)>, affine_map<(h, t, l, e) -> (h, l, e)>,
                                        affine_map<(h, t, l, e) -> (t, e)>]
      ins(%w, %v : tensor<2x5x7xf32>, tensor<2x7x6xf32>) outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A query for each head, but no loop of queries.

func.func @decode(%q: tensor<5x8xf32>, %k: tensor<7x5x8xf32>,
    %v: tensor<7x5x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [affine_map<(h, l, d) -> (h, d)>, affine_map<(h, l, d) -> (l, h, d)>,
                                        affine_map<(h, l, d) -> (h, l)>]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x5x8xf32>) outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: no loop is of the queries alone}}
  %o = linalg.contract indexing_maps = [affine_map<(h, e, l) -> (h, l)>, affine_map<(h, e, l) -> (l, h, e)>,
                                        affine_map<(h, e, l) -> (h, e)>]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x5x6xf32>) outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A sum of the queries alone.

func.func @sum_of_queries(%q: tensor<5x8xf32>, %k: tensor<7xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.generic {indexing_maps = [#td, affine_map<(t, l, d) -> (l)>, #tl],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<5x8xf32>, tensor<7xf32>) outs(%s0 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %out, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: the scores are not summed over a loop of both operands}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Values repeated for each feature.

func.func @repeated_values(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: the values have no loop of their own}}
  %o = linalg.generic {indexing_maps = [#wv, affine_map<(t, e, l) -> (l)>, #ov],
                       iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%w, %v : tensor<5x7xf32>, tensor<7xf32>) outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %out, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Weights in f32, values in bf16.

func.func @wide_weights(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>,
    %v: tensor<7x6xbf16>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xbf16>, tensor<7x8xbf16>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: queries, keys, weights and values are of different types}}
  %o = linalg.generic {indexing_maps = [#wv, #vv, #ov], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xbf16>) outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%a: f32, %b: bf16, %out: f32):
    %1 = arith.extf %b : bf16 to f32
    %2 = arith.mulf %a, %1 : f32
    %3 = arith.addf %2, %out : f32
    linalg.yield %3 : f32
  } -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Keys in f16, queries in f32.

func.func @narrow_keys(%q: tensor<5x8xf32>, %k: tensor<7x8xf16>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.generic {indexing_maps = [#td, #ld, #tl], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf16>) outs(%s0 : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f16, %out: f32):
    %1 = arith.extf %b : f16 to f32
    %2 = arith.mulf %a, %1 : f32
    %3 = arith.addf %2, %out : f32
    linalg.yield %3 : f32
  } -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: queries, keys, weights and values are of different types}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// All in f8.

func.func @f8(%q: tensor<5x8xf8E4M3FN>, %k: tensor<7x8xf8E4M3FN>,
    %v: tensor<7x6xf8E4M3FN>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.generic {indexing_maps = [#td, #ld, #tl], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<5x8xf8E4M3FN>, tensor<7x8xf8E4M3FN>) outs(%s0 : tensor<5x7xf32>) {
  ^bb0(%a: f8E4M3FN, %b: f8E4M3FN, %out: f32):
    %0 = arith.extf %a : f8E4M3FN to f32
    %1 = arith.extf %b : f8E4M3FN to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %2, %out : f32
    linalg.yield %3 : f32
  } -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %f = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e2 = tensor.empty() : tensor<5x7xf8E4M3FN>
  %w = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%f : tensor<5x7xf32>)
      outs(%e2 : tensor<5x7xf8E4M3FN>) {
  ^bb0(%a: f32, %out: f8E4M3FN):
    %0 = arith.truncf %a : f32 to f8E4M3FN
    linalg.yield %0 : f8E4M3FN
  } -> tensor<5x7xf8E4M3FN>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: it is not in f32, bf16 or f16}}
  %o = linalg.generic {indexing_maps = [#wv, #vv, #ov], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%w, %v : tensor<5x7xf8E4M3FN>, tensor<7x6xf8E4M3FN>) outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%a: f8E4M3FN, %b: f8E4M3FN, %out: f32):
    %0 = arith.extf %a : f8E4M3FN to f32
    %1 = arith.extf %b : f8E4M3FN to f32
    %2 = arith.mulf %0, %1 : f32
    %3 = arith.addf %2, %out : f32
    linalg.yield %3 : f32
  } -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// Values summed in f64.

func.func @wide_result(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf64> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %zero64 = arith.constant 0.0 : f64
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf64>
  %o0 = linalg.fill ins(%zero64 : f64) outs(%o0_e : tensor<5x6xf64>) -> tensor<5x6xf64>
  // expected-remark @below {{no attention: its result is neither of the values' type nor f32}}
  %o = linalg.generic {indexing_maps = [#wv, #vv, #ov], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>) outs(%o0 : tensor<5x6xf64>) {
  ^bb0(%a: f32, %b: f32, %out: f64):
    %0 = arith.extf %a : f32 to f64
    %1 = arith.extf %b : f32 to f64
    %2 = arith.mulf %0, %1 : f64
    %3 = arith.addf %2, %out : f64
    linalg.yield %3 : f64
  } -> tensor<5x6xf64>
  return %o : tensor<5x6xf64>
}

// Scores summed in f64.

func.func @wide_scores(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %zero64 = arith.constant 0.0 : f64
  %s0_e = tensor.empty() : tensor<5x7xf64>
  %s0 = linalg.fill ins(%zero64 : f64) outs(%s0_e : tensor<5x7xf64>) -> tensor<5x7xf64>
  %s64 = linalg.generic {indexing_maps = [#td, #ld, #tl], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>) outs(%s0 : tensor<5x7xf64>) {
  ^bb0(%a: f32, %b: f32, %out: f64):
    %0 = arith.extf %a : f32 to f64
    %1 = arith.extf %b : f32 to f64
    %2 = arith.mulf %0, %1 : f64
    %3 = arith.addf %2, %out : f64
    linalg.yield %3 : f64
  } -> tensor<5x7xf64>
  %me = tensor.empty() : tensor<5x7xf32>
  %s = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s64 : tensor<5x7xf64>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f64, %out: f32):
    %0 = arith.truncf %a : f64 to f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%s : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: its scores are f64}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A score made of two.

func.func @symmetric(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<5x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x5xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x5xf32>) -> tensor<5x5xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %q : tensor<5x8xf32>, tensor<5x8xf32>)
      outs(%s0 : tensor<5x5xf32>) -> tensor<5x5xf32>
  %me = tensor.empty() : tensor<5x5xf32>
  %m = linalg.generic {indexing_maps = [#p, #c, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %s : tensor<5x5xf32>, tensor<5x5xf32>)
      outs(%me : tensor<5x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x5xf32>
  %e = tensor.empty() : tensor<5x5xf32>
  %w = linalg.softmax dimension(1) ins(%m : tensor<5x5xf32>) outs(%e : tensor<5x5xf32>) -> tensor<5x5xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: a score is made of several}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x5xf32>, tensor<5x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A mask that is read by a sum of indices.

func.func @diagonal(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>, %x: tensor<11xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, affine_map<(t, l) -> (t + l)>, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %x : tensor<5x7xf32>, tensor<11xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%m : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: an operand of its masked scores is not read by an index for each dimension}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// A region in the scores' op.

func.func @branch(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>, %flag: i1) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x7xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<7x8xf32>)
      outs(%s0 : tensor<5x7xf32>) -> tensor<5x7xf32>
  %me = tensor.empty() : tensor<5x7xf32>
  %m = linalg.generic {indexing_maps = [#p, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s : tensor<5x7xf32>)
      outs(%me : tensor<5x7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = scf.if %flag -> f32 {
      %1 = arith.negf %a : f32
      scf.yield %1 : f32
    } else {
      scf.yield %a : f32
    }
    linalg.yield %0 : f32
  } -> tensor<5x7xf32>
  %e = tensor.empty() : tensor<5x7xf32>
  %w = linalg.softmax dimension(1) ins(%m : tensor<5x7xf32>) outs(%e : tensor<5x7xf32>) -> tensor<5x7xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  // expected-remark @below {{no attention: its masked scores are computed by scf.if}}
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// No softmax of scores, no remark: an ordinary product, exponentials that are not
// divided by their own sum, a sum of other exponentials, or over another loop.

func.func @ordinary(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
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
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%s, %v : tensor<5x7xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

func.func @no_softmax(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
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
      ins(%s : tensor<5x7xf32>)
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

func.func @other_maximum(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
    %v: tensor<7x6xf32>, %x: tensor<5x7xf32>) -> tensor<5x6xf32> {
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
      ins(%x : tensor<5x7xf32>)
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

func.func @sum_of_columns(%q: tensor<5x8xf32>, %k: tensor<5x8xf32>,
    %v: tensor<5x6xf32>) -> tensor<5x6xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %infinity = arith.constant 0xFF800000 : f32
  %scale = arith.constant 0.25 : f32
  %s0_e = tensor.empty() : tensor<5x5xf32>
  %s0 = linalg.fill ins(%zero : f32) outs(%s0_e : tensor<5x5xf32>) -> tensor<5x5xf32>
  %s = linalg.contract indexing_maps = [#td, #ld, #tl]
      ins(%q, %k : tensor<5x8xf32>, tensor<5x8xf32>)
      outs(%s0 : tensor<5x5xf32>) -> tensor<5x5xf32>
  %max0_e = tensor.empty() : tensor<5xf32>
  %max0 = linalg.fill ins(%infinity : f32) outs(%max0_e : tensor<5xf32>) -> tensor<5xf32>
  %max = linalg.generic {indexing_maps = [#p, #r], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<5x5xf32>)
      outs(%max0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.maximumf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e = tensor.empty() : tensor<5x5xf32>
  %exp = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%s, %max : tensor<5x5xf32>, tensor<5xf32>)
      outs(%e : tensor<5x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.subf %a, %b : f32
    %1 = math.exp %0 : f32
    linalg.yield %1 : f32
  } -> tensor<5x5xf32>
  %sum0_e = tensor.empty() : tensor<5xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [#c, #r], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<5x5xf32>)
      outs(%sum0 : tensor<5xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<5xf32>
  %e2 = tensor.empty() : tensor<5x5xf32>
  %w = linalg.generic {indexing_maps = [#p, #r, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x5xf32>, tensor<5xf32>)
      outs(%e2 : tensor<5x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %0 = arith.divf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<5x5xf32>
  %o0_e = tensor.empty() : tensor<5x6xf32>
  %o0 = linalg.fill ins(%zero : f32) outs(%o0_e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %o = linalg.contract indexing_maps = [#wv, #vv, #ov]
      ins(%w, %v : tensor<5x5xf32>, tensor<5x6xf32>)
      outs(%o0 : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

func.func @sum_over_queries(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>,
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
  %sum0_e = tensor.empty() : tensor<7xf32>
  %sum0 = linalg.fill ins(%zero : f32) outs(%sum0_e : tensor<7xf32>) -> tensor<7xf32>
  %sum = linalg.generic {indexing_maps = [#p, #k], iterator_types = ["reduction", "parallel"]}
      ins(%exp : tensor<5x7xf32>)
      outs(%sum0 : tensor<7xf32>) {
  ^bb0(%a: f32, %out: f32):
    %0 = arith.addf %a, %out : f32
    linalg.yield %0 : f32
  } -> tensor<7xf32>
  %e2 = tensor.empty() : tensor<5x7xf32>
  %w = linalg.generic {indexing_maps = [#p, #k, #p], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<5x7xf32>, tensor<7xf32>)
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
