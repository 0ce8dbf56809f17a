// RUN: not structured-opt %s --structured-contractions-to-vector=vector-bits=32 2>&1 | FileCheck %s
// CHECK: error: structured-contractions-to-vector needs vector-bits of at least 64 and at least 4 vector-registers
func.func @empty() {
  return
}
