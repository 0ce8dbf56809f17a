// A pass, and a pattern that is written in TableGen over Structured's ops.

#ifndef SAMPLE_TD
#define SAMPLE_TD

include "Structured/Dialect/Structured/IR/StructuredOps.td"
include "mlir/Dialect/Arith/IR/ArithOps.td"
include "mlir/Pass/PassBase.td"
include "mlir/IR/PatternBase.td"

def IsZero : AttrConstraint<CPred<"isZero($_self)">, "zeros">;

/// A dense layer whose weight is zero yields its init.
def ZeroWeight : Pat<
  (Structured_LinearOp $input, (Arith_ConstantOp IsZero:$zeros), $init, $layer, $plan),
  (replaceWithValue $init)>;

def DropZeroLayers : Pass<"sample-drop-zero-layers"> {
  let summary = "replace layers whose input or dense weight is zero by their init";
}

#endif // SAMPLE_TD
