// Structures that compete, budgets of parameters, multiply-adds and errors, and
// error curves in files.
// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: %python %S/Inputs/write_tensors.py %t/w.safetensors blocks.weight=64x64:blast,8,3,1 intervals.weight=64x64:gblr,1 many.weight=64x64:random,3 few.weight=64x64:random,3
// DEFINE: %{options} =
// DEFINE: %{plan} = structured-opt %t/model.mlir --structured-plan='allocate=global blocks=8 rank-multiple=4 iterations=100 weights=%t/w.safetensors %{options}'

// The example of the pass's description: the matrix that is exactly BLAST becomes BLAST, the one that is exactly GBLR
// becomes GBLR, each of few parameters.
// REDEFINE: %{options} = keep=0.35 candidate-structures=blast,gblr write=%t/both.json write-curves=%t/curves.json
// RUN: %{plan} -o %t/both.mlir
// RUN: FileCheck %t/model.mlir --input-file=%t/both.mlir
// RUN: %python %t/check.py %t/both.json parameters 0.35

// The same from the curves in the file, without weights; also of one structure,
// and for another budget.
// RUN: structured-opt %t/model.mlir --structured-plan='allocate=global blocks=8 rank-multiple=4 keep=0.35 candidate-structures=blast,gblr read-curves=%t/curves.json write=%t/again.json' -o %t/again.mlir
// RUN: diff %t/both.json %t/again.json
// RUN: diff %t/both.mlir %t/again.mlir
// RUN: structured-opt %t/model.mlir --structured-plan='allocate=global structure=gblr keep=0.3 read-curves=%t/curves.json' | FileCheck %s --check-prefix=INTERVALS
// INTERVALS: {layer = "blocks", plan = #structured.plan<gblr, budget =
// INTERVALS: {layer = "intervals", plan = #structured.plan<gblr, budget =
// INTERVALS: {layer = "many", plan = #structured.plan<gblr, budget =
// INTERVALS: {layer = "few", plan = #structured.plan<gblr, budget =
// RUN: structured-opt %t/model.mlir --structured-plan='allocate=global blocks=8 rank-multiple=4 keep=0.35 read-curves=%t/curves.json' | FileCheck %s --check-prefix=BLOCKSONLY
// BLOCKSONLY: {layer = "blocks", plan = #structured.plan<blast, blocks = 8 : 8
// BLOCKSONLY: {layer = "intervals", plan = #structured.plan<{{dense|blast}}

// A structure that no rank makes smaller than the dense matrix has a curve without
// points.
// RUN: structured-opt %t/model.mlir --structured-plan='allocate=global candidate-blocks=64 max-loss=1 weights=%t/w.safetensors write-curves=%t/empty.json' 2>/dev/null | FileCheck %s --check-prefix=EMPTY
// RUN: structured-opt %t/model.mlir --structured-plan='allocate=global candidate-blocks=64 max-loss=1 read-curves=%t/empty.json' 2>/dev/null | FileCheck %s --check-prefix=EMPTY
// EMPTY-COUNT-4: plan = #structured.plan<dense>

// Equal weights: by parameters equal plans (to a step), by multiply-adds the
// layer of few tokens keeps nearly everything.
// REDEFINE: %{options} = keep=0.5 layers="many|few" write=%t/parameters.json
// RUN: %{plan} -o /dev/null 2>%t/parameters.err
// RUN: %python %t/check.py %t/parameters.json parameters 0.5
// REDEFINE: %{options} = keep=0.5 layers="many|few" budget=multiply-adds write=%t/multiply-adds.json
// RUN: %{plan} -o /dev/null 2>%t/multiply-adds.err
// RUN: %python %t/check.py %t/multiply-adds.json multiply-adds 0.5
// RUN: not grep 'dynamic number' %t/multiply-adds.err

