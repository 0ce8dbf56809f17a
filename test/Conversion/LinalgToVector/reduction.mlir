// RUN: structured-opt %s --structured-linalg-to-vector=vector-bits=512 --canonicalize --split-input-file | FileCheck %s

// Each lane sums its share; the masked remainder leaves other lanes alone.

// CHECK-LABEL: func @sum_of_squares
// CHECK: %[[zero:.+]] = arith.constant dense<{{-?}}0.000000e+00> : vector<16xf32>
// CHECK: scf.for %[[i:.+]] =
// CHECK: %[[full:.+]] = scf.for %[[j:.+]] = {{.*}} iter_args(%[[s:.+]] = %[[zero]])
// CHECK: %[[x:.+]] = vector.load %arg0[%[[i]], %[[j]]]
// CHECK: %[[xx:.+]] = arith.mulf %[[x]], %[[x]]
// CHECK: %[[n:.+]] = arith.addf
// CHECK: scf.yield %[[n]]
// CHECK: vector.maskedload
// CHECK: arith.select
// CHECK: %[[r:.+]] = vector.reduction <add>, %{{.*}} fastmath<reassoc> : vector<16xf32> into f32
// CHECK: %[[old:.+]] = memref.load %arg1[%[[i]]]
// CHECK: %[[new:.+]] = arith.addf %[[old]], %[[r]]
// CHECK: memref.store %[[new]], %arg1[%[[i]]]
func.func @sum_of_squares(%x: memref<4x40xf32>, %y: memref<4xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>,
                                   affine_map<(i, j) -> (i)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<4x40xf32>) outs(%y : memref<4xf32>) {
  ^bb0(%a: f32, %out: f32):
    %m = arith.mulf %a, %a : f32
    %s = arith.addf %out, %m : f32
    linalg.yield %s : f32
  }
  return
}

// -----

// A dot product, which structured-contractions-to-vector leaves.

// CHECK-LABEL: func @dot
// CHECK: vector.load %arg0
// CHECK: vector.load %arg1
// CHECK: vector.reduction <add>
func.func @dot(%a: memref<32xf32>, %b: memref<32xf32>, %c: memref<f32>) {
  linalg.dot ins(%a, %b : memref<32xf32>, memref<32xf32>) outs(%c : memref<f32>)
  return
}

// -----

// A reduction over rows has its vectors along the columns.

// CHECK-LABEL: func @columns
// CHECK: vector.load %arg0
// CHECK: vector.load %arg1
// CHECK: arith.maximumf
// CHECK: vector.store
// CHECK-NOT: vector.reduction
func.func @columns(%x: memref<4x32xf32>, %y: memref<32xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>,
                                   affine_map<(i, j) -> (j)>],
                  iterator_types = ["reduction", "parallel"]}
      ins(%x : memref<4x32xf32>) outs(%y : memref<32xf32>) {
  ^bb0(%a: f32, %out: f32):
    %m = arith.maximumf %a, %out : f32
    linalg.yield %m : f32
  }
  return
}

// -----

// Two results that depend on each other (the place of the largest) are no
// reductions that vectors can do.

// CHECK-LABEL: func @argmax
// CHECK-NOT: vector
// CHECK: arith.cmpf
func.func @argmax(%x: memref<32xf32>, %value: memref<f32>, %index: memref<i64>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>,
                                   affine_map<(i) -> ()>],
                  iterator_types = ["reduction"]}
      ins(%x : memref<32xf32>) outs(%value, %index : memref<f32>, memref<i64>) {
  ^bb0(%a: f32, %best: f32, %at: i64):
    %i = linalg.index 0 : index
    %ii = arith.index_cast %i : index to i64
    %better = arith.cmpf ogt, %a, %best : f32
    %newBest = arith.select %better, %a, %best : f32
    %newAt = arith.select %better, %ii, %at : i64
    linalg.yield %newBest, %newAt : f32, i64
  }
  return
}
