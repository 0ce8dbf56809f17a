// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Cuda.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace mlir;
using namespace structured;

llvm::Error structured::checkChip(StringRef chip) {
  StringRef number = chip;
  unsigned version;
  if (number.consume_front("sm_") && !number.consumeInteger(10, version) &&
      (number.empty() || number == "a" || number == "f") && version >= 80)
    return llvm::Error::success();
  return llvm::createStringError("'" + chip +
                                 "' is not a GPU that kernels can be compiled "
                                 "for: sm_80, sm_90a or later");
}

llvm::Expected<std::string> structured::findPtxas(StringRef path) {
  if (!path.empty()) {
    if (!llvm::sys::fs::can_execute(path))
      return llvm::createStringError("ptxas '" + path + "' is not a program");
    return path.str();
  }
  if (llvm::ErrorOr<std::string> found = llvm::sys::findProgramByName("ptxas"))
    return *found;
  for (StringRef candidate :
       {StringRef("/usr/local/cuda/bin/ptxas"), StringRef(STRUCTURED_PTXAS)})
    if (llvm::sys::fs::can_execute(candidate))
      return candidate.str();
  return std::string();
}

/// A remark for each kernel, and each product that has to wait for others, from
/// what `ptxas -v` says.
static void reportKernels(gpu::BinaryOp binary, StringRef log) {
  StringRef kernel, spills;
  SmallVector<StringRef> lines;
  log.split(lines, '\n');
  for (StringRef line : lines) {
    if (size_t at = line.find("Compiling entry function '");
        at != StringRef::npos) {
      kernel =
          line.drop_front(at + 26).take_until([](char c) { return c == '\''; });
    } else if (line.contains("Potential Performance Loss")) {
      emitRemark(binary.getLoc(), "ptxas: ") << line.trim();
    } else if (line.contains("bytes spill stores")) {
      spills = line.split(", ").second.trim();
    } else if (size_t at = line.find("Used "); at != StringRef::npos) {
      StringRef used = line.drop_front(at + 5).trim();
      if (!kernel.empty())
        emitRemark(binary.getLoc(), "kernel '")
            << kernel << "': " << used << "; " << spills;
      kernel = "";
    }
  }
}

/// Machine code for `chip` from `ptx`; what the assembler prints goes to `log`.
static llvm::Expected<std::string> assemble(StringRef ptx, StringRef chip,
                                            StringRef ptxas, std::string &log) {
  SmallString<128> source, code, output;
  for (auto [path, extension] :
       {std::pair(&source, "ptx"), {&code, "cubin"}, {&output, "log"}})
    if (std::error_code error = llvm::sys::fs::createTemporaryFile(
            "structured-kernels", extension, *path))
      return llvm::createStringError(error, "cannot create a temporary file: " +
                                                error.message());
  llvm::FileRemover removeSource(source), removeCode(code),
      removeOutput(output);
  std::error_code error;
  llvm::raw_fd_ostream stream(source, error);
  stream << ptx;
  stream.close();
  if (error || stream.has_error())
    return llvm::createStringError("cannot write '" + source + "'");
  std::string arch = "-arch=" + chip.str(), message;
  int status = llvm::sys::ExecuteAndWait(
      ptxas, {ptxas, "-v", "-O3", arch, source, "-o", code},
      /*Env=*/std::nullopt,
      /*Redirects=*/{std::nullopt, output.str(), output.str()},
      /*SecondsToWait=*/0, /*MemoryLimit=*/0, &message);
  if (auto text = llvm::MemoryBuffer::getFile(output))
    log = (*text)->getBuffer().str();
  if (status != 0)
    return llvm::createStringError("assembling kernels with " + ptxas +
                                   " failed: " + message + log);
  auto buffer = llvm::MemoryBuffer::getFile(code, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  if (!buffer)
    return llvm::createStringError(buffer.getError(), ptxas + " wrote no code");
  return (*buffer)->getBuffer().str();
}

LogicalResult structured::assembleKernels(ModuleOp module, StringRef chip,
                                          StringRef ptxas) {
  Builder builder(module.getContext());
  for (auto binary : module.getOps<gpu::BinaryOp>()) {
    SmallVector<Attribute> objects;
    for (Attribute attribute : binary.getObjects()) {
      auto object = cast<gpu::ObjectAttr>(attribute);
      if (object.getFormat() != gpu::CompilationTarget::Assembly) {
        objects.push_back(object);
        continue;
      }
      if (ptxas.empty()) {
        emitRemark(binary.getLoc(),
                   "no ptxas found: the driver will compile the kernels when "
                   "the module is loaded");
        return success();
      }
      // The object ends with a zero, which is no PTX.
      StringRef ptx = object.getObject().getValue();
      std::string log;
      llvm::Expected<std::string> code =
          assemble(ptx.rtrim('\0'), chip, ptxas, log);
      if (!code)
        return emitError(binary.getLoc(), llvm::toString(code.takeError()));
      reportKernels(binary, log);
      objects.push_back(gpu::ObjectAttr::get(
          builder.getContext(), object.getTarget(),
          gpu::CompilationTarget::Binary, builder.getStringAttr(*code),
          object.getProperties(), object.getKernels()));
    }
    binary.setObjectsAttr(builder.getArrayAttr(objects));
  }
  return success();
}

std::string structured::getKernelCode(ModuleOp module) {
  std::string code;
  for (auto binary : module.getOps<gpu::BinaryOp>())
    for (Attribute object : binary.getObjects()) {
      StringRef text = cast<gpu::ObjectAttr>(object).getObject().getValue();
      bool isText = cast<gpu::ObjectAttr>(object).getFormat() ==
                    gpu::CompilationTarget::Assembly;
      code += isText ? text.rtrim('\0') : text;
    }
  return code;
}