// A dynamic number of tokens counts as told.
// REDEFINE: %{options} = keep=0.5 budget=multiply-adds read-curves=%t/curves.json
// RUN: %{plan} -o /dev/null 2>&1 | FileCheck %s --check-prefix=DYNAMIC
// REDEFINE: %{options} = keep=0.5 budget=multiply-adds read-curves=%t/curves.json dynamic-tokens=7 write=%t/dynamic.json
// RUN: %{plan} -o /dev/null 2>&1 | FileCheck %s --check-prefix=SEVEN
// RUN: FileCheck %s --check-prefix=COST --input-file=%t/dynamic.json
// DYNAMIC: remark: layer 'blocks' has a dynamic number of tokens; it counts as 1
// SEVEN: remark: layer 'blocks' has a dynamic number of tokens; it counts as 7
// Of 64 · 64 · (7 + 7 + 128 + 2):
// COST: "dense_cost": 589824,

// A bound on the sum of importance · error², used up to a step.
// REDEFINE: %{options} = max-loss=0.2 importance=%t/importance.json read-curves=%t/curves.json write=%t/loss.json
// RUN: %{plan} -o /dev/null
// RUN: %python %t/loss.py %t/loss.json 0.2
// REDEFINE: %{options} = max-loss=0.02 importance=%t/importance.json read-curves=%t/curves.json write=%t/smaller-loss.json
// RUN: %{plan} -o /dev/null
// RUN: %python %t/loss.py %t/smaller-loss.json 0.02 %t/loss.json

// By error, GBLR: the smallest budget is above the few parameters that the exact
// matrix takes; a matrix of noise reaches the bound with most of its parameters.
// RUN: structured-opt %t/model.mlir --structured-plan='structure=gblr max-error=0.01 weights=%t/w.safetensors' 2>%t/err | FileCheck %s --check-prefix=ERROR
// RUN: FileCheck %s --check-prefix=ERR --input-file=%t/err
// RUN: structured-opt %t/model.mlir --structured-plan='structure=gblr max-error=0.3 weights=%t/w.safetensors write=%t/by-error.json' --structured-factorize='weights=%t/w.safetensors output=%t/f.safetensors report=%t/report.json' -o /dev/null
// RUN: %python %t/reached.py %t/report.json 0.3
// ERROR: {layer = "intervals", plan = #structured.plan<gblr, budget = 128>}
// ERROR: {layer = "many", plan = #structured.plan<dense>}
// ERR: remark: layer 'many' stays dense: no budget with fewer parameters reaches an error of 0.01

