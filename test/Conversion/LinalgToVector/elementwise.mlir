// RUN: structured-opt %s --structured-linalg-to-vector=vector-bits=512 --canonicalize --split-input-file | FileCheck %s

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// CHECK-LABEL: func @scale
// CHECK-SAME: %[[x:[^:]+]]: memref<4x32xf32>, %[[s:[^:]+]]: memref<4xf32>, %[[y:[^:]+]]: memref<4x32xf32>
func.func @scale(%x: memref<4x32xf32>, %s: memref<4xf32>, %y: memref<4x32xf32>) {
  // CHECK-DAG: %[[c0:.+]] = arith.constant 0 : index
  // CHECK-DAG: %[[c16:.+]] = arith.constant 16 : index
  // CHECK-DAG: %[[c32:.+]] = arith.constant 32 : index
  // CHECK: scf.for %[[i:.+]] = %[[c0]]
  // CHECK: scf.for %[[j:.+]] = %[[c0]] to %[[c32]] step %[[c16]]
  // CHECK: %[[a:.+]] = vector.load %[[x]][%[[i]], %[[j]]] : memref<4x32xf32>, vector<16xf32>
  // CHECK: %[[b:.+]] = memref.load %[[s]][%[[i]]]
  // CHECK: %[[bv:.+]] = vector.broadcast %[[b]] : f32 to vector<16xf32>
  // CHECK: %[[m:.+]] = arith.mulf %[[a]], %[[bv]] : vector<16xf32>
  // CHECK: vector.store %[[m]], %[[y]][%[[i]], %[[j]]]
  // CHECK-NOT: mask
  linalg.generic {indexing_maps = [#ij, #i, #ij],
                  iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : memref<4x32xf32>, memref<4xf32>)
      outs(%y : memref<4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %m = arith.mulf %a, %b : f32
    linalg.yield %m : f32
  }
  return
}

// -----

// A remainder is masked, what is the same for all lanes stays scalar, and
// integers of another width have as many lanes.

// CHECK-LABEL: func @remainder
// CHECK: %[[bias:.+]] = memref.load %arg1[]
// CHECK: %[[twice:.+]] = arith.addf %[[bias]], %[[bias]] : f32
// CHECK: vector.broadcast %[[twice]]
// CHECK: %[[mask:.+]] = vector.{{create|constant}}_mask
// CHECK: vector.maskedload %arg0{{.*}} vector<16xi64>
// CHECK: arith.sitofp %{{.*}} : vector<16xi64> to vector<16xf32>
// CHECK: vector.maskedstore %arg2
func.func @remainder(%x: memref<19xi64>, %s: memref<f32>, %y: memref<19xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> ()>,
                                   affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%x, %s : memref<19xi64>, memref<f32>) outs(%y : memref<19xf32>) {
  ^bb0(%a: i64, %b: f32, %out: f32):
    %f = arith.sitofp %a : i64 to f32
    %twice = arith.addf %b, %b : f32
    %m = arith.mulf %f, %twice : f32
    linalg.yield %m : f32
  }
  return
}

// -----

// Rows gathered from a table: the row's index is scalar, the columns are lanes.

// CHECK-LABEL: func @gather
// CHECK: scf.parallel (%[[i:.+]]) =
// CHECK: scf.for %[[j:.+]] =
// CHECK: %[[id:.+]] = memref.load %arg0[%[[i]]]
// CHECK: %[[row:.+]] = arith.index_cast %[[id]]
// CHECK: %[[v:.+]] = vector.load %arg1[%[[row]], %[[j]]]
// CHECK: vector.store %[[v]], %arg2[%[[i]], %[[j]]]
func.func @gather(%ids: memref<1024xi64>, %table: memref<100x384xf32>,
                  %y: memref<1024x384xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>,
                                   affine_map<(i, j) -> (i, j)>],
                  iterator_types = ["parallel", "parallel"]}
      ins(%ids : memref<1024xi64>) outs(%y : memref<1024x384xf32>) {
  ^bb0(%id: i64, %out: f32):
    %row = arith.index_cast %id : i64 to index
    %column = linalg.index 1 : index
    %value = memref.load %table[%row, %column] : memref<100x384xf32>
    linalg.yield %value : f32
  }
  return
}

// -----

// Neither loop of a transpose is contiguous in both: scalar loops. memref.copy
// is lowered too.

// CHECK-LABEL: func @transpose
// CHECK: memref.load %arg0
// CHECK: memref.store %{{.*}}, %arg1
// CHECK: vector.maskedload %arg1
// CHECK: vector.maskedstore %arg2
// CHECK-NOT: memref.copy
func.func @transpose(%x: memref<8x16xf32>, %y: memref<16x8xf32>,
                     %z: memref<16x8xf32, strided<[10, 1]>>) {
  linalg.transpose ins(%x : memref<8x16xf32>) outs(%y : memref<16x8xf32>)
      permutation = [1, 0]
  memref.copy %y, %z : memref<16x8xf32> to memref<16x8xf32, strided<[10, 1]>>
  return
}

// -----

// i1 has no vector layout in memory: scalar.

// CHECK-LABEL: func @bools
// CHECK-NOT: vector
// CHECK: memref.load %arg0{{.*}} memref<32xi1>
func.func @bools(%x: memref<32xi1>, %y: memref<32xf32>) {
  linalg.generic {indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
                  iterator_types = ["parallel"]}
      ins(%x : memref<32xi1>) outs(%y : memref<32xf32>) {
  ^bb0(%a: i1, %out: f32):
    %f = arith.uitofp %a : i1 to f32
    linalg.yield %f : f32
  }
  return
}
