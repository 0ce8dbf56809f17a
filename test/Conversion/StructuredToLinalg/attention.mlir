// RUN: structured-opt %s --structured-to-linalg --split-input-file | FileCheck %s
// RUN: structured-opt %s --structured-to-linalg --canonicalize --cse \
// RUN:     --structured-raise-attention --split-input-file \
// RUN:   | FileCheck %s --check-prefix=AGAIN

// Dynamic sizes; a mask by indices. Raised again it is the same.

// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3) -> (d1, d0, d3)>
// CHECK-DAG: #[[$K:.+]] = affine_map<(d0, d1, d2, d3) -> (d2, d0, d3)>
// CHECK-DAG: #[[$S:.+]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-DAG: #[[$P:.+]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[$R:.+]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[$V:.+]] = affine_map<(d0, d1, d2, d3) -> (d3, d1, d2)>
// CHECK-LABEL: func @dynamic(
// CHECK-SAME:    %[[q:[^ ]+]]: tensor<?x8x64xf32>, %[[k:[^ ]+]]: tensor<?x8x64xf32>, %[[v:[^ ]+]]: tensor<?x8x32xf32>
// CHECK-DAG:     %[[T:.+]] = tensor.dim %[[q]], %{{.+}}
// CHECK-DAG:     %[[L:.+]] = tensor.dim %[[k]], %{{.+}}
// CHECK:         %[[p:.+]] = linalg.contract indexing_maps = [#[[$Q]], #[[$K]], #[[$S]]] ins(%[[q]], %[[k]] : {{.+}}) outs(%{{.+}} : tensor<8x?x?xf32>)
// CHECK:         %[[s:.+]] = linalg.generic {indexing_maps = [#[[$P]], #[[$P]]], iterator_types = ["parallel", "parallel", "parallel"]} ins(%[[p]] : tensor<8x?x?xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: f32):
// CHECK-NEXT:      %[[t:.+]] = linalg.index 1 : index
// CHECK-NEXT:      %[[l:.+]] = linalg.index 2 : index
// CHECK-NEXT:      %[[seen:.+]] = arith.cmpi ule, %[[l]], %[[t]] : index
// CHECK-NEXT:      %[[masked:.+]] = arith.select %[[seen]], %[[score]], %{{.+}} : f32
// CHECK-NEXT:      linalg.yield %[[masked]] : f32
// CHECK:         %[[max0:.+]] = linalg.fill ins(%{{.+}} : f32) outs(%{{.+}} : tensor<8x?xf32>)
// CHECK-NEXT:    %[[max:.+]] = linalg.generic {indexing_maps = [#[[$P]], #[[$R]]], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[s]] : {{.+}}) outs(%[[max0]] : {{.+}}) {
// CHECK:           arith.maximumf
// CHECK:         %[[e:.+]] = linalg.generic {indexing_maps = [#[[$P]], #[[$R]], #[[$P]]], {{.+}} ins(%[[s]], %[[max]] : {{.+}})
// CHECK:           arith.subf
// CHECK-NEXT:      math.exp
// CHECK:         %[[sum:.+]] = linalg.generic {{.+}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[e]] : {{.+}})
// CHECK:           arith.addf
// CHECK:         %[[w:.+]] = linalg.generic {indexing_maps = [#[[$P]], #[[$R]], #[[$P]]], {{.+}} ins(%[[e]], %[[sum]] : {{.+}})
// CHECK:           arith.divf
// CHECK-NEXT:      linalg.yield
// CHECK:         %[[o:.+]] = linalg.contract indexing_maps = [#[[$Q]], #[[$V]], #[[$S]]] ins(%[[w]], %[[v]] : {{.+}}) outs(%{{.+}} : tensor<?x8x32xf32>)
// CHECK-NEXT:    return %[[o]]