// Refusals.
// DEFINE: %{refuse} = not structured-opt %t/model.mlir --structured-plan='allocate=global blocks=8 %{options}' 2>&1 | FileCheck %s --check-prefix
// REDEFINE: %{options} = candidate-structures=blast,monarch
// RUN: %{refuse} MONARCH
// MONARCH: error: structured-plan: unknown candidate structure 'monarch'; expected blast or gblr
// REDEFINE: %{options} = budget=bytes
// RUN: %{refuse} BYTES
// BYTES: error: structured-plan: unknown budget 'bytes'; expected parameters or multiply-adds
// REDEFINE: %{options} = max-loss=-1
// RUN: %{refuse} NEGATIVE
// NEGATIVE: error: structured-plan: max-loss must be a number of at least 0, got -1
// REDEFINE: %{options} = dynamic-tokens=0
// RUN: %{refuse} TOKENS
// TOKENS: error: structured-plan: dynamic-tokens must be at least 1
// REDEFINE: %{options} = gblr-iterations=0
// RUN: %{refuse} ROUNDS
// ROUNDS: error: structured-plan: gblr-iterations must be at least 1
// REDEFINE: %{options} = read-curves=%t/curves.json moments=%t/w.safetensors
// RUN: %{refuse} MOMENTS
// MOMENTS: error: structured-plan: read-curves has the errors: moments would not be used
// REDEFINE: %{options} = read-curves=%t/none.json
// RUN: %{refuse} NONE
// NONE: error: structured-plan: cannot read '{{.*}}none.json': No such file or directory
// REDEFINE: %{options} = read-curves=%t/both.json
// RUN: %{refuse} PLAN
// PLAN: error: structured-plan: '{{.*}}both.json': entry 0 must have a 'layer' name, a 'shape' of two numbers and 'curves'
// REDEFINE: %{options} = read-curves=%t/importance.json
// RUN: %{refuse} VERSION
// VERSION: error: structured-plan: '{{.*}}importance.json' is no file of error curves of version 1
// REDEFINE: %{options} = read-curves=%t/descending.json
// RUN: %{refuse} DESCENDING
// DESCENDING: error: structured-plan: '{{.*}}descending.json': entry 0 (blocks): a curve's points must be pairs of a number of parameters, ascending from 1, and an error of at least 0
// REDEFINE: %{options} = read-curves=%t/blocks.json
// RUN: %{refuse} BLOCKS
// BLOCKS: error: structured-plan: '{{.*}}blocks.json': entry 0 (blocks): a BLAST curve must have 'b_out' and 'b_in' of at least 1
// REDEFINE: %{options} = read-curves=%t/structure.json
// RUN: %{refuse} STRUCTURE
// STRUCTURE: error: structured-plan: '{{.*}}structure.json': entry 0 (blocks): a curve must have the 'structure' "blast" or "gblr" and 'points'
// REDEFINE: %{options} = candidate-blocks=2 read-curves=%t/curves.json
// RUN: %{refuse} COUNTS
// COUNTS: error: layer 'blocks': '{{.*}}curves.json' has no curve of BLAST with 2 : 2 blocks for it
// REDEFINE: %{options} = structure=gblr read-curves=%t/shape.json
// RUN: %{refuse} SHAPE
// SHAPE: error: layer 'blocks': '{{.*}}shape.json' has no curves for it as a 64 x 64 matrix
// RUN: sed -e 's/"shape": .32/"shape": [64/' %t/shape.json > %t/large.json
// REDEFINE: %{options} = structure=gblr read-curves=%t/large.json
// RUN: %{refuse} LARGE
// LARGE: error: layer 'blocks': '{{.*}}large.json' has no curve of structures smaller than the dense matrix
// REDEFINE: %{options} = keep=0.35 weights=%t/w.safetensors write-curves=%t/no/such/directory/curves.json
// RUN: %{refuse} WRITE
// WRITE: error: structured-plan: cannot write '{{.*}}curves.json'

//--- importance.json
{"blocks": 1, "intervals": 1, "many": 4, "few": 1}
//--- descending.json
{"version": 1, "layers": [{"layer": "blocks", "shape": [64, 64], "curves": [{"structure": "gblr", "points": [[100, 0.5], [100, 0.4]]}]}]}
//--- blocks.json
{"version": 1, "layers": [{"layer": "blocks", "shape": [64, 64], "curves": [{"structure": "blast", "b_out": 2, "points": [[100, 0.5]]}]}]}
//--- structure.json
{"version": 1, "layers": [{"layer": "blocks", "shape": [64, 64], "curves": [{"structure": "dense", "points": [[100, 0.5]]}]}]}
//--- shape.json
{"version": 1, "layers": [{"layer": "blocks", "shape": [32, 64], "curves": [{"structure": "gblr", "points": [[4096, 0.5]]}]}]}
//--- check.py
import json
import sys

path, budget, keep = sys.argv[1], sys.argv[2], float(sys.argv[3])
plan = json.load(open(path))
allocation = plan["allocation"]
tokens = {"blocks": 0, "intervals": 0, "many": 128, "few": 2} if budget == "multiply-adds" else {}
layers = {layer["layer"]: layer for layer in plan["layers"]
          if "leaves it out" not in layer.get("reason", "")}
cost, dense = (sum(tokens.get(name, 1) * layer[key] for name, layer in layers.items())
               for key in ("parameters", "dense_parameters"))
