// RUN: structured-opt %s | structured-opt | FileCheck %s
// RUN: structured-opt %s --mlir-print-op-generic | structured-opt | FileCheck %s
// RUN: structured-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" \
// RUN:   | FileCheck %s --check-prefix=BUFFERS
// RUN: structured-opt %s --canonicalize --cse | FileCheck %s --check-prefix=CLEAN

// CHECK-DAG: #[[$Q:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d1, d0, d3)>
// CHECK-DAG: #[[$K:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d2, d0, d3)>
// CHECK-DAG: #[[$V:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d2, d0, d4)>
// CHECK-DAG: #[[$O:.+]] = affine_map<(d0, d1, d2, d3, d4) -> (d1, d0, d4)>
#q = affine_map<(h, t, l, d, e) -> (t, h, d)>
#k = affine_map<(h, t, l, d, e) -> (l, h, d)>
#v = affine_map<(h, t, l, d, e) -> (l, h, e)>
#o = affine_map<(h, t, l, d, e) -> (t, h, e)>

// The region reads a tensor from outside. Bufferized, it reads a buffer, and the
// result is in init's, which is not read.

// CHECK-LABEL: func @causal(
// CHECK:         structured.attention indexing_maps = [#[[$Q]], #[[$K]], #[[$V]], #[[$O]]] {unit} ins(%{{.+}}, %{{.+}}, %{{.+}} : tensor<?x8x64xf32>, tensor<?x8x64xf32>, tensor<?x8x32xf32>) outs(%{{.+}} : tensor<?x8x32xf32>) {
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: index, %[[t:.+]]: index, %[[l:.+]]: index):
// CHECK-NEXT:      tensor.extract
// CHECK:           arith.cmpi ule, %[[l]], %{{.+}} : index
// CHECK:           structured.yield %{{.+}} : f32
// CHECK-NEXT:    } -> tensor<?x8x32xf32>

// BUFFERS-LABEL: func @causal(
// BUFFERS-SAME:    %[[q:[^ ]+]]: memref<?x8x64xf32>, %[[k:[^ ]+]]: memref<?x8x64xf32>, %[[v:[^ ]+]]: memref<?x8x32xf32>, %[[o:[^ ]+]]: memref<?x8x32xf32>, %[[position:[^ ]+]]: memref<1xindex>)
// BUFFERS-NOT:     alloc
// BUFFERS-NOT:     copy
// BUFFERS:         structured.attention {{.+}} {unit} ins(%[[q]], %[[k]], %[[v]] : memref<?x8x64xf32>, memref<?x8x64xf32>, memref<?x8x32xf32>) outs(%[[o]] : memref<?x8x32xf32>) {
// BUFFERS-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: index, %[[t:.+]]: index, %[[l:.+]]: index):
// BUFFERS-NEXT:      %[[first:.+]] = memref.load %[[position]][%{{.+}}] : memref<1xindex>
// BUFFERS-NEXT:      arith.addi %[[first]], %[[t]] : index
// BUFFERS:           structured.yield %{{.+}} : f32
// BUFFERS-NEXT:    }
// BUFFERS-NEXT:    return %[[o]]
func.func @causal(%q: tensor<?x8x64xf32>, %k: tensor<?x8x64xf32>, %v: tensor<?x8x32xf32>,
                  %o0: tensor<?x8x32xf32>, %position: tensor<1xindex>) -> tensor<?x8x32xf32> {
  %c0 = arith.constant 0 : index
  %infinity = arith.constant 0xFF800000 : f32
  %o = structured.attention indexing_maps = [#q, #k, #v, #o] {unit}
      ins(%q, %k, %v : tensor<?x8x64xf32>, tensor<?x8x64xf32>, tensor<?x8x32xf32>)
      outs(%o0 : tensor<?x8x32xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %first = tensor.extract %position[%c0] : tensor<1xindex>
    %last = arith.addi %first, %t : index
    %seen = arith.cmpi ule, %l, %last : index
    %masked = arith.select %seen, %score, %infinity : f32
    structured.yield %masked : f32
  } -> tensor<?x8x32xf32>
  return %o : tensor<?x8x32xf32>
}

// Of an init that is used later there is a buffer of its own, without a copy. A
// constant in the region moves out of it.

// CHECK-LABEL: func @init_used(

// BUFFERS-LABEL: func @init_used(
// BUFFERS-SAME:    %[[o:[^ ]+]]: memref<5x2x6xf32>)
// BUFFERS:         %[[a:.+]] = memref.alloc() {{.+}} : memref<5x2x6xf32>
// BUFFERS-NOT:     copy
// BUFFERS:         structured.attention {{.+}} outs(%[[a]] : memref<5x2x6xf32>)
// BUFFERS:         return %[[a]], %[[o]]

// CLEAN-LABEL: func @init_used(
// CLEAN-NEXT:    %[[scale:.+]] = arith.constant 2.500000e-01 : f32
// CLEAN-NEXT:    structured.attention
// CLEAN-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: index, %{{.+}}: index, %{{.+}}: index):
// CLEAN-NEXT:      %[[scaled:.+]] = arith.mulf %[[score]], %[[scale]] : f32
// CLEAN-NEXT:      structured.yield %[[scaled]] : f32
func.func @init_used(%q: tensor<5x2x8xbf16>, %k: tensor<7x2x8xbf16>, %v: tensor<7x2x6xbf16>,
                     %o0: tensor<5x2x6xf32>) -> (tensor<5x2x6xf32>, tensor<5x2x6xf32>) {
  %o = structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : tensor<5x2x8xbf16>, tensor<7x2x8xbf16>, tensor<7x2x6xbf16>)
      outs(%o0 : tensor<5x2x6xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %half = arith.constant 0.5 : f32
    %scale = arith.mulf %half, %half : f32
    %scaled = arith.mulf %score, %scale : f32
    structured.yield %scaled : f32
  } -> tensor<5x2x6xf32>
  return %o, %o0 : tensor<5x2x6xf32>, tensor<5x2x6xf32>
}

