// RUN: structured-opt %s --structured-approximate-math | FileCheck %s
// RUN: structured-opt %s --structured-approximate-math=exp=false | FileCheck %s --check-prefix=EXP

// CHECK-LABEL: func @vectors
// CHECK-NOT: math.exp
// CHECK-NOT: math.erf
// CHECK: math.floor
// CHECK: math.fma
// EXP-LABEL: func @vectors
// EXP: math.exp %{{.*}} : vector<8xf32>
// EXP-NOT: math.erf
func.func @vectors(%x: vector<8xf32>) -> (vector<8xf32>, vector<8xf32>) {
  %0 = math.exp %x : vector<8xf32>
  %1 = math.erf %x : vector<8xf32>
  return %0, %1 : vector<8xf32>, vector<8xf32>
}

// Extended, not approximated in f16.

// CHECK-LABEL: func @narrow
// CHECK: arith.extf %{{.*}} : vector<8xf16> to vector<8xf32>
// CHECK-NOT: math.tanh
// CHECK: arith.truncf %{{.*}} : vector<8xf32> to vector<8xf16>
func.func @narrow(%x: vector<8xf16>) -> vector<8xf16> {
  %0 = math.tanh %x : vector<8xf16>
  return %0 : vector<8xf16>
}

// Left to libm: what has no accurate approximation, and f64.

// CHECK-LABEL: func @kept
// CHECK: math.sin
// CHECK: math.exp %{{.*}} : f64
func.func @kept(%x: f32, %y: f64) -> (f32, f64) {
  %0 = math.sin %x : f32
  %1 = math.exp %y : f64
  return %0, %1 : f32, f64
}