// AGAIN-LABEL: func @dynamic(
// AGAIN-NOT:     linalg
// AGAIN:         structured.attention {{.+}} ins(%{{.+}} : tensor<?x8x64xf32>, tensor<?x8x64xf32>, tensor<?x8x32xf32>)
// AGAIN-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: index, %[[t:.+]]: index, %[[l:.+]]: index):
// AGAIN-NEXT:      %[[seen:.+]] = arith.cmpi ule, %[[l]], %[[t]] : index
// AGAIN-NEXT:      %[[masked:.+]] = arith.select %[[seen]], %[[score]], %{{.+}} : f32
// AGAIN-NEXT:      structured.yield %[[masked]] : f32
func.func @dynamic(%q: tensor<?x8x64xf32>, %k: tensor<?x8x64xf32>, %v: tensor<?x8x32xf32>,
                   %o0: tensor<?x8x32xf32>) -> tensor<?x8x32xf32> {
  %infinity = arith.constant 0xFF800000 : f32
  %o = structured.attention
      indexing_maps = [affine_map<(h, t, l, d, e) -> (t, h, d)>,
                       affine_map<(h, t, l, d, e) -> (l, h, d)>,
                       affine_map<(h, t, l, d, e) -> (l, h, e)>,
                       affine_map<(h, t, l, d, e) -> (t, h, e)>]
      ins(%q, %k, %v : tensor<?x8x64xf32>, tensor<?x8x64xf32>, tensor<?x8x32xf32>)
      outs(%o0 : tensor<?x8x32xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %seen = arith.cmpi ule, %l, %t : index
    %masked = arith.select %seen, %score, %infinity : f32
    structured.yield %masked : f32
  } -> tensor<?x8x32xf32>
  return %o : tensor<?x8x32xf32>
}

// -----

// The weights are rounded to bf16; scores that the region leaves alone need no
// op of their own.

// CHECK-LABEL: func @bf16(
// CHECK:         %[[p:.+]] = linalg.contract {{.+}} -> tensor<5x7xf32>
// CHECK:         linalg.generic {{.+}} ins(%[[p]] : tensor<5x7xf32>)
// CHECK:           arith.maximumf
// CHECK:           arith.divf
// CHECK-NEXT:      arith.truncf
// CHECK:         %[[o:.+]] = linalg.contract {{.+}} ins(%{{.+}} : tensor<5x7xbf16>, tensor<7x6xbf16>) {{.+}} -> tensor<5x6xbf16>
// CHECK-NEXT:    return %[[o]]

