// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: structured-opt %t/attributes.mlir --structured-bind-parameters | FileCheck %t/attributes.mlir
// RUN: structured-opt %t/names.mlir --structured-bind-parameters="names=%t/names.json" | FileCheck %t/names.mlir
// RUN: structured-opt %t/called.mlir --structured-bind-parameters -verify-diagnostics
// RUN: structured-opt %t/memref.mlir --structured-bind-parameters -verify-diagnostics
// RUN: structured-opt %t/length.mlir --structured-bind-parameters="names=%t/names.json" -verify-diagnostics
// RUN: not structured-opt %t/names.mlir --structured-bind-parameters="names=%t/entry.json" 2>&1 | FileCheck --check-prefix=ENTRY %s
// RUN: not structured-opt %t/names.mlir --structured-bind-parameters="names=%t/broken.json" 2>&1 | FileCheck --check-prefix=BROKEN %s
// RUN: not structured-opt %t/names.mlir --structured-bind-parameters="names=%t/none.json" 2>&1 | FileCheck --check-prefix=NONE %s
// RUN: not structured-opt %t/two.mlir --structured-bind-parameters="names=%t/names.json" 2>&1 | FileCheck --check-prefix=TWO %s
// RUN: structured-opt %t/two.mlir --structured-bind-parameters="names=%t/names.json function=g" | FileCheck --check-prefix=G %s
// RUN: not structured-opt %t/two.mlir --structured-bind-parameters="names=%t/names.json function=h" 2>&1 | FileCheck --check-prefix=H %s

// ENTRY: entry 1 must be a weight's name, {"input": name} or null
// BROKEN: broken.json' is not JSON
// NONE: cannot read '{{.*}}none.json'
// TWO: the module has several functions: say with the option 'function' which one
// G: func.func @g
// G: structured.parameter "fc.weight"
// H: the module has no function 'h' with a body

//--- attributes.mlir
// The example of the pass's description.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf32>, %[[Y0:.*]]: tensor<4x12xf32>) -> tensor<4x12xf32>
// CHECK: %[[W:.*]] = structured.parameter "fc.weight" : tensor<12x8xf32>
// CHECK: structured.linear ins(%[[X]], %[[W]]
func.func @main(%x: tensor<4x8xf32>,
    %w: tensor<12x8xf32> {structured.parameter = "fc.weight"},
    %y0: tensor<4x12xf32>) -> tensor<4x12xf32> {
  %y = structured.linear ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}

//--- names.mlir
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%{{.*}}: tensor<4x8xf32> {structured.name = "x"}, %{{.*}}: tensor<4x12xf32>) -> tensor<12x8xf32>
// CHECK: structured.parameter "fc.weight" : tensor<12x8xf32>
func.func @main(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>,
                %y0: tensor<4x12xf32>) -> tensor<12x8xf32> {
  return %w : tensor<12x8xf32>
}

//--- names.json
[{"input": "x"}, "fc.weight", null]
//--- entry.json
[null, 3, null]
//--- broken.json
["fc.weight"

//--- called.mlir
// expected-error @below {{'callee' has parameters among its arguments and is called in the module; inline it first}}
func.func private @callee(
    %w: tensor<12x8xf32> {structured.parameter = "w"}) -> tensor<12x8xf32> {
  return %w : tensor<12x8xf32>
}
func.func @caller(%w: tensor<12x8xf32>) -> tensor<12x8xf32> {
  %0 = func.call @callee(%w) : (tensor<12x8xf32>) -> tensor<12x8xf32>
  return %0 : tensor<12x8xf32>
}

//--- memref.mlir
// expected-error @below {{argument 0 of 'f', the parameter 'w', must be a tensor of static shape, not 'memref<12x8xf32>'}}
func.func @f(%w: memref<12x8xf32> {structured.parameter = "w"}) {
  return
}

//--- length.mlir
// expected-error @below {{must be a JSON array of 1 entries, one for each argument of 'f'}}
func.func @f(%w: tensor<12x8xf32>) {
  return
}

//--- two.mlir
func.func @f(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>, %y: tensor<4xf32>) {
  return
}
func.func @g(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>, %y: tensor<4xf32>)
    -> tensor<12x8xf32> {
  return %w : tensor<12x8xf32>
}
