// The layer of docs/GettingStarted.md, taken from the document itself.
// RUN: sed -n '/^func.func @main/,/^}/p' %src_root/docs/GettingStarted.md > %t.mlir
// RUN: structured-opt %t.mlir --structured-raise-linear --structured-plan="keep=0.75 blocks=2" | FileCheck %s

// CHECK: structured.linear {layer = "fc", plan = #structured.plan<blast, blocks = 2 : 2, rank = 3>}
