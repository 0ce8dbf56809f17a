// The commands of docs/UpstreamTools.md: dialect, passes and pipelines in the
// stock mlir-opt.

// The plugin for the dialect alone: our ops are read, checked and printed.
// RUN: mlir-opt --load-dialect-plugin=%plugin %s | FileCheck %s --check-prefix=DIALECT
// RUN: mlir-opt --load-dialect-plugin=%plugin --show-dialects | FileCheck %s --check-prefix=SHOW
// RUN: not mlir-opt %s 2>&1 | FileCheck %s --check-prefix=NONE

// Passes and pipelines, with options.
// RUN: mlir-opt --load-dialect-plugin=%plugin --load-pass-plugin=%plugin %s \
// RUN:   --pass-pipeline='builtin.module(structured-plan{keep=0.75 blocks=2})' | FileCheck %s --check-prefix=PASS
// RUN: mlir-opt --load-dialect-plugin=%plugin --load-pass-plugin=%plugin %s \
// RUN:   --pass-pipeline='builtin.module(structured-to-cpu{parallel=false})' | FileCheck %s --check-prefix=PIPELINE
// RUN: mlir-opt --load-pass-plugin=%plugin --list-passes | FileCheck %s --check-prefix=LIST

// Bytecode, by way of the generic form.
// RUN: mlir-opt --load-dialect-plugin=%plugin --emit-bytecode %s -o %t.mlirbc
// RUN: mlir-opt --load-dialect-plugin=%plugin --mlir-print-op-generic %t.mlirbc \
// RUN:   | mlir-opt --load-dialect-plugin=%plugin | FileCheck %s --check-prefix=DIALECT

// What the plugin shows to the process that loads it.
// RUN: llvm-nm --dynamic --defined-only --format=just-symbols %plugin | FileCheck %s --check-prefix=SYMBOLS --match-full-lines

// DIALECT-LABEL: func.func @main
// DIALECT: structured.linear {layer = "fc"} ins(%arg0, %arg1 : tensor<4x8xf32>, tensor<12x8xf32>) outs(%arg2 : tensor<4x12xf32>) -> tensor<4x12xf32>
// SHOW: {{(^|,)structured(,|$)}}
// NONE: error: Dialect `structured' not found for custom op 'structured.linear'
// PASS: structured.linear {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 3>}
// PIPELINE-NOT: structured.
// PIPELINE: llvm.func @main
// PIPELINE: llvm.br
// PIPELINE-NOT: structured.
// LIST: --structured-bind-parameters
// LIST: --structured-to-linalg
//      SYMBOLS: mlirGetDialectPluginInfo
// SYMBOLS-NEXT: mlirGetPassPluginInfo
//  SYMBOLS-NOT: {{.+}}

func.func @main(%x: tensor<4x8xf32>, %w: tensor<12x8xf32>, %y0: tensor<4x12xf32>)
    -> tensor<4x12xf32> {
  %y = structured.linear {layer = "fc"}
      ins(%x, %w : tensor<4x8xf32>, tensor<12x8xf32>)
      outs(%y0 : tensor<4x12xf32>) -> tensor<4x12xf32>
  return %y : tensor<4x12xf32>
}