// AGAIN-LABEL: func @bf16(
// AGAIN-NOT:     linalg
// AGAIN:         structured.attention {{.+}} ins(%{{.+}} : tensor<5x8xbf16>, tensor<7x8xbf16>, tensor<7x6xbf16>)
func.func @bf16(%q: tensor<5x8xbf16>, %k: tensor<7x8xbf16>, %v: tensor<7x6xbf16>,
                %o0: tensor<5x6xbf16>) -> tensor<5x6xbf16> {
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>, affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>, affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xbf16>, tensor<7x8xbf16>, tensor<7x6xbf16>)
      outs(%o0 : tensor<5x6xbf16>) {
  ^bb0(%score: f32, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x6xbf16>
  return %o : tensor<5x6xbf16>
}

// -----

// A tensor that is read by the loops becomes an operand; not where it is larger,
// read elsewhere, or read by one loop twice.

// CHECK-DAG: #[[$P:.+]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-DAG: #[[$C:.+]] = affine_map<(d0, d1) -> (d1, d0)>
// CHECK-LABEL: func @masks(
// CHECK-SAME:    %[[a:[^ ]+]]: tensor<7x5xf32>, %[[b:[^ ]+]]: tensor<7x6xf32>, %[[c:[^ ]+]]: tensor<7x7xf32>, %[[d:[^ ]+]]: tensor<?x5xf32>)
// CHECK:         linalg.generic {indexing_maps = [#[[$P]], #[[$C]], #[[$P]]], {{.+}} ins(%{{.+}}, %[[a]] : tensor<5x7xf32>, tensor<7x5xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %[[add:.+]]: f32, %{{.+}}: f32):
// CHECK-DAG:       %[[t:.+]] = linalg.index 0 : index
// CHECK-DAG:       %[[l:.+]] = linalg.index 1 : index
// CHECK:           %[[m:.+]] = arith.addf %[[score]], %[[add]] : f32
// CHECK:           tensor.extract %[[b]][%[[l]], %[[t]]]
// CHECK:           tensor.extract %[[a]][%[[l]], %{{.+}}]
// CHECK:           tensor.extract %[[c]][%[[l]], %[[l]]]
// CHECK:           tensor.extract %[[d]][%[[l]], %[[t]]]
// CHECK:         arith.maximumf

// AGAIN-LABEL: func @masks(
// AGAIN-NOT:     linalg
// AGAIN:         structured.attention
// AGAIN-COUNT-5: tensor.extract
func.func @masks(%q: tensor<5x8xf32>, %k: tensor<7x8xf32>, %v: tensor<7x6xf32>,
                 %o0: tensor<5x6xf32>, %a: tensor<7x5xf32>, %b: tensor<7x6xf32>,
                 %c: tensor<7x7xf32>, %d: tensor<?x5xf32>) -> tensor<5x6xf32> {
  %c1 = arith.constant 1 : index
  %o = structured.attention
      indexing_maps = [affine_map<(t, l, d, e) -> (t, d)>, affine_map<(t, l, d, e) -> (l, d)>,
                       affine_map<(t, l, d, e) -> (l, e)>, affine_map<(t, l, d, e) -> (t, e)>]
      ins(%q, %k, %v : tensor<5x8xf32>, tensor<7x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<5x6xf32>) {
  ^bb0(%score: f32, %t: index, %l: index):
    %0 = tensor.extract %a[%l, %t] : tensor<7x5xf32>
    %1 = arith.addf %score, %0 : f32
    %2 = tensor.extract %b[%l, %t] : tensor<7x6xf32>
    %3 = arith.addf %1, %2 : f32
    %4 = tensor.extract %a[%l, %c1] : tensor<7x5xf32>
    %5 = arith.addf %3, %4 : f32
    %6 = tensor.extract %c[%l, %l] : tensor<7x7xf32>
    %7 = arith.addf %5, %6 : f32
    %8 = tensor.extract %d[%l, %t] : tensor<?x5xf32>
    %9 = arith.addf %7, %8 : f32
    structured.yield %9 : f32
  } -> tensor<5x6xf32>
  return %o : tensor<5x6xf32>
}

// -----

// Groups of queries that share keys, heads that share values, and copies of the
// result that only its init has a loop of.

// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d2, d0, d1, d4)>
// CHECK-DAG: #[[$K:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d3, d0, d4)>
// CHECK-DAG: #[[$S:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3)>
// CHECK-DAG: #[[$PP:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d3, d4)>
// CHECK-DAG: #[[$P:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d0, d1, d2, d3, d4)>
// CHECK-LABEL: func @shared(
// CHECK:         %[[p:.+]] = linalg.contract indexing_maps = [#[[$Q]], #[[$K]], #[[$S]]] {{.+}} -> tensor<2x3x5x7xf32>
// CHECK:         linalg.generic {indexing_maps = [#[[$PP]], #[[$P]]], {{.+}} ins(%[[p]] : tensor<2x3x5x7xf32>) outs(%{{.+}} : tensor<2x3x4x5x7xf32>)
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: f32):
// CHECK-NEXT:      linalg.yield %[[score]] : f32
// CHECK:         linalg.contract {{.+}} ins(%{{.+}} : tensor<2x3x4x5x7xf32>, tensor<7x6xf32>) {{.+}} -> tensor<4x5x2x3x6xf32>

// AGAIN-LABEL: func @shared(
// AGAIN-NOT:     linalg
// AGAIN:         structured.attention {{.+}} ins(%{{.+}} : tensor<5x2x3x8xf32>, tensor<7x2x8xf32>, tensor<7x6xf32>)
func.func @shared(%q: tensor<5x2x3x8xf32>, %k: tensor<7x2x8xf32>, %v: tensor<7x6xf32>,
                  %o0: tensor<4x5x2x3x6xf32>) -> tensor<4x5x2x3x6xf32> {
  %o = structured.attention
      indexing_maps = [affine_map<(h, g, c, t, l, d, e) -> (t, h, g, d)>,
                       affine_map<(h, g, c, t, l, d, e) -> (l, h, d)>,
                       affine_map<(h, g, c, t, l, d, e) -> (l, e)>,
                       affine_map<(h, g, c, t, l, d, e) -> (c, t, h, g, e)>]
      ins(%q, %k, %v : tensor<5x2x3x8xf32>, tensor<7x2x8xf32>, tensor<7x6xf32>)
      outs(%o0 : tensor<4x5x2x3x6xf32>) {
  ^bb0(%score: f32, %h: index, %g: index, %c: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<4x5x2x3x6xf32>
  return %o : tensor<4x5x2x3x6xf32>
}
