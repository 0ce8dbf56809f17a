// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/OperationSupport.h"
#include "llvm/ADT/DenseMap.h"

namespace structured {
#define GEN_PASS_DEF_DEDUPLICATEKERNELS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

namespace {
/// Kernels are equal if all but their names is.
struct KernelInfo : llvm::DenseMapInfo<Operation *> {
  static unsigned getHashValue(const Operation *op) {
    auto function = cast<gpu::GPUFuncOp>(const_cast<Operation *>(op));
    llvm::hash_code hash =
        llvm::hash_value(function.getFunctionType().getAsOpaquePointer());
    function.getBody().walk([&](Operation *inner) {
      hash = llvm::hash_combine(
          hash, OperationEquivalence::computeHash(
                    inner, OperationEquivalence::ignoreHashValue,
                    OperationEquivalence::ignoreHashValue,
                    OperationEquivalence::IgnoreLocations));
    });
    return hash;
  }
  static bool isEqual(const Operation *lhsOp, const Operation *rhsOp) {
    if (lhsOp == rhsOp)
      return true;
    for (const Operation *key : {getTombstoneKey(), getEmptyKey()})
      if (lhsOp == key || rhsOp == key)
        return false;
    auto lhs = cast<gpu::GPUFuncOp>(const_cast<Operation *>(lhsOp));
    auto rhs = cast<gpu::GPUFuncOp>(const_cast<Operation *>(rhsOp));
    // How many arguments are memory that the block shares, its size: all that
    // is not in the body or the type.
    auto getAttributes = [](gpu::GPUFuncOp function) {
      NamedAttrList attributes(function->getAttrDictionary());
      attributes.erase(SymbolTable::getSymbolAttrName());
      attributes.erase(gpu::GPUFuncOp::getKnownGridSizeAttrName(OperationName(
          gpu::GPUFuncOp::getOperationName(), function.getContext())));
      return attributes.getDictionary(function.getContext());
    };
    return getAttributes(lhs) == getAttributes(rhs) &&
           OperationEquivalence::isRegionEquivalentTo(
               &lhs.getBody(), &rhs.getBody(),
               OperationEquivalence::IgnoreLocations);
  }
};

struct DeduplicateKernels
    : structured::impl::DeduplicateKernelsBase<DeduplicateKernels> {
  void runOnOperation() override {
    llvm::DenseMap<SymbolRefAttr, SymbolRefAttr> replacements;
    SmallVector<gpu::GPUFuncOp> duplicates;
    for (auto module : getOperation().getOps<gpu::GPUModuleOp>()) {
      llvm::DenseMap<Operation *, gpu::GPUFuncOp, KernelInfo> seen;
      auto getReference = [&](gpu::GPUFuncOp function) {
        return SymbolRefAttr::get(module.getNameAttr(),
                                  {FlatSymbolRefAttr::get(function)});
      };
      for (auto function : module.getOps<gpu::GPUFuncOp>()) {
        if (!function.isKernel())
          continue;
        auto [it, isNew] = seen.try_emplace(function, function);
        if (isNew) {
          // The first one is launched with other grids, too.
          function.removeKnownGridSizeAttr();
          continue;
        }
        replacements[getReference(function)] = getReference(it->second);
        duplicates.push_back(function);
      }
    }
    getOperation().walk([&](gpu::LaunchFuncOp launch) {
      if (SymbolRefAttr kernel = replacements.lookup(launch.getKernel()))
        launch.setKernelAttr(kernel);
    });
    for (gpu::GPUFuncOp function : duplicates)
      function->erase();
    numRemoved += duplicates.size();
  }
};
} // namespace
