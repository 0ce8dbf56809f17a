// RUN: structured-opt %s --structured-block-sparse-to-vector=vector-bits=256 --canonicalize --cse | FileCheck %s
// RUN: not structured-opt %s --structured-block-sparse-to-vector=vector-bits=512 2>&1 | FileCheck %s --check-prefix=WIDE
// WIDE: error: panels of 8 rows do not fit vectors of 16 numbers

// CHECK-LABEL: func @aligned
// CHECK-SAME: %[[x:[^:]+]]: memref<8x32xf32>, %[[values:[^:]+]]: memref<20x8xf32>, %[[positions:[^:]+]]: memref<3xi32>, %[[coordinates:[^:]+]]: memref<20xi32>, %[[y:[^:]+]]: memref<8x16xf32>
func.func @aligned(%x: memref<8x32xf32>, %values: memref<20x8xf32>, %positions: memref<3xi32>,
                   %coordinates: memref<20xi32>, %y: memref<8x16xf32>) {
  // CHECK-NOT: mask
  // CHECK: scf.for %[[panel:.+]] = %{{.+}} to %{{.+}} step
  // CHECK: %[[begin32:.+]] = memref.load %[[positions]][%[[panel]]]
  // CHECK: %[[begin:.+]] = arith.index_cast %[[begin32]]
  // CHECK: %[[next:.+]] = arith.addi %[[panel]], %
  // CHECK: %[[end32:.+]] = memref.load %[[positions]][%[[next]]]
  // CHECK: %[[end:.+]] = arith.index_cast %[[end32]]
  // CHECK: %[[column:.+]] = arith.muli %[[panel]], %{{c8.*}}
  // CHECK-COUNT-8: vector.load %[[y]]
  // CHECK: %[[sums:.+]]:8 = scf.for %[[k:.+]] = %[[begin]] to %[[end]] step
  // CHECK: %[[c32:.+]] = memref.load %[[coordinates]][%[[k]]]
  // CHECK: %[[c:.+]] = arith.index_cast %[[c32]]
  // CHECK: %[[v:.+]] = vector.load %[[values]][%[[k]], %{{.+}}] : memref<20x8xf32>, vector<8xf32>
  // CHECK: %[[e:.+]] = memref.load %[[x]][%{{.+}}, %[[c]]]
  // CHECK: %[[b:.+]] = vector.broadcast %[[e]]
  // CHECK: vector.fma %[[b]], %[[v]]
  // CHECK-COUNT-7: vector.fma
  // CHECK-NOT: vector.fma
  // CHECK-COUNT-8: vector.store %{{.+}}, %[[y]]
  structured.block_sparse.matmul
      ins(%x, %values, %positions, %coordinates : memref<8x32xf32>,
          memref<20x8xf32>, memref<3xi32>, memref<20xi32>)
      outs(%y : memref<8x16xf32>)
  return
}

// One token: eight coordinates at once, whose sums are added at the end; what
// is left one by one. The second panel is masked.

// CHECK-LABEL: func @vector
func.func @vector(%x: memref<1x32xf32>, %values: memref<20x8xf16>, %positions: memref<3xi32>,
                  %coordinates: memref<20xi32>, %y: memref<1x13xf32>) {
  // CHECK: vector.create_mask
  // CHECK: vector.maskedload
  // CHECK: scf.for
  // CHECK-COUNT-8: arith.extf {{.*}} : vector<8xf16> to vector<8xf32>
  // CHECK-COUNT-7: arith.addf
  // CHECK: scf.for
  // CHECK: vector.fma
  // CHECK-NOT: vector.fma
  // CHECK: vector.maskedstore
  structured.block_sparse.matmul
      ins(%x, %values, %positions, %coordinates : memref<1x32xf32>,
          memref<20x8xf16>, memref<3xi32>, memref<20xi32>)
      outs(%y : memref<1x13xf32>)
  return
}

// An unknown number of tokens: tiles of 12, 6, 3 and one rows.

// CHECK-LABEL: func @dynamic
func.func @dynamic(%x: memref<?x32xf32>, %values: memref<20x8xf32>, %positions: memref<3xi32>,
                   %coordinates: memref<20xi32>, %y: memref<?x16xf32>) {
  // CHECK: scf.parallel
  // CHECK: scf.for {{.*}} step %c12
  // CHECK: scf.for {{.*}} step %c6
  // CHECK: scf.for {{.*}} step %c3
  // CHECK: scf.for {{.*}} step %c1
  structured.block_sparse.matmul
      ins(%x, %values, %positions, %coordinates : memref<?x32xf32>,
          memref<20x8xf32>, memref<3xi32>, memref<20xi32>)
      outs(%y : memref<?x16xf32>)
  return
}
