// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "Structured/Target/Cpu.h"

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/Analysis/TargetTransformInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"

using namespace structured;

llvm::Expected<CpuTarget> CpuTarget::create(llvm::StringRef cpu) {
  auto fail = [](const llvm::Twine &message) {
    return llvm::createStringError(llvm::inconvertibleErrorCode(), message);
  };
  if (llvm::InitializeNativeTarget() ||
      llvm::InitializeNativeTargetAsmPrinter())
    return fail("this LLVM cannot generate code for this machine");

  llvm::Triple triple(llvm::sys::getDefaultTargetTriple());
  std::string message;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, message);
  if (!target)
    return fail(message);

  const llvm::StringMap<bool, llvm::MallocAllocator> hostFeatures =
      llvm::sys::getHostCPUFeatures();
  llvm::SubtargetFeatures featureList;
  std::string name = cpu.str();
  if (cpu == "native") {
    name = llvm::sys::getHostCPUName().str();
    for (const auto &feature : hostFeatures)
      featureList.AddFeature(feature.getKey(), feature.getValue());
  }
  std::unique_ptr<llvm::MCSubtargetInfo> subtarget(
      target->createMCSubtargetInfo(triple, "", ""));
  if (!subtarget->isCPUStringValid(name))
    return fail("'" + name + "' is not a processor of " + triple.getArchName() +
                " that LLVM knows");

  // Constructors (a CUDA module loads its kernels in one) stand where today's
  // loaders look for them.
  llvm::TargetOptions options;
  options.UseInitArray = true;
  CpuTarget result;
  result.machine.reset(target->createTargetMachine(
      triple, name, featureList.getString(), options, llvm::Reloc::PIC_,
      std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  if (!result.machine)
    return fail("no code generator for " + triple.str());

  // Of the enabled features, those of the instruction set: the host's list has
  // an entry for each, on or off, and none for tuning.
  for (const llvm::SubtargetFeatureKV &feature :
       result.machine->getMCSubtargetInfo()->getEnabledProcessorFeatures())
    if (hostFeatures.contains(feature.Key))
      result.features.push_back(feature.Key);

  // What the code generator says of the vector registers.
  llvm::LLVMContext context;
  llvm::Module module("probe", context);
  module.setTargetTriple(triple);
  module.setDataLayout(result.machine->createDataLayout());
  auto *function = llvm::Function::Create(
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), false),
      llvm::GlobalValue::ExternalLinkage, "probe", module);
  llvm::TargetTransformInfo costs =
      result.machine->getTargetTransformInfo(*function);
  result.vectorBits =
      costs.getRegisterBitWidth(llvm::TargetTransformInfo::RGK_FixedWidthVector)
          .getFixedValue();
  result.vectorRegisters = costs.getNumberOfRegisters(
      costs.getRegisterClassForType(/*Vector=*/true));
  if (result.vectorBits == 0 || result.vectorRegisters == 0)
    return fail("'" + name + "' has no vector registers");
  return result;
}

std::unique_ptr<llvm::Module>
structured::translateToLLVMIR(mlir::ModuleOp module, const CpuTarget &target,
                              llvm::LLVMContext &context) {
  // What the entries' description has taken up means nothing to LLVM.
  for (auto function : module.getOps<mlir::LLVM::LLVMFuncOp>())
    for (unsigned index = 0; index < function.getNumArguments(); ++index)
      for (llvm::StringRef name :
           {kParameterAttrName, kPermutationAttrName, kPackingAttrName,
            kProductAttrName, kConcatenationAttrName, kConstantAttrName,
            kInputNameAttrName, kUpdatedByAttrName})
        function.removeArgAttr(index, name);
  mlir::registerBuiltinDialectTranslation(*module->getContext());
  mlir::registerLLVMDialectTranslation(*module->getContext());
  mlir::registerOpenMPDialectTranslation(*module->getContext());
  std::unique_ptr<llvm::Module> llvmModule =
      mlir::translateModuleToLLVMIR(module, context, "structured");
  if (!llvmModule)
    return nullptr;
  llvm::TargetMachine &machine = target.getMachine();
  llvmModule->setTargetTriple(machine.getTargetTriple());
  llvmModule->setDataLayout(machine.createDataLayout());
  return llvmModule;
}

void structured::optimize(llvm::Module &module, const CpuTarget &target) {
  llvm::TargetMachine &machine = target.getMachine();
  for (llvm::Function &function : module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine.getTargetCPU());
    function.addFnAttr("target-features", machine.getTargetFeatureString());
  }
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager components;
  llvm::ModuleAnalysisManager modules;
  llvm::PipelineTuningOptions tuning;
  tuning.LoopVectorization = true;
  tuning.SLPVectorization = true;
  llvm::PassBuilder builder(&machine, tuning);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
  builder.buildPerModuleDefaultPipeline(llvm::OptimizationLevel::O3)
      .run(module, modules);
}

llvm::Error structured::emitCode(llvm::Module &module, const CpuTarget &target,
                                 llvm::CodeGenFileType type,
                                 llvm::raw_pwrite_stream &stream) {
  llvm::legacy::PassManager pm;
  if (target.getMachine().addPassesToEmitFile(pm, stream, nullptr, type))
    return llvm::createStringError("the target cannot emit this kind of file");
  pm.run(module);
  return llvm::Error::success();
}
