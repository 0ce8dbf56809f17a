// One budget for all layers: the exact BLAST matrix gets the little it takes, the
// important one more than the other. The plan is within the budget.
// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: %python %S/Inputs/write_tensors.py %t/w.safetensors easy.weight=64x64:blast,2,8,1 hard.weight=64x64:random,2 other.weight=64x64:random,3
// RUN: structured-opt %t/model.mlir --structured-plan="keep=0.6 blocks=2 allocate=global weights=%t/w.safetensors importance=%t/importance.json write=%t/plan.json" | FileCheck %t/model.mlir
// RUN: %python %t/check.py %t/plan.json 0.6
// The written plan can be read.
// RUN: structured-opt %t/model.mlir --structured-plan="read=%t/plan.json" | FileCheck %t/model.mlir

// Blocks from a set; those that do not divide the sizes are passed over.
// RUN: structured-opt %t/model.mlir --structured-plan="keep=0.6 allocate=global candidate-blocks=1,2,3 weights=%t/w.safetensors" | FileCheck %s --check-prefix=BLOCKS
// BLOCKS: {layer = "easy", plan = #structured.plan<blast, blocks = 2 : 2

// With moments the errors are those of the outputs.
// RUN: %python %S/Inputs/write_moments.py %t/m.safetensors easy=64 hard=64 other=64
// RUN: structured-opt %t/model.mlir --structured-plan="keep=0.6 blocks=2 allocate=global weights=%t/w.safetensors moments=%t/m.safetensors write=%t/calibrated.json" -o /dev/null
// RUN: %python %t/check.py %t/calibrated.json 0.6

// DEFINE: %{options} =
// DEFINE: %{plan} = not structured-opt %t/model.mlir --structured-plan='weights=%t/w.safetensors %{options}' 2>&1 | FileCheck %s --check-prefix
// REDEFINE: %{options} = allocate=fair
// RUN: %{plan} FAIR
// FAIR: error: structured-plan: unknown allocation 'fair'; expected uniform or global
// REDEFINE: %{options} = allocate=global max-error=0.1
// RUN: %{plan} BOTH
// BOTH: error: structured-plan: allocate=global shares one budget and cannot be combined with max-error
// REDEFINE: %{options} = importance=%t/importance.json
// RUN: %{plan} UNIFORM
// UNIFORM: error: structured-plan: moments, importance, candidate-structures, budget, max-loss, read-curves and write-curves are for allocate=global
// REDEFINE: %{options} = allocate=global blocks=2 keep=0.01
// RUN: %{plan} BUDGET
// BUDGET: error: structured-plan: the budget of 122 is below the least possible cost, 3168
// REDEFINE: %{options} = allocate=global candidate-blocks=0
// RUN: %{plan} ZERO
// ZERO: error: structured-plan: there must be at least 1 block
// REDEFINE: %{options} = allocate=global blocks=2 importance=%t/missing.json
// RUN: %{plan} MISSING
// MISSING: error: structured-plan: '{{.*}}missing.json' does not name the layer 'hard'
// REDEFINE: %{options} = allocate=global blocks=2 importance=%t/negative.json
// RUN: %{plan} NEGATIVE
// NEGATIVE: error: structured-plan: '{{.*}}negative.json': 'easy' must be a number of at least 0
// RUN: %python %S/Inputs/write_moments.py %t/few.safetensors easy=64 --samples 15
// REDEFINE: %{options} = allocate=global blocks=2 moments=%t/few.safetensors
// RUN: %{plan} FEW
// FEW: error: layer 'easy': second moments of the inputs: 15 samples are too few

// REDEFINE: %{options} = allocate=global structure=dense
// RUN: %{plan} DENSE
// DENSE: error: structured-plan: allocate=global with structure=dense has nothing to choose

//--- importance.json
{"easy": 1, "hard": 10, "other": 1}
//--- missing.json
{"easy": 1}
//--- negative.json
{"easy": -1}
//--- check.py
import json
import sys

plan = json.load(open(sys.argv[1]))
layers = plan["layers"]
total, kept = (sum(layer[key] for layer in layers) for key in ("dense_parameters", "parameters"))
assert 0.85 * float(sys.argv[2]) * total < kept <= float(sys.argv[2]) * total, layers
allocation = plan["allocation"]
assert (allocation["budget"], allocation["cost"], allocation["dense_cost"],
        allocation["max_cost"]) == ("parameters", kept, total, int(float(sys.argv[2]) * total)), allocation
rank = {layer["layer"]: layer.get("rank", 64) for layer in layers}
error = {layer["layer"]: layer.get("expected_error", 0) for layer in layers}
if "calibrated" not in sys.argv[1]:
    loss = sum(w * error[name] ** 2 for name, w in (("easy", 1), ("hard", 10), ("other", 1)))
    assert abs(allocation["expected_loss"] - loss) < 1e-6 * loss, (allocation, loss)
    assert rank["easy"] <= 16 and error["easy"] < 0.05, layers
    assert rank["hard"] > rank["other"] and error["hard"] < error["other"], layers
assert all(0 <= e < 1 for e in error.values()), layers

//--- model.mlir
// CHECK: {layer = "easy", plan = #structured.plan<blast, blocks = 2 : 2, rank = {{8|16}}>}
// CHECK: {layer = "hard", plan = #structured.plan<{{dense|blast, blocks = 2 : 2, rank}}
// CHECK: {layer = "other", plan = #structured.plan<blast, blocks = 2 : 2, rank
func.func @main(%x: tensor<?x64xf32>, %y0: tensor<?x64xf32>)
    -> tensor<?x64xf32> {
  %w1 = structured.parameter "easy.weight" : tensor<64x64xf32>
  %w2 = structured.parameter "hard.weight" : tensor<64x64xf32>
  %w3 = structured.parameter "other.weight" : tensor<64x64xf32>
  %y1 = structured.linear {layer = "easy"}
      ins(%x, %w1 : tensor<?x64xf32>, tensor<64x64xf32>)
      outs(%y0 : tensor<?x64xf32>) -> tensor<?x64xf32>
  %y2 = structured.linear {layer = "hard"}
      ins(%y1, %w2 : tensor<?x64xf32>, tensor<64x64xf32>)
      outs(%y0 : tensor<?x64xf32>) -> tensor<?x64xf32>
  %y3 = structured.linear {layer = "other"}
      ins(%y2, %w3 : tensor<?x64xf32>, tensor<64x64xf32>)
      outs(%y0 : tensor<?x64xf32>) -> tensor<?x64xf32>
  return %y3 : tensor<?x64xf32>
}
