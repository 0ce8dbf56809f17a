// RUN: structured-opt %s --structured-to-linalg --split-input-file | FileCheck %s

// One loop for each rank; the components of rank 0 and of no rows are left out.
// Those of rank 1 do not wrap around, so each has one run of columns and rows;
// one of rank 2 wraps around the columns.

// CHECK-LABEL: func @gblr
// CHECK-SAME: %[[x:[^:]+]]: tensor<?x8xf32>, %[[u:[^:]+]]: tensor<27xf32>, %[[v:[^:]+]]: tensor<20xf32>, %[[o0:[^:]+]]: tensor<?x12xf32>
func.func @gblr(%x: tensor<?x8xf32>, %u: tensor<27xf32>, %v: tensor<20xf32>,
                %o0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: %[[c2:.+]] = arith.constant 2 : index
  // CHECK: %[[rank1:.+]] = scf.for %[[k:.+]] = %{{.+}} to %[[c2]] step %{{.+}} iter_args(%[[sum:.+]] = %[[o0]])
  // The places in v of components 0 and 3: 3 and 2·5 numbers come before 3.
  // CHECK: %[[offsets:.+]] = arith.constant dense<[0, 13]> : tensor<2xi64>
  // CHECK: %[[entry:.+]] = tensor.extract %[[offsets]][%[[k]]]
  // CHECK: %[[offset:.+]] = arith.index_cast %[[entry]]
  // CHECK: arith.constant dense<[3, 7]> : tensor<2xi64>
  // CHECK: arith.constant dense<[0, 1]> : tensor<2xi64>
  // CHECK: tensor.extract_slice %[[v]][%[[offset]]]
  // CHECK: tensor.expand_shape {{.*}} into tensor<1x?xf32>
  // CHECK: tensor.extract_slice %[[x]]
  // CHECK: %[[a:.+]] = linalg.contract {{.*}} -> tensor<?x1xf32>
  // CHECK: tensor.extract_slice %[[u]]
  // CHECK: %[[slice:.+]] = tensor.extract_slice %[[sum]]
  // CHECK: %[[o:.+]] = linalg.contract {{.*}} ins(%[[a]], {{.*}} outs(%[[slice]]
  // CHECK: %[[next:.+]] = tensor.insert_slice %[[o]] into %[[sum]]
  // CHECK-NOT: linalg.contract
  // CHECK: scf.yield %[[next]]
  // CHECK: %[[rank2:.+]] = scf.for {{.*}} iter_args(%{{.+}} = %[[rank1]])
  // CHECK-COUNT-2: linalg.contract {{.*}} -> tensor<?x2xf32>
  // CHECK: linalg.contract {{.*}} -> tensor<?x?xf32>
  // CHECK-NOT: linalg.contract
  // CHECK: return %[[rank2]]
  %o = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 8 + 4, cols 0 + 3, rank 1>, <rows 0 + 6, cols 6 + 5, rank 2>,
        <rows 3 + 0, cols 0 + 0, rank 4>, <rows 0 + 11, cols 1 + 7, rank 1>,
        <rows 3 + 5, cols 0 + 5, rank 0>]>
      ins(%x, %u, %v : tensor<?x8xf32>, tensor<27xf32>, tensor<20xf32>)
      outs(%o0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %o : tensor<?x12xf32>
}

// -----

// No component, no work; sums of narrow types are in f32.

// CHECK-LABEL: func @empty
// CHECK-NEXT: return %arg3
func.func @empty(%x: tensor<5x8xf32>, %u: tensor<0xf32>, %v: tensor<0xf32>,
                 %o0: tensor<5x12xf32>) -> tensor<5x12xf32> {
  %o = structured.gblr.matmul layout = <out = 12, in = 8, components = []>
      ins(%x, %u, %v : tensor<5x8xf32>, tensor<0xf32>, tensor<0xf32>)
      outs(%o0 : tensor<5x12xf32>) -> tensor<5x12xf32>
  return %o : tensor<5x12xf32>
}

// CHECK-LABEL: func @gblr_bf16
// CHECK: arith.extf
// CHECK: scf.for {{.*}} -> (tensor<5x12xf32>)
// CHECK: linalg.contract {{.*}} -> tensor<5x1xf32>
// CHECK: arith.truncf
func.func @gblr_bf16(%x: tensor<5x8xbf16>, %u: tensor<4xbf16>, %v: tensor<3xbf16>,
                     %o0: tensor<5x12xbf16>) -> tensor<5x12xbf16> {
  %o = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [<rows 10 + 4, cols 0 + 3, rank 1>]>
      ins(%x, %u, %v : tensor<5x8xbf16>, tensor<4xbf16>, tensor<3xbf16>)
      outs(%o0 : tensor<5x12xbf16>) -> tensor<5x12xbf16>
  return %o : tensor<5x12xbf16>
}
