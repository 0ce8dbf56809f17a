// RUN: rm -rf %t
// RUN: split-file %s %t
// DEFINE: %{options} =
// DEFINE: %{plan} = not structured-opt %t/model.mlir --structured-plan='%{options}' 2>&1 | FileCheck %s --check-prefix

// REDEFINE: %{options} = keep=1.5
// RUN: %{plan} KEEP
// KEEP: error: structured-plan: keep must lie between 0 and 1, got 1.5
// REDEFINE: %{options} = structure=monarch
// RUN: %{plan} STRUCTURE
// STRUCTURE: error: structured-plan: unknown structure 'monarch'; expected blast, gblr or dense
// REDEFINE: %{options} = blocks=0
// RUN: %{plan} BLOCKS
// BLOCKS: error: structured-plan: there must be at least 1 block
// REDEFINE: %{options} = rank-multiple=-1
// RUN: %{plan} MULTIPLE
// MULTIPLE: error: structured-plan: rank-multiple must not be negative
// REDEFINE: %{options} = layers="a["
// RUN: %{plan} REGEX
// REGEX: error: structured-plan: 'layers=a[' is no regular expression: brackets ([ ]) not balanced
// REDEFINE: %{options} = rank=3
// RUN: %{plan} UNKNOWN
// UNKNOWN: no such option rank
// REDEFINE: %{options} = max-error=0.5
// RUN: %{plan} WEIGHTS
// WEIGHTS: error: layer 'fc': there is no tensor 'fc.weight' in the weights: no weights file was given
// REDEFINE: %{options} = max-error=0.5 weights=%t/missing.safetensors
// RUN: %{plan} MISSING
// MISSING: error: structured-plan: {{.*}}missing.safetensors
// REDEFINE: %{options} = read=%t/none.json
// RUN: %{plan} NONE
// NONE: error: structured-plan: cannot read '{{.*}}none.json': No such file or directory
// REDEFINE: %{options} = read=%t/broken.json
// RUN: %{plan} BROKEN
// BROKEN: error: structured-plan: '{{.*}}broken.json' is not JSON
// REDEFINE: %{options} = read=%t/version.json
// RUN: %{plan} VERSION
// VERSION: error: structured-plan: '{{.*}}version.json' is no plan file of version 1
// REDEFINE: %{options} = read=%t/key.json
// RUN: %{plan} KEY
// KEY: error: structured-plan: '{{.*}}key.json': entry 0 has the unknown key 'ranks'
// REDEFINE: %{options} = read=%t/file-key.json
// RUN: %{plan} FILEKEY
// FILEKEY: error: structured-plan: '{{.*}}file-key.json' has the unknown key 'layer'
// REDEFINE: %{options} = read=%t/rank0.json
// RUN: %{plan} RANKZERO
// RANKZERO: error: structured-plan: '{{.*}}rank0.json': entry 0 (fc) must have a 'rank' of at least 1
// REDEFINE: %{options} = read=%t/twice.json
// RUN: %{plan} TWICE
// TWICE: error: structured-plan: '{{.*}}twice.json': layer 'fc' is named twice
// REDEFINE: %{options} = read=%t/stranger.json
// RUN: %{plan} STRANGER
// STRANGER: error: structured-plan: '{{.*}}stranger.json' names the layer 'fd', which the model does not have
// REDEFINE: %{options} = read=%t/shape.json
// RUN: %{plan} SHAPE
// SHAPE: error: layer 'fc' is 32 x 16 in the model and 16 x 32 in '{{.*}}shape.json'
// REDEFINE: %{options} = read=%t/divide.json
// RUN: %{plan} DIVIDE
// DIVIDE: error: layer 'fc': the 3 : 2 blocks in '{{.*}}divide.json' do not divide 32 x 16
// REDEFINE: %{options} = read=%t/large.json
// RUN: %{plan} LARGE
// LARGE: error: layer 'fc': rank 17 in '{{.*}}large.json' is larger than the smaller side of 32 x 16
// REDEFINE: %{options} = read=%t/huge.json
// RUN: %{plan} HUGE
// HUGE: error: structured-plan: '{{.*}}huge.json': entry 0 (fc) has too large numbers: its parameters do not fit into 63 bits
// RUN: %python -c "print('[' * 100000)" > %t/deep.json
// REDEFINE: %{options} = read=%t/deep.json
// RUN: %{plan} DEEP
// DEEP: error: structured-plan: '{{.*}}deep.json' nests more than 100 arrays and objects
// REDEFINE: %{options} = blocks=2 write=%t/no/such/directory/plan.json
// RUN: %{plan} WRITE
// WRITE: error: structured-plan: cannot write '{{.*}}plan.json'

// RUN: %host_cc -shared -fPIC %src_root/test/Inputs/full_disk.c -o %t/full_disk.so
// RUN: not env LD_PRELOAD=%t/full_disk.so structured-opt %t/model.mlir --structured-plan='blocks=2 write=%t/full.json' 2>&1 | FileCheck %s --check-prefix=FULL
// FULL: error: structured-plan: cannot write '{{.*}}full.json': No space left on device
// RUN: not ls %t/full.json

// Two layers of one name.
// RUN: not structured-opt %t/names.mlir --structured-plan=blocks=2 2>&1 | FileCheck --check-prefix=NAMES %s
// NAMES: error: two layers are named 'fc'

//--- broken.json
{"version": 1,
//--- version.json
{"version": 2, "layers": []}
//--- key.json
{"version": 1, "layers": [{"layer": "fc", "shape": [32, 16], "structure": "blast", "ranks": 4}]}
//--- file-key.json
{"version": 1, "layers": [], "layer": "fc"}
//--- rank0.json
{"version": 1, "layers": [{"layer": "fc", "shape": [32, 16], "structure": "blast", "b_out": 2, "b_in": 2, "rank": 0}]}
//--- twice.json
{"version": 1, "layers": [{"layer": "fc", "shape": [32, 16], "structure": "dense"}, {"layer": "fc", "shape": [32, 16], "structure": "dense"}]}
//--- stranger.json
{"version": 1, "layers": [{"layer": "fd", "shape": [32, 16], "structure": "dense"}]}
//--- shape.json
{"version": 1, "layers": [{"layer": "fc", "shape": [16, 32], "structure": "dense"}]}
//--- divide.json
{"version": 1, "layers": [{"layer": "fc", "shape": [32, 16], "structure": "blast", "b_out": 3, "b_in": 2, "rank": 4}]}
//--- large.json
{"version": 1, "layers": [{"layer": "fc", "shape": [32, 16], "structure": "blast", "b_out": 2, "b_in": 2, "rank": 17}]}
//--- huge.json
{"version": 1, "layers": [{"layer": "fc", "shape": [9223372036854775807, 16], "structure": "dense"}]}

//--- model.mlir
func.func @main(%x: tensor<?x16xf32>, %y0: tensor<?x32xf32>)
    -> tensor<?x32xf32> {
  %w = structured.parameter "fc.weight" : tensor<32x16xf32>
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%y0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
//--- names.mlir
func.func @main(%x: tensor<?x16xf32>, %y0: tensor<?x32xf32>)
    -> tensor<?x32xf32> {
  %w = structured.parameter "fc.weight" : tensor<32x16xf32>
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%y0 : tensor<?x32xf32>) -> tensor<?x32xf32>
  %z = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<?x16xf32>, tensor<32x16xf32>)
      outs(%y : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %z : tensor<?x32xf32>
}
