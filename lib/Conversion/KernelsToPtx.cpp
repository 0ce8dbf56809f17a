// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Conversion/Passes.h"

#include "mlir/Dialect/GPU/IR/CompilationInterfaces.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Module.h"

namespace structured {
#define GEN_PASS_DEF_KERNELSTOPTX
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;

/// In the names of all instructions of PTX that the lanes of a warp execute
/// together.
static constexpr llvm::StringLiteral kTogether = ".sync";

/// Whether it is inline assembly of such an instruction.
static bool isTogether(const llvm::CallBase &call) {
  auto *assembly = llvm::dyn_cast<llvm::InlineAsm>(call.getCalledOperand());
  return assembly && StringRef(assembly->getAsmString()).contains(kTogether);
}

namespace {
struct KernelsToPtx : structured::impl::KernelsToPtxBase<KernelsToPtx> {
  void runOnOperation() override {
    auto mark = [&](llvm::Module &module) {
      for (llvm::Function &function : module)
        for (llvm::Instruction &instruction : llvm::instructions(function))
          if (auto *call = llvm::dyn_cast<llvm::CallBase>(&instruction);
              call && isTogether(*call)) {
            call->setConvergent();
            function.setConvergent();
            ++numConvergent;
          }
    };
    gpu::TargetOptions options(/*toolkitPath=*/{}, /*librariesToLink=*/{},
                               /*cmdOptions=*/{}, /*elfSection=*/{},
                               gpu::CompilationTarget::Assembly,
                               /*getSymbolTableCallback=*/{},
                               /*initialLlvmIRCallback=*/mark);
    if (failed(gpu::transformGpuModulesToBinaries(
            getOperation(), /*handler=*/nullptr, options)))
      signalPassFailure();
  }
};
} // namespace
