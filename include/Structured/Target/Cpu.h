// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Code for a CPU from the LLVM dialect.

#ifndef STRUCTURED_TARGET_CPU_H
#define STRUCTURED_TARGET_CPU_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Target/TargetMachine.h"

#include <memory>
#include <string>
#include <vector>

namespace structured {

/// The processor to compile for.
class CpuTarget {
public:
  /// A processor of this machine's architecture by LLVM's name, or `native`:
  /// the processor we run on. Errors name the processor.
  static llvm::Expected<CpuTarget> create(llvm::StringRef cpu);

  llvm::TargetMachine &getMachine() const { return *machine; }
  llvm::StringRef getCpu() const { return machine->getTargetCPU(); }
  /// The features of the instruction set that code for it may use.
  llvm::ArrayRef<std::string> getFeatures() const { return features; }
  /// Size of its vector registers in bits.
  int64_t getVectorBits() const { return vectorBits; }
  /// Number of its vector registers.
  int64_t getVectorRegisters() const { return vectorRegisters; }

private:
  std::unique_ptr<llvm::TargetMachine> machine;
  std::vector<std::string> features;
  int64_t vectorBits = 0, vectorRegisters = 0;
};

/// Translates `module`, which is in the LLVM dialect, to LLVM IR for `target`.
/// Null, with a diagnostic, on failure.
std::unique_ptr<llvm::Module> translateToLLVMIR(mlir::ModuleOp module,
                                                const CpuTarget &target,
                                                llvm::LLVMContext &context);

/// Runs LLVM's O3 pipeline with the costs of `target`.
void optimize(llvm::Module &module, const CpuTarget &target);

/// Writes assembly text or an object file of `module` to `stream`.
llvm::Error emitCode(llvm::Module &module, const CpuTarget &target,
                     llvm::CodeGenFileType type,
                     llvm::raw_pwrite_stream &stream);

} // namespace structured

#endif // STRUCTURED_TARGET_CPU_H
