// RUN: structured-opt %s --structured-tile-layers=tokens=32 --canonicalize --split-input-file | FileCheck %s

// CHECK-LABEL: func @blast
// CHECK: scf.forall (%[[t:.+]]) = (0) to (128) step (32) shared_outs(%[[out:.+]] = %{{.+}}) -> (tensor<128x12xf32>)
// CHECK: %[[xt:.+]] = tensor.extract_slice %arg0[%[[t]], 0] [32, 8] [1, 1]
// CHECK: %[[ot:.+]] = tensor.extract_slice %[[out]][%[[t]], 0] [32, 12] [1, 1]
// CHECK: %[[yt:.+]] = structured.blast.matmul ins(%[[xt]], %arg1, %arg2, %arg3
// CHECK-SAME: outs(%[[ot]]
// CHECK: tensor.parallel_insert_slice %[[yt]] into %[[out]][%[[t]], 0] [32, 12] [1, 1]
func.func @blast(%x: tensor<128x8xf32>, %u: tensor<3x4x5xf32>,
                 %s: tensor<3x2x5xf32>, %vt: tensor<2x5x4xf32>,
                 %o0: tensor<128x12xf32>) -> tensor<128x12xf32> {
  %o = structured.blast.matmul
      ins(%x, %u, %s, %vt : tensor<128x8xf32>, tensor<3x4x5xf32>,
                            tensor<3x2x5xf32>, tensor<2x5x4xf32>)
      outs(%o0 : tensor<128x12xf32>) -> tensor<128x12xf32>
  return %o : tensor<128x12xf32>
}

// -----

// A number of tokens that is unknown, or no multiple of the tile.

// CHECK-LABEL: func @dynamic
// CHECK: scf.forall
// CHECK: affine.min
// CHECK: structured.gblr.matmul {{.*}} tensor<?x8xf32>
func.func @dynamic(%x: tensor<?x8xf32>, %u: tensor<4xf32>, %v: tensor<3xf32>,
                   %o0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %o = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [<rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<?x8xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%o0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %o : tensor<?x12xf32>
}

// -----

// Nothing to gain: dense layers, and no more tokens than a tile.

// CHECK-LABEL: func @untiled
// CHECK-NOT: scf.forall
// CHECK: return
func.func @untiled(%x: tensor<128x8xf32>, %w: tensor<12x8xf32>, %o0: tensor<128x12xf32>,
                   %x1: tensor<32x8xf32>, %u: tensor<4xf32>, %v: tensor<3xf32>,
                   %o1: tensor<32x12xf32>) -> (tensor<128x12xf32>, tensor<32x12xf32>) {
  %0 = structured.linear ins(%x, %w : tensor<128x8xf32>, tensor<12x8xf32>)
      outs(%o0 : tensor<128x12xf32>) -> tensor<128x12xf32>
  %1 = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [<rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x1, %u, %v : tensor<32x8xf32>, tensor<4xf32>, tensor<3xf32>)
      outs(%o1 : tensor<32x12xf32>) -> tensor<32x12xf32>
  return %0, %1 : tensor<128x12xf32>, tensor<32x12xf32>
}

// -----

// A factor without numbers is not sliced: a slice must begin inside.

// CHECK-LABEL: func @empty_factor
// CHECK: scf.forall
// CHECK: structured.gblr.matmul {{.*}} ins(%{{.+}}, %arg1, %arg2 :
func.func @empty_factor(%x: tensor<?x8xf32>, %u: tensor<4xf32>, %v: tensor<0xf32>,
                        %o0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %o = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [<rows 10 + 4, cols 2 + 0, rank 1>]>
      ins(%x, %u, %v : tensor<?x8xf32>, tensor<4xf32>, tensor<0xf32>)
      outs(%o0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %o : tensor<?x12xf32>
}