assert allocation["budget"] == budget, plan
assert (allocation["cost"], allocation["dense_cost"]) == (cost, dense), (plan, cost, dense)
assert allocation["max_cost"] == int(keep * dense), plan
# All but less than a step, of four ranks, is spent.
step = 4 * 192 * max(tokens.values(), default=1)
assert allocation["max_cost"] - step < cost <= allocation["max_cost"], plan
if len(layers) == 4:
    assert layers["blocks"]["structure"] == "blast" and layers["blocks"]["rank"] == 4, plan
    assert layers["intervals"]["structure"] == "gblr", plan
    assert layers["intervals"]["budget"] <= 512, plan
    assert layers["intervals"]["expected_error"] < 0.05, plan
else:
    many, few = layers["many"]["parameters"], layers["few"]["parameters"]
    if budget == "parameters":
        assert abs(many - few) <= 4 * 192, plan
    else:
        assert few >= 0.9 * 4096 and many <= 0.5 * 4096, plan
//--- loss.py
import json
import sys

bound = float(sys.argv[2])
plan = json.load(open(sys.argv[1]))
allocation = plan["allocation"]
importance = {"blocks": 1, "intervals": 1, "many": 4, "few": 1}
loss = sum(importance[layer["layer"]] * layer.get("expected_error", 0) ** 2
           for layer in plan["layers"])
assert abs(loss - allocation["expected_loss"]) < 1e-6, (loss, plan)
assert 0.3 * bound < loss <= bound == allocation["max_loss"], (loss, plan)
assert "max_cost" not in allocation and allocation["cost"] < allocation["dense_cost"], plan
if sys.argv[3:]:
    assert allocation["cost"] > json.load(open(sys.argv[3]))["allocation"]["cost"], plan
//--- reached.py
import json
import sys

layers = {layer["layer"]: layer for layer in json.load(open(sys.argv[1]))}
for layer in layers.values():
    assert layer["structure"] == "gblr" and layer["relative_error"] <= float(sys.argv[2]), layer
# Noise takes more than half of its parameters; the bound is not reached by far.
assert layers["many"]["budget"] > 2048 and layers["many"]["relative_error"] > 0.15, layers
assert layers["many"].get("tokens") == 128 and "tokens" not in layers["blocks"], layers

//--- model.mlir
// CHECK: {layer = "blocks", plan = #structured.plan<blast, blocks = 8 : 8, rank = 4>}
// CHECK: {layer = "intervals", plan = #structured.plan<gblr, budget = 256>}
func.func @main(%x: tensor<?x64xf32>, %y0: tensor<?x64xf32>,
    %m: tensor<128x64xf32>, %f: tensor<2x64xf32>) -> (tensor<?x64xf32>,
    tensor<128x64xf32>, tensor<2x64xf32>) {
  %w1 = structured.parameter "blocks.weight" : tensor<64x64xf32>
  %w2 = structured.parameter "intervals.weight" : tensor<64x64xf32>
  %w3 = structured.parameter "many.weight" : tensor<64x64xf32>
  %w4 = structured.parameter "few.weight" : tensor<64x64xf32>
  %y1 = structured.linear {layer = "blocks"}
      ins(%x, %w1 : tensor<?x64xf32>, tensor<64x64xf32>)
      outs(%y0 : tensor<?x64xf32>) -> tensor<?x64xf32>
  %y2 = structured.linear {layer = "intervals"}
      ins(%y1, %w2 : tensor<?x64xf32>, tensor<64x64xf32>)
      outs(%y0 : tensor<?x64xf32>) -> tensor<?x64xf32>
  %y3 = structured.linear {layer = "many"}
      ins(%m, %w3 : tensor<128x64xf32>, tensor<64x64xf32>)
      outs(%m : tensor<128x64xf32>) -> tensor<128x64xf32>
  %y4 = structured.linear {layer = "few"}
      ins(%f, %w4 : tensor<2x64xf32>, tensor<64x64xf32>)
      outs(%f : tensor<2x64xf32>) -> tensor<2x64xf32>
  return %y2, %y3, %y4 : tensor<?x64xf32>, tensor<128x64xf32>,
      tensor<2x64xf32>
}
