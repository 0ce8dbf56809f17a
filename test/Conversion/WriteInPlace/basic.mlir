// RUN: structured-opt %s --structured-write-in-place --split-input-file | FileCheck %s

#all = affine_map<(i, j) -> (i, j)>
#row = affine_map<(i, j) -> (j)>

// CHECK-LABEL: func.func @example
// CHECK: %[[P:.*]] = structured.linear
// CHECK: linalg.generic {{.*}} ins(%[[P]], %{{.*}} : {{.*}}) outs(%[[P]] :
func.func @example(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>, %b: tensor<12xf32>, %zeros: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %p = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>) outs(%zeros : tensor<4x12xf32>) -> tensor<4x12xf32>
  %e = tensor.empty() : tensor<4x12xf32>
  %y = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%p, %b : tensor<4x12xf32>, tensor<12xf32>) outs(%e : tensor<4x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  } -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

// -----

// A reshape of the product is as good. A contraction is a product, too.

#all = affine_map<(i, j, k) -> (i, j, k)>

// CHECK-LABEL: func.func @reshape
// CHECK: %[[P:.*]] = tensor.expand_shape
// CHECK: linalg.generic {{.*}} ins(%[[P]] : {{.*}}) outs(%[[P]] :
func.func @reshape(%x: tensor<4x8xf32>, %w: tensor<8x12xf32>, %zeros: tensor<4x12xf32>) -> tensor<4x3x4xf32> {
  %p = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x12xf32>) outs(%zeros : tensor<4x12xf32>) -> tensor<4x12xf32>
  %r = tensor.expand_shape %p [[0], [1, 2]] output_shape [4, 3, 4] : tensor<4x12xf32> into tensor<4x3x4xf32>
  %e = tensor.empty() : tensor<4x3x4xf32>
  %y = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%r : tensor<4x3x4xf32>) outs(%e : tensor<4x3x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.negf %a : f32
    linalg.yield %s : f32
  } -> tensor<4x3x4xf32>
  return %y : tensor<4x3x4xf32>
}

// -----

// Left: what something else reads, what is no product, a transpose, another
// type, an op that reads what it writes.

#all = affine_map<(i, j) -> (i, j)>
#swapped = affine_map<(i, j) -> (j, i)>

// CHECK-LABEL: func.func @others
// CHECK: %[[E:.*]] = tensor.empty() : tensor<4x4xf32>
// CHECK-COUNT-3: linalg.generic {{.*}} outs(%[[E]] :
// CHECK: %[[NARROW:.*]] = tensor.empty() : tensor<4x4xf16>
// CHECK: linalg.generic {{.*}} outs(%[[NARROW]] :
// CHECK: linalg.generic {{.*}} outs(%[[E]] :
func.func @others(%x: tensor<4x4xf32>, %w: tensor<4x4xf32>, %zeros: tensor<4x4xf32>)
    -> (tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf16>, tensor<4x4xf32>) {
  %e = tensor.empty() : tensor<4x4xf32>
  %p0 = structured.linear ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zeros : tensor<4x4xf32>) -> tensor<4x4xf32>
  %y0 = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%p0 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.negf %a : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  %y1 = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%y0 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.negf %a : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  %p2 = structured.linear ins(%x, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%y1 : tensor<4x4xf32>) -> tensor<4x4xf32>
  %y2 = linalg.generic {indexing_maps = [#swapped, #all], iterator_types = ["parallel", "parallel"]}
      ins(%p2 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    linalg.yield %a : f32
  } -> tensor<4x4xf32>
  %p3 = structured.linear ins(%y2, %w : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zeros : tensor<4x4xf32>) -> tensor<4x4xf32>
  %e16 = tensor.empty() : tensor<4x4xf16>
  %y3 = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%p3 : tensor<4x4xf32>) outs(%e16 : tensor<4x4xf16>) {
  ^bb0(%a: f32, %o: f16):
    %s = arith.truncf %a : f32 to f16
    linalg.yield %s : f16
  } -> tensor<4x4xf16>
  %p4 = structured.linear ins(%x, %y2 : tensor<4x4xf32>, tensor<4x4xf32>) outs(%zeros : tensor<4x4xf32>) -> tensor<4x4xf32>
  %y4 = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%p4 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %o : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  return %p0, %y0, %y1, %y2, %y3, %y4 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf16>, tensor<4x4xf32>
}

// -----

// What is inserted is computed there: the slice's dimensions are split, and the
// place is computed before.

#all = affine_map<(i, j, k) -> (i, j, k)>

// CHECK-LABEL: func.func @insert
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<4x2x8xf32>, %[[C:[a-z0-9]+]]: tensor<9x16xf32>, %[[AT:[a-z0-9]+]]: tensor<index>
// CHECK: %[[I:.+]] = tensor.extract %[[AT]][]
// CHECK: %[[S:.+]] = tensor.extract_slice %[[C]][%[[I]], 0] [4, 16] [1, 1]
// CHECK: %[[O:.+]] = tensor.expand_shape %[[S]] {{\[\[}}0], [1, 2]]
// CHECK: %[[Y:.+]] = linalg.generic {{.*}} outs(%[[O]] :
// CHECK: %[[R:.+]] = tensor.collapse_shape %[[Y]] {{\[\[}}0], [1, 2]]
// CHECK: tensor.insert_slice %[[R]] into %[[C]][%[[I]], 0] [4, 16] [1, 1]
func.func @insert(%x: tensor<4x2x8xf32>, %c: tensor<9x16xf32>, %at: tensor<index>) -> tensor<9x16xf32> {
  %e = tensor.empty() : tensor<4x2x8xf32>
  %y = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<4x2x8xf32>) outs(%e : tensor<4x2x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.negf %a : f32
    linalg.yield %s : f32
  } -> tensor<4x2x8xf32>
  %r = tensor.collapse_shape %y [[0], [1, 2]] : tensor<4x2x8xf32> into tensor<4x16xf32>
  %i = tensor.extract %at[] : tensor<index>
  %n = tensor.insert_slice %r into %c[%i, 0] [4, 16] [1, 1] : tensor<4x16xf32> into tensor<9x16xf32>
  return %n : tensor<9x16xf32>
}

// -----

// It has another user.

#all = affine_map<(i, j, k) -> (i, j, k)>

// CHECK-LABEL: func.func @used
// CHECK-NOT: tensor.extract_slice
func.func @used(%x: tensor<4x2x8xf32>, %c: tensor<9x16xf32>) -> (tensor<4x2x8xf32>, tensor<9x16xf32>) {
  %e = tensor.empty() : tensor<4x2x8xf32>
  %y = linalg.generic {indexing_maps = [#all, #all], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%x : tensor<4x2x8xf32>) outs(%e : tensor<4x2x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.negf %a : f32
    linalg.yield %s : f32
  } -> tensor<4x2x8xf32>
  %r = tensor.collapse_shape %y [[0], [1, 2]] : tensor<4x2x8xf32> into tensor<4x16xf32>
  %n = tensor.insert_slice %r into %c[0, 0] [4, 16] [1, 1] : tensor<4x16xf32> into tensor<9x16xf32>
  return %y, %n : tensor<4x2x8xf32>, tensor<9x16xf32>
}
