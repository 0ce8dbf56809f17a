// From plan to op, for GBLR.
// RUN: rm -rf %t
// RUN: split-file %s %t
// RUN: %python %S/Inputs/write_tensors.py %t/w.safetensors fc.weight=48x40:gblr,1 half.weight=48x40:f16
// RUN: structured-opt %t/model.mlir --structured-plan="structure=gblr keep=0.25 write=%t/plan.json" 2>%t/err | FileCheck --check-prefix=PLAN %t/model.mlir
// RUN: FileCheck --input-file=%t/plan.json --check-prefix=FILE %s
// RUN: FileCheck --input-file=%t/err --check-prefix=ERR %s

// The plan file, edited, is what counts.
// RUN: sed -e 's/"budget": 480/"budget": 300/' %t/plan.json > %t/edited.json
// RUN: structured-opt %t/model.mlir --structured-plan="read=%t/edited.json" 2>/dev/null | FileCheck --check-prefix=EDITED %s

// RUN: structured-opt %t/model.mlir --structured-plan="read=%t/plan.json" --structured-factorize="weights=%t/w.safetensors output=%t/f.safetensors work-dir=%t/work report=%t/report.json progress" 2>%t/progress | FileCheck %t/model.mlir
// RUN: FileCheck --input-file=%t/progress --check-prefix=PROGRESS %s
// RUN: FileCheck --input-file=%t/report.json --check-prefix=REPORT %s
// RUN: %python %S/Inputs/check_factors.py %t/f.safetensors %t/w.safetensors | FileCheck --check-prefix=FACTORS %s

// A second run takes the layers from the work directory, with the same result;
// and structured-substitute makes of the file what structured-factorize made.
// RUN: structured-opt %t/model.mlir --structured-plan="read=%t/plan.json" --structured-factorize="weights=%t/w.safetensors output=%t/f2.safetensors work-dir=%t/work progress" -o %t/factorized.mlir 2>&1 | FileCheck --check-prefix=REUSED %s
// RUN: cmp %t/f.safetensors %t/f2.safetensors
// RUN: structured-opt %t/model.mlir --structured-substitute=factors=%t/f.safetensors -o %t/substituted.mlir 2>/dev/null
// RUN: grep gblr.matmul %t/factorized.mlir > %t/a
// RUN: grep gblr.matmul %t/substituted.mlir > %t/b
// RUN: diff %t/a %t/b

// With fewer parameters for a component, more of them; and the baseline.
// RUN: structured-opt %t/model.mlir --structured-plan="read=%t/plan.json" --structured-factorize="weights=%t/w.safetensors output=%t/f3.safetensors gblr-min-component=4" -o /dev/null 2>/dev/null
// RUN: not cmp %t/f.safetensors %t/f3.safetensors
// RUN: structured-opt %t/model.mlir --structured-plan="read=%t/plan.json" --structured-factorize="weights=%t/w.safetensors output=%t/f4.safetensors gblr-method=energy-runs" 2>/dev/null | FileCheck --check-prefix=BASELINE %s

// Refusals.
// DEFINE: %{plan} = not structured-opt %t/model.mlir --structured-plan
// RUN: sed -e 's/"budget": 480/"budget": 1920/' %t/plan.json > %t/large.json
// RUN: %{plan}=read=%t/large.json 2>&1 | FileCheck --check-prefix=LARGE %s
// RUN: sed -e 's/"budget": 480/"budget": 0/' %t/plan.json > %t/zero.json
// RUN: %{plan}=read=%t/zero.json 2>&1 | FileCheck --check-prefix=ZERO %s
// RUN: sed -e 's/"budget": 480/"budget": 20/' %t/plan.json > %t/small.json
// DEFINE: %{options} =
// DEFINE: %{plan-file} = plan
// DEFINE: %{factorize} = not structured-opt %t/model.mlir --structured-plan=read=%t/%{plan-file}.json --structured-factorize='output=%t/none.safetensors %{options}'
// REDEFINE: %{options} = gblr-method=olb
// RUN: %{factorize} 2>&1 | FileCheck --check-prefix=METHOD %s
// REDEFINE: %{options} = gblr-min-component=0
// RUN: %{factorize} 2>&1 | FileCheck --check-prefix=MINIMUM %s
// REDEFINE: %{plan-file} = small
// REDEFINE: %{options} = weights=%t/w.safetensors
// RUN: %{factorize} 2>&1 | FileCheck --check-prefix=SMALL %s
// RUN: not ls %t/none.safetensors

