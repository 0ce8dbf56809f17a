// RUN: structured-opt %s --structured-to-linalg --split-input-file | FileCheck %s

// Component 0 wraps around the rows and is inside the columns; component 1
// wraps around the columns; component 2 is empty.

// CHECK-LABEL: func @gblr
// CHECK-SAME: %[[x:[^:]+]]: tensor<?x8xf32>, %[[u:[^:]+]]: tensor<16xf32>, %[[v:[^:]+]]: tensor<13xf32>, %[[o0:[^:]+]]: tensor<?x12xf32>
func.func @gblr(%x: tensor<?x8xf32>, %u: tensor<16xf32>, %v: tensor<13xf32>,
                %o0: tensor<?x12xf32>) -> tensor<?x12xf32> {
  // CHECK: %[[x0:.+]] = tensor.extract_slice %[[x]][0, 0] [%{{.+}}, 3] [1, 1]
  // CHECK: %[[v0:.+]] = tensor.extract_slice %[[v]][0] [3] [1]
  // CHECK: %[[a0:.+]] = linalg.contract {{.*}} ins(%[[x0]], {{.*}} -> tensor<?x1xf32>
  // CHECK: tensor.extract_slice %[[o0]][0, 10] [%{{.+}}, 2] [1, 1]
  // CHECK: linalg.contract {{.*}} ins(%[[a0]], {{.*}} -> tensor<?x2xf32>
  // CHECK: %[[o1:.+]] = tensor.insert_slice {{.*}} into %[[o0]][0, 10]
  // CHECK: tensor.extract_slice %[[o1]][0, 0] [%{{.+}}, 2] [1, 1]
  // CHECK: linalg.contract {{.*}} ins(%[[a0]], {{.*}} -> tensor<?x2xf32>
  // CHECK: %[[o2:.+]] = tensor.insert_slice {{.*}} into %[[o1]][0, 0]
  // CHECK: tensor.extract_slice %[[x]][0, 6] [%{{.+}}, 2] [1, 1]
  // CHECK: tensor.extract_slice %[[v]][3] [10] [1]
  // CHECK: %[[a1:.+]] = linalg.contract {{.*}} -> tensor<?x2xf32>
  // CHECK: tensor.extract_slice %[[x]][0, 0] [%{{.+}}, 3] [1, 1]
  // CHECK: %[[a2:.+]] = linalg.contract {{.*}} outs(%[[a1]] :
  // CHECK: tensor.extract_slice %[[u]][4] [12] [1]
  // CHECK: linalg.contract {{.*}} ins(%[[a2]], {{.*}} -> tensor<?x6xf32>
  // CHECK: %[[o3:.+]] = tensor.insert_slice {{.*}} into %[[o2]][0, 0]
  // CHECK-NOT: linalg.contract
  // CHECK: return %[[o3]]
  %o = structured.gblr.matmul
      layout = <out = 12, in = 8, components = [
        <rows 10 + 4, cols 0 + 3, rank 1>, <rows 0 + 6, cols 6 + 5, rank 2>,
        <rows 3 + 0, cols 0 + 0, rank 4>]>
      ins(%x, %u, %v : tensor<?x8xf32>, tensor<16xf32>, tensor<13xf32>)
      outs(%o0 : tensor<?x12xf32>) -> tensor<?x12xf32>
  return %o : tensor<?x12xf32>
}