// An init that the region reads is not written.

// CHECK-LABEL: func @init_read(

// BUFFERS-LABEL: func @init_read(
// BUFFERS-SAME:    %[[o:[^ ]+]]: memref<5x2x6xf32>)
// BUFFERS:         %[[a:.+]] = memref.alloc() {{.+}} : memref<5x2x6xf32>
// BUFFERS:         structured.attention {{.+}} outs(%[[a]] : memref<5x2x6xf32>)
// BUFFERS:           memref.load %[[o]]
func.func @init_read(%q: tensor<5x2x8xf32>, %k: tensor<7x2x8xf32>, %v: tensor<7x2x6xf32>,
                     %o0: tensor<5x2x6xf32>) -> tensor<5x2x6xf32> {
  %c0 = arith.constant 0 : index
  %o = structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : tensor<5x2x8xf32>, tensor<7x2x8xf32>, tensor<7x2x6xf32>)
      outs(%o0 : tensor<5x2x6xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %sink = tensor.extract %o0[%t, %h, %c0] : tensor<5x2x6xf32>
    %masked = arith.addf %score, %sink : f32
    structured.yield %masked : f32
  } -> tensor<5x2x6xf32>
  return %o : tensor<5x2x6xf32>
}

// No result that is used, no op; two of the same are one.

// CLEAN-LABEL: func @unused(
// CLEAN-NEXT:    return
func.func @unused(%q: tensor<5x2x8xf32>, %k: tensor<7x2x8xf32>, %v: tensor<7x2x6xf32>,
                  %o0: tensor<5x2x6xf32>) {
  %o = structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : tensor<5x2x8xf32>, tensor<7x2x8xf32>, tensor<7x2x6xf32>)
      outs(%o0 : tensor<5x2x6xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x2x6xf32>
  return
}

// CLEAN-LABEL: func @twice(
// CLEAN-COUNT-1: structured.attention
// CLEAN-NOT:     structured.attention
// CLEAN:         return %[[o:.+]], %[[o]] :
func.func @twice(%q: tensor<5x2x8xf32>, %k: tensor<7x2x8xf32>, %v: tensor<7x2x6xf32>,
                 %o0: tensor<5x2x6xf32>) -> (tensor<5x2x6xf32>, tensor<5x2x6xf32>) {
  %o = structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : tensor<5x2x8xf32>, tensor<7x2x8xf32>, tensor<7x2x6xf32>)
      outs(%o0 : tensor<5x2x6xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x2x6xf32>
  %p = structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : tensor<5x2x8xf32>, tensor<7x2x8xf32>, tensor<7x2x6xf32>)
      outs(%o0 : tensor<5x2x6xf32>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  } -> tensor<5x2x6xf32>
  return %o, %p : tensor<5x2x6xf32>, tensor<5x2x6xf32>
}

// On memrefs it writes, and stays. Grouped heads, f16.

// CHECK-LABEL: func @memrefs(
// CHECK:         structured.attention {{.+}} ins({{.+}} : memref<5x2x3x8xf16>, memref<7x2x8xf16>, memref<7x6xf16, strided<[9, 1]>>) outs(%{{.+}} : memref<5x2x3x6xf16>) {
// CHECK-NEXT:    ^bb0(%[[score:.+]]: f32, %{{.+}}: index, %{{.+}}: index, %{{.+}}: index, %{{.+}}: index):
// CHECK-NEXT:      structured.yield %[[score]] : f32
// CHECK-NEXT:    }
// CHECK-NEXT:    return

// CLEAN-LABEL: func @memrefs(
// CLEAN:         structured.attention
func.func @memrefs(%q: memref<5x2x3x8xf16>, %k: memref<7x2x8xf16>, %v: memref<7x6xf16, strided<[9, 1]>>,
                   %o: memref<5x2x3x6xf16>) {
  structured.attention
      indexing_maps = [affine_map<(h, g, t, l, d, e) -> (t, h, g, d)>,
                       affine_map<(h, g, t, l, d, e) -> (l, h, d)>,
                       affine_map<(h, g, t, l, d, e) -> (l, e)>,
                       affine_map<(h, g, t, l, d, e) -> (t, h, g, e)>]
      ins(%q, %k, %v : memref<5x2x3x8xf16>, memref<7x2x8xf16>, memref<7x6xf16, strided<[9, 1]>>)
      outs(%o : memref<5x2x3x6xf16>) {
  ^bb0(%score: f32, %h: index, %g: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}