// FILE: "budget": 480,
// FILE: "dense_parameters": 1920,
// FILE: "layer": "fc",
// FILE: "parameters": 480,
// FILE: "structure": "gblr"
// FILE: "reason": "keeping 0.25 of it leaves no component",
// ERR: remark: layer 'tiny' stays dense: keeping 0.25 of it leaves no component
// EDITED: {layer = "fc", plan = #structured.plan<gblr, budget = 300>}
// PROGRESS: [1/2] fc: 48 x 40, GBLR, budget 480: error 0.0{{[0-9]+}}, {{[0-9.]+}} s
// REPORT: "budget": 480,
// REPORT: "components": {{[1-9]}}
// REPORT: "layer": "fc",
// REPORT: "structure": "gblr"
// FACTORS: fc: float32 {{[1-9][0-9]*}} components, {{[0-9]+}} parameters, error 0.000
// FACTORS-NEXT: half: float16 {{[1-9][0-9]*}} components, 4{{[0-9]+}} parameters, error 0.{{[6-8]}}
// REUSED: [1/2] fc: {{.*}} (reused)
// REUSED: [2/2] half: {{.*}} (reused)
// BASELINE: structured.gblr.matmul
// LARGE: error: layer 'fc': the budget of 1920 parameters in '{{.*}}large.json' is not below the 1920 of 48 x 40
// ZERO: error: structured-plan: '{{.*}}zero.json': entry 0 (fc) must have a 'budget' of at least 1
// METHOD: error: structured-factorize: unknown gblr-method 'olb'; expected greedy or energy-runs
// MINIMUM: error: structured-factorize: gblr-min-component must be at least 1
// SMALL: error: layer 'fc': a budget of 20 parameters is too small: the smallest component has 32

//--- model.mlir
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<?x40xf32>
func.func @main(%x: tensor<?x40xf32>, %xh: tensor<4x40xf16>,
    %x8: tensor<4x8xf32>, %y0: tensor<?x48xf32>, %yh: tensor<4x48xf16>,
    %y4: tensor<4x4xf32>)
    -> (tensor<?x48xf32>, tensor<4x48xf16>, tensor<4x4xf32>) {
  // PLAN: structured.linear {layer = "fc", plan = #structured.plan<gblr, budget = 480>}
  // PLAN: structured.linear {layer = "half", plan = #structured.plan<gblr, budget = 480>}
  // PLAN: structured.linear {layer = "tiny", plan = #structured.plan<dense>}
  // CHECK-DAG: %[[U:.*]] = structured.parameter "fc.gblr.U" : tensor<{{[0-9]+}}xf32>
  // CHECK-DAG: %[[V:.*]] = structured.parameter "fc.gblr.V" : tensor<{{[0-9]+}}xf32>
  // CHECK: structured.gblr.matmul layout = <out = 48, in = 40, components = [<rows {{.*}}>]> {layer = "fc"} ins(%[[X]], %[[U]], %[[V]]
  %w = structured.parameter "fc.weight" : tensor<48x40xf32>
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<?x40xf32>, tensor<48x40xf32>)
      outs(%y0 : tensor<?x48xf32>) -> tensor<?x48xf32>
  // CHECK: structured.parameter "half.gblr.U" : tensor<{{[0-9]+}}xf16>
  // CHECK: structured.gblr.matmul {{.*}}{layer = "half"}
  %h = structured.parameter "half.weight" : tensor<48x40xf16>
  %z = structured.linear {layer = "half"}
      ins(%xh, %h : tensor<4x40xf16>, tensor<48x40xf16>)
      outs(%yh : tensor<4x48xf16>) -> tensor<4x48xf16>
  // CHECK: structured.linear {layer = "tiny"
  %v = structured.parameter "tiny.weight" : tensor<4x8xf32>
  %t = structured.linear {layer = "tiny"}
      ins(%x8, %v : tensor<4x8xf32>, tensor<4x8xf32>)
      outs(%y4 : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y, %z, %t : tensor<?x48xf32>, tensor<4x48xf16>, tensor<4x4xf32>
}
