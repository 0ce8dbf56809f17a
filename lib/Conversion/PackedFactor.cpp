// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "PackedFactor.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace structured;

Value structured::createIndices(OpBuilder &builder, Location loc,
                                ArrayRef<int32_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getI32Type());
  return arith::ConstantOp::create(builder, loc,
                                   DenseElementsAttr::get(type, values));
}

PackedFactor structured::packFactor(OpBuilder &builder, GblrMatmulOp op,
                                    GblrFactor factor,
                                    const GblrPanels &panels) {
  bool isV = factor == GblrFactor::V;
  const PanelPattern &pattern = isV ? panels.v : panels.u;
  auto source = (isV ? op.getV() : op.getU()).getDefiningOp<ParameterOp>();
  auto packing =
      GblrPackingAttr::get(builder.getContext(), factor, panels.v.width,
                           panels.u.width, op.getLayout(), pattern.columns,
                           panels.order);
  auto type = source.getType().clone(
      packing.getPackedShape(pattern.coordinates.size()));
  PackedFactor packed;
  packed.values =
      ParameterOp::create(builder, source.getLoc(), type, source.getName(),
                          /*permutation=*/DenseI64ArrayAttr(), packing,
                          BlastProductAttr(), ConcatenationAttr());
  packed.positions = createIndices(builder, op.getLoc(), pattern.positions);
  packed.coordinates = createIndices(builder, op.getLoc(), pattern.coordinates);
  return packed;
}
