// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

#include "HopperBuilder.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace structured;

static constexpr llvm::StringLiteral kSharedMemoryName = "structured_shared";

/// "{$first, …}", `count` operands of inline assembly.
static std::string getOperandList(int64_t first, int64_t count) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  stream << "{";
  llvm::interleaveComma(llvm::seq(first, first + count), stream,
                        [&](int64_t index) { stream << "$" << index; });
  stream << "}";
  return text;
}

/// The constraints of `count` f32 that inline assembly changes.
static std::string getTiedConstraints(int64_t count) {
  std::string constraints;
  for (int64_t i = 0; i < count; ++i)
    constraints += "=f,";
  for (int64_t i = 0; i < count; ++i)
    constraints += std::to_string(i) + ",";
  return constraints;
}

//===----------------------------------------------------------------------===//
// Numbers
//===----------------------------------------------------------------------===//

Value HopperBuilder::i32(int64_t value) {
  return arith::ConstantIntOp::create(*this, value, 32);
}
Value HopperBuilder::i64(int64_t value) {
  return arith::ConstantIntOp::create(*this, value, 64);
}
Value HopperBuilder::f32(float value) {
  return arith::ConstantFloatOp::create(*this, getF32Type(), APFloat(value));
}
Value HopperBuilder::add(Value a, Value b) {
  return arith::AddIOp::create(*this, a, b);
}
Value HopperBuilder::add(Value a, int64_t b) {
  return b == 0 ? a : add(a, i32(b));
}
Value HopperBuilder::sub(Value a, Value b) {
  return arith::SubIOp::create(*this, a, b);
}
Value HopperBuilder::mul(Value a, Value b) {
  return arith::MulIOp::create(*this, a, b);
}
Value HopperBuilder::mul(Value a, int64_t b) { return mul(a, i32(b)); }
Value HopperBuilder::div(Value a, Value b) {
  return arith::DivUIOp::create(*this, a, b);
}
Value HopperBuilder::div(Value a, int64_t b) { return div(a, i32(b)); }
Value HopperBuilder::ceilDiv(Value a, int64_t b) {
  return div(add(a, b - 1), b);
}
Value HopperBuilder::rem(Value a, Value b) {
  return arith::RemUIOp::create(*this, a, b);
}
Value HopperBuilder::rem(Value a, int64_t b) { return rem(a, i32(b)); }
Value HopperBuilder::bitXor(Value a, Value b) {
  return arith::XOrIOp::create(*this, a, b);
}
Value HopperBuilder::min(Value a, Value b) {
  return arith::MinUIOp::create(*this, a, b);
}
Value HopperBuilder::isEqual(Value a, int64_t b) {
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::eq, a, i32(b));
}
Value HopperBuilder::isLess(Value a, Value b) {
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::ult, a, b);
}
Value HopperBuilder::isPositive(Value a) {
  return arith::CmpIOp::create(*this, arith::CmpIPredicate::ne, a, i32(0));
}
Value HopperBuilder::bitAnd(Value a, Value b) {
  return arith::AndIOp::create(*this, a, b);
}
Value HopperBuilder::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(*this, condition, a, b);
}
Value HopperBuilder::toInt(Value pointer) {
  return LLVM::PtrToIntOp::create(*this, getI32Type(), pointer);
}
Value HopperBuilder::offset(Value base, Value bytes) {
  return LLVM::GEPOp::create(*this, base.getType(), getI8Type(), base,
                             ArrayRef<LLVM::GEPArg>{bytes});
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

void HopperBuilder::ifThen(Value condition, Body body) {
  auto ifOp = scf::IfOp::create(*this, condition, /*withElseRegion=*/false);
  InsertionGuard guard(*this);
  setInsertionPointToStart(ifOp.thenBlock());
  body();
}

void HopperBuilder::ifThenElse(Value condition, Body thenBody, Body elseBody) {
  auto ifOp = scf::IfOp::create(*this, condition, /*withElseRegion=*/true);
  InsertionGuard guard(*this);
  setInsertionPointToStart(ifOp.thenBlock());
  thenBody();
  setInsertionPointToStart(ifOp.elseBlock());
  elseBody();
}

SmallVector<Value>
HopperBuilder::ifResults(Value condition,
                         function_ref<SmallVector<Value>()> thenBody,
                         function_ref<SmallVector<Value>()> elseBody) {
  auto ifOp = scf::IfOp::create(
      *this, condition,
      [&](OpBuilder &builder, Location) {
        InsertionGuard guard(*this);
        restoreInsertionPoint(builder.saveInsertionPoint());
        scf::YieldOp::create(*this, thenBody());
      },
      [&](OpBuilder &builder, Location) {
        InsertionGuard guard(*this);
        restoreInsertionPoint(builder.saveInsertionPoint());
        scf::YieldOp::create(*this, elseBody());
      });
  return ifOp.getResults();
}

SmallVector<Value> HopperBuilder::forLoop(Value begin, Value end, Value step,
                                          ValueRange carried, LoopBody body) {
  auto loop = scf::ForOp::create(*this, begin, end, step, carried);
  InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  if (carried.empty())
    return {};
  scf::YieldOp::create(*this, next);
  return loop.getResults();
}

SmallVector<Value>
HopperBuilder::repeatUntil(TypeRange types,
                           function_ref<SmallVector<Value>()> body) {
  auto loop = scf::WhileOp::create(*this, types, ValueRange());
  InsertionGuard guard(*this);
  createBlock(&loop.getBefore());
  SmallVector<Value> values = body();
  Value again = arith::XOrIOp::create(
      *this, values.front(), arith::ConstantIntOp::create(*this, 1, 1));
  scf::ConditionOp::create(*this, again, ArrayRef(values).drop_front());
  createBlock(&loop.getAfter(), {}, types,
              SmallVector<Location>(types.size(), getLoc()));
  scf::YieldOp::create(*this);
  return loop.getResults();
}

SmallVector<Value> HopperBuilder::repeatWhile(
    ValueRange carried,
    function_ref<SmallVector<Value>(ValueRange carried)> body) {
  SmallVector<Type> types(carried.getTypes());
  SmallVector<Location> locations(types.size(), getLoc());
  auto loop = scf::WhileOp::create(*this, types, carried);
  InsertionGuard guard(*this);
  Block *before = createBlock(&loop.getBefore(), {}, types, locations);
  SmallVector<Value> next = body(before->getArguments());
  scf::ConditionOp::create(*this, next.front(), ArrayRef(next).drop_front());
  Block *after = createBlock(&loop.getAfter(), {}, types, locations);
  scf::YieldOp::create(*this, after->getArguments());
  return loop.getResults();
}

//===----------------------------------------------------------------------===//
// Threads
//===----------------------------------------------------------------------===//

Value HopperBuilder::threadIdx() {
  return NVVM::ThreadIdXOp::create(*this, getI32Type());
}
Value HopperBuilder::blockIdx() {
  return NVVM::BlockIdXOp::create(*this, getI32Type());
}
Value HopperBuilder::gridDim() {
  return NVVM::GridDimXOp::create(*this, getI32Type());
}
Value HopperBuilder::laneIdx() {
  return NVVM::LaneIdOp::create(*this, getI32Type());
}
void HopperBuilder::syncThreads() { NVVM::Barrier0Op::create(*this); }
void HopperBuilder::syncWarp() {
  NVVM::SyncWarpOp::create(*this, i32(0xFFFFFFFF));
}
void HopperBuilder::namedBarrier(Value id, int64_t threads) {
  inlineAsm(Type(), "bar.sync $0, $1;", "r,n,~{memory}", {id, i32(threads)});
}
void HopperBuilder::setMaxRegisters(int64_t count, bool increase) {
  NVVM::SetMaxRegisterOp::create(*this, count,
                                 increase
                                     ? NVVM::SetMaxRegisterAction::increase
                                     : NVVM::SetMaxRegisterAction::decrease);
}
void HopperBuilder::waitForPrerequisiteGrids() {
  NVVM::GriddepcontrolOp::create(*this, NVVM::GridDepActionKind::wait);
}
void HopperBuilder::launchDependents() {
  NVVM::GriddepcontrolOp::create(*this,
                                 NVVM::GridDepActionKind::launch_dependents);
}

//===----------------------------------------------------------------------===//
// Barriers in shared memory
//===----------------------------------------------------------------------===//

void HopperBuilder::initBarrier(Value barrier, int64_t count) {
  NVVM::MBarrierInitOp::create(*this, barrier, i32(count), Value());
}
void HopperBuilder::fenceBarrierInit() {
  NVVM::FenceMbarrierInitOp::create(*this);
}
void HopperBuilder::arrive(Value barrier) {
  NVVM::MBarrierArriveOp::create(*this, getI64Type(), barrier, Value());
}
void HopperBuilder::arriveExpectBytes(Value barrier, int64_t bytes) {
  inlineAsm(Type(), "mbarrier.arrive.expect_tx.shared::cta.b64 _, [$0], $1;",
            "r,r", {toInt(barrier), i32(bytes)});
}
void HopperBuilder::wait(Value barrier, Value parity) {
  // Waiting suspends the thread for at most this many nanoseconds.
  NVVM::MBarrierTryWaitParityOp::create(*this, barrier, parity, i32(10000000));
}

//===----------------------------------------------------------------------===//
// The copy engine
//===----------------------------------------------------------------------===//

void HopperBuilder::prefetchDescriptor(Value descriptor) {
  inlineAsm(Type(), "prefetch.tensormap [$0];", "l", {descriptor});
}

Value HopperBuilder::createPolicy(bool keeps) {
  std::string text = keeps ? "evict_last" : "evict_first";
  return inlineAsm(getI64Type(),
                   "createpolicy.fractional.L2::" + text + ".b64 $0, 1.0;",
                   "=l", {});
}
void HopperBuilder::loadTile(Value target, Value descriptor,
                             ValueRange coordinates, Value barrier,
                             Value policy) {
  int64_t rank = coordinates.size();
  std::string last = "$" + std::to_string(rank + 2);
  std::string text = "cp.async.bulk.tensor." + std::to_string(rank) +
                     "d.shared::cluster.global.mbarrier::complete_tx::bytes";
  text += policy ? ".L2::cache_hint" : "";
  text += " [$0], [$1, " + getOperandList(2, rank) + "], [" + last + "]";
  SmallVector<Value> operands{toInt(target), descriptor};
  llvm::append_range(operands, coordinates);
  operands.push_back(toInt(barrier));
  std::string constraints =
      "r,l" + std::string(rank == 4 ? ",r,r,r,r,r" : ",r,r,r,r");
  if (policy) {
    text += ", $" + std::to_string(rank + 3);
    operands.push_back(policy);
    constraints += ",l";
  }
  inlineAsm(Type(), text + ";", constraints, operands);
}
void HopperBuilder::loadBulk(Value target, Value source, int64_t bytes,
                             Value barrier) {
  inlineAsm(Type(),
            "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
            "[$0], [$1], $2, [$3];",
            "r,l,r,r,~{memory}",
            {toInt(target), source, i32(bytes), toInt(barrier)});
}
void HopperBuilder::storeTile(Value descriptor, Value source,
                              ValueRange coordinates) {
  NVVM::CpAsyncBulkTensorSharedCTAToGlobalOp::create(
      *this, descriptor, source, coordinates, /*l2CacheHint=*/Value(),
      NVVM::TMAStoreMode::TILE, /*predicate=*/Value());
}
void HopperBuilder::commitStores() {
  NVVM::CpAsyncBulkCommitGroupOp::create(*this);
}
void HopperBuilder::waitForStores(int64_t pending, bool readOnly) {
  NVVM::CpAsyncBulkWaitGroupOp::create(*this, getI32IntegerAttr(pending),
                                       readOnly ? getUnitAttr() : UnitAttr());
}
void HopperBuilder::fenceSharedAccesses() {
  inlineAsm(Type(), "fence.proxy.async.shared::cta;", "~{memory}", {});
}
void HopperBuilder::fenceGlobalWrites() {
  inlineAsm(Type(), "fence.proxy.async.global;", "~{memory}", {});
}

//===----------------------------------------------------------------------===//
// Warpgroup products
//===----------------------------------------------------------------------===//

Value HopperBuilder::matrixDescriptor(Value address, int64_t alongColumns) {
  // Eight rows of 128 bytes are 1024 apart (64 in units of 16 bytes); the
  // layout type 1 is the 128-byte swizzle.
  int64_t base =
      (int64_t(1) << 62) | (int64_t(64) << 32) | (alongColumns / 16) << 16;
  Value number = LLVM::PtrToIntOp::create(*this, getI64Type(), address);
  Value units = arith::ShRUIOp::create(*this, number, i64(4));
  Value masked = arith::AndIOp::create(*this, units, i64(0x3FFF));
  return arith::OrIOp::create(*this, masked, i64(base));
}
void HopperBuilder::fenceProducts() {
  NVVM::WgmmaFenceAlignedOp::create(*this);
}
Value HopperBuilder::multiply(Value accumulators, Value descriptorA,
                              Value descriptorB, int64_t n, Type elementType,
                              bool isFirst) {
  MLIRContext *context = getContext();
  NVVM::WGMMATypes type =
      elementType.isBF16() ? NVVM::WGMMATypes::bf16 : NVVM::WGMMATypes::f16;
  auto one = NVVM::WGMMAScaleInAttr::get(context, NVVM::WGMMAScaleIn::one);
  auto typeAttr = NVVM::WGMMATypesAttr::get(context, type);
  // Both operands are stored with k contiguous.
  auto row = NVVM::MMALayoutAttr::get(context, NVVM::MMALayout::row);
  auto col = NVVM::MMALayoutAttr::get(context, NVVM::MMALayout::col);
  return NVVM::WgmmaMmaAsyncOp::create(
      *this, accumulators.getType(), accumulators, descriptorA, descriptorB,
      NVVM::MMAShapeAttr::get(context, 64, n, 16), typeAttr, typeAttr,
      NVVM::WGMMATypesAttr::get(context, NVVM::WGMMATypes::f32),
      NVVM::WGMMAScaleOutAttr::get(context, isFirst ? NVVM::WGMMAScaleOut::zero
                                                    : NVVM::WGMMAScaleOut::one),
      one, one, row, col, NVVM::MMAIntOverflowAttr());
}
Value HopperBuilder::multiplyRegisters(Value accumulators, ValueRange a,
                                       Value descriptorB, int64_t n,
                                       Type elementType, bool isFirst) {
  int64_t count = n / 2;
  std::string type = elementType.isBF16() ? "bf16" : "f16";
  std::string text = "wgmma.mma_async.sync.aligned.m64n" + std::to_string(n) +
                     "k16.f32." + type + "." + type + " " +
                     getOperandList(0, count) + ", " +
                     getOperandList(2 * count, 4) + ", $" +
                     std::to_string(2 * count + 4) + ", p, 1, 1, 1;";
  text = "{ .reg .pred p; setp.ne.b32 p, $" + std::to_string(2 * count + 5) +
         ", 0; " + text + " }";
  SmallVector<Value> operands = getElements(accumulators);
  operands.append(a.begin(), a.end());
  operands.push_back(descriptorB);
  operands.push_back(i32(!isFirst));
  return inlineAsm(accumulators.getType(), text,
                   getTiedConstraints(count) + "r,r,r,r,l,n", operands);
}
void HopperBuilder::commitProducts() {
  NVVM::WgmmaGroupSyncAlignedOp::create(*this);
}
void HopperBuilder::waitForPreviousProducts() {
  NVVM::WgmmaWaitGroupSyncOp::create(*this, 1);
}
Value HopperBuilder::waitForProducts(Value accumulators, int64_t pending) {
  // The accumulators go through the instruction, so that nothing that reads
  // them is moved before it.
  SmallVector<Value> operands = getElements(accumulators);
  return inlineAsm(accumulators.getType(),
                   "wgmma.wait_group.sync.aligned " + std::to_string(pending) +
                       ";",
                   getTiedConstraints(operands.size()) + "~{memory}", operands);
}
Value HopperBuilder::newAccumulators(int64_t n) {
  auto type = LLVM::LLVMStructType::getLiteral(
      getContext(), SmallVector<Type>(n / 2, getF32Type()));
  return LLVM::UndefOp::create(*this, type);
}
Value HopperBuilder::zeroAccumulators(int64_t n) {
  Value zeros = newAccumulators(n);
  Value zero = f32(0);
  for (int64_t i = 0; i < n / 2; ++i)
    zeros = LLVM::InsertValueOp::create(*this, zeros, zero, i);
  return zeros;
}

Value HopperBuilder::pack(Value low, Value high, Type elementType,
                          bool inOrder) {
  auto text = elementType.isBF16() ? "cvt.rn.bf16x2.f32 $0, $1, $2;"
                                   : "cvt.rn.f16x2.f32 $0, $1, $2;";
  return LLVM::InlineAsmOp::create(
             *this, getI32Type(), ValueRange{high, low}, text, "=r,f,f",
             /*has_side_effects=*/inOrder, /*is_align_stack=*/false,
             LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
      .getResult(0);
}
std::pair<Value, Value> HopperBuilder::unpack(Value packed, Type elementType) {
  if (elementType.isBF16()) {
    Value low = arith::ShLIOp::create(*this, packed, i32(16));
    Value high = arith::AndIOp::create(*this, packed, i32(0xFFFF0000));
    return {LLVM::BitcastOp::create(*this, getF32Type(), low),
            LLVM::BitcastOp::create(*this, getF32Type(), high)};
  }
  Value halves =
      LLVM::BitcastOp::create(*this, VectorType::get(2, elementType), packed);
  auto extend = [&](int64_t index) -> Value {
    Value half = LLVM::ExtractElementOp::create(*this, halves, i32(index));
    return LLVM::FPExtOp::create(*this, getF32Type(), half);
  };
  return {extend(0), extend(1)};
}
void HopperBuilder::storeMatrices(Value address, ArrayRef<Value> packed,
                                  bool transposed) {
  SmallVector<Value> operands{toInt(address)};
  operands.append(packed.begin(), packed.end());
  std::string text = "stmatrix.sync.aligned.m8n8.x" +
                     std::to_string(packed.size()) +
                     (transposed ? ".trans" : "") + ".shared.b16 [$0], " +
                     getOperandList(1, packed.size()) + ";";
  std::string constraints = "r,";
  for (size_t i = 0; i < packed.size(); ++i)
    constraints += "r,";
  inlineAsm(Type(), text, constraints + "~{memory}", operands);
}
SmallVector<Value> HopperBuilder::loadMatrices(Value address, int64_t count) {
  std::string text = "ldmatrix.sync.aligned.m8n8.x" + std::to_string(count) +
                     ".shared.b16 " + getOperandList(0, count) + ", [$" +
                     std::to_string(count) + "];";
  std::string constraints;
  for (int64_t i = 0; i < count; ++i)
    constraints += "=r,";
  auto type = LLVM::LLVMStructType::getLiteral(
      getContext(), SmallVector<Type>(count, getI32Type()));
  return getElements(
      inlineAsm(type, text, constraints + "r,~{memory}", {toInt(address)}));
}

Value HopperBuilder::extract(Value vector, int64_t index) {
  return LLVM::ExtractElementOp::create(*this, vector, i32(index));
}
SmallVector<Value> HopperBuilder::getElements(Value structure) {
  auto type = cast<LLVM::LLVMStructType>(structure.getType());
  SmallVector<Value> elements;
  for (size_t i = 0; i < type.getBody().size(); ++i)
    elements.push_back(LLVM::ExtractValueOp::create(
        *this, structure, ArrayRef<int64_t>(static_cast<int64_t>(i))));
  return elements;
}
Value HopperBuilder::interleave(Value a, Value b, bool upper) {
  return NVVM::PermuteOp::create(*this, getI32Type(), a, b,
                                 i32(upper ? 0x7632 : 0x5410),
                                 NVVM::PermuteMode::DEFAULT);
}
std::array<Value, 4> HopperBuilder::multiplySmall(ValueRange a, ValueRange b,
                                                  Type elementType) {
  Value zero = f32(0);
  return multiplySmall(a, b, {zero, zero, zero, zero}, elementType);
}
std::array<Value, 4> HopperBuilder::multiplySmall(ValueRange a, ValueRange b,
                                                  ValueRange sums,
                                                  Type elementType) {
  const char *type = elementType.isBF16() ? "bf16" : "f16";
  std::string text = std::string("mma.sync.aligned.m16n8k16.row.col.f32.") +
                     type + "." + type +
                     ".f32 {$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, "
                     "{$10, $11, $12, $13};";
  SmallVector<Value> operands(a);
  operands.append(b.begin(), b.end());
  operands.append(sums.begin(), sums.end());
  auto type4 = LLVM::LLVMStructType::getLiteral(
      getContext(), SmallVector<Type>(4, getF32Type()));
  // It has side effects, so that it is not moved to where only some lanes use
  // its result; structured-kernels-to-ptx sees to the rest.
  SmallVector<Value> elements = getElements(
      inlineAsm(type4, text, "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f", operands));
  return {elements[0], elements[1], elements[2], elements[3]};
}

Value HopperBuilder::shuffleXor(Value value, int64_t mask) {
  return NVVM::ShflOp::create(*this, getF32Type(), i32(0xFFFFFFFF), value,
                              i32(mask), i32(31), NVVM::ShflKind::bfly,
                              UnitAttr());
}

//===----------------------------------------------------------------------===//
// Memory, PTX
//===----------------------------------------------------------------------===//

SmallVector<Value> HopperBuilder::loadGlobal(Value pointer, Value valid,
                                             bool invariant) {
  // What other kernels have written is read from the L2 cache.
  std::string load = invariant ? "ld.global.nc.L1::no_allocate.L2::128B.v4.b32"
                               : "ld.global.cg.v4.b32";
  load += " {$0, $1, $2, $3}, [$4];";
  std::string constraints = "=r,=r,=r,=r,l";
  SmallVector<Value> operands{pointer};
  if (valid) {
    load = "{ .reg .pred valid; setp.ne.b32 valid, $5, 0; mov.b32 $0, 0; "
           "mov.b32 $1, 0; mov.b32 $2, 0; mov.b32 $3, 0; @valid " +
           load + " }";
    // No result may take the register of an operand, which is read later.
    constraints = "=&r,=&r,=&r,=&r,l,r";
    operands.push_back(arith::ExtUIOp::create(*this, getI32Type(), valid));
  }
  auto type4 = LLVM::LLVMStructType::getLiteral(
      getContext(), SmallVector<Type>(4, getI32Type()));
  return getElements(inlineAsm(type4, load, constraints, operands));
}
void HopperBuilder::storeGlobal(ArrayRef<Value> words, Value pointer,
                                Value policy) {
  SmallVector<Value> operands{pointer};
  operands.append(words.begin(), words.end());
  if (!policy) {
    inlineAsm(Type(), "st.global.cg.v4.b32 [$0], {$1, $2, $3, $4};",
              "l,r,r,r,r,~{memory}", operands);
    return;
  }
  operands.push_back(policy);
  inlineAsm(Type(),
            "st.global.L2::cache_hint.v4.b32 [$0], {$1, $2, $3, $4}, $5;",
            "l,r,r,r,r,l,~{memory}", operands);
}
void HopperBuilder::copyAsync(Value target, Value source, int64_t bytes) {
  // Only 16 bytes can go past the L1 cache.
  std::string cache = bytes == 16 ? "cg" : "ca";
  inlineAsm(Type(),
            "cp.async." + cache + ".shared.global [$0], [$1], " +
                std::to_string(bytes) + ";",
            "r,l", {toInt(target), source});
}
void HopperBuilder::waitForCopies() {
  inlineAsm(Type(), "cp.async.wait_all;", "~{memory}", {});
}
std::pair<Value, Value> HopperBuilder::loadRelaxed(Value pointer, Value valid,
                                                   Value otherwise) {
  std::string load = "ld.relaxed.gpu.global.v2.b64 {$0, $1}, [$2];";
  std::string constraints = "=l,=l,l,~{memory}";
  SmallVector<Value> operands{pointer};
  if (valid) {
    load = "{ .reg .pred valid; setp.ne.b32 valid, $3, 0; mov.b64 $0, $4; "
           "mov.b64 $1, $4; @valid " +
           load + " }";
    // No result may take the register of an operand, which is read later.
    constraints = "=&l,=&l,l,r,l,~{memory}";
    operands.push_back(arith::ExtUIOp::create(*this, getI32Type(), valid));
    operands.push_back(otherwise);
  }
  auto type2 = LLVM::LLVMStructType::getLiteral(getContext(),
                                                {getI64Type(), getI64Type()});
  SmallVector<Value> words =
      getElements(inlineAsm(type2, load, constraints, operands));
  return {words[0], words[1]};
}
void HopperBuilder::storeRelaxed(Value low, Value high, Value pointer) {
  inlineAsm(Type(),
            "{ .reg .b64 both; mov.b64 both, {$1, $2}; "
            "st.relaxed.gpu.global.b64 [$0], both; }",
            "l,r,r,~{memory}", {pointer, low, high});
}

Value HopperBuilder::atomicAdd(Value pointer, Value value) {
  return inlineAsm(getI32Type(),
                   "atom.acq_rel.gpu.global.add.u32 $0, [$1], $2;",
                   "=r,l,r,~{memory}", {pointer, value});
}
Value HopperBuilder::atomicAddRelaxed(Value pointer, Value value) {
  return inlineAsm(getI32Type(),
                   "atom.relaxed.gpu.global.add.u32 $0, [$1], $2;",
                   "=r,l,r,~{memory}", {pointer, value});
}
void HopperBuilder::addRelease(Value pointer, Value value) {
  inlineAsm(Type(), "red.release.gpu.global.add.u32 [$0], $1;", "l,r,~{memory}",
            {pointer, value});
}
Value HopperBuilder::loadAcquire(Value pointer) {
  return inlineAsm(getI32Type(), "ld.acquire.gpu.global.u32 $0, [$1];",
                   "=r,l,~{memory}", {pointer});
}
void HopperBuilder::signal(Value pointer) {
  fenceGlobalWrites();
  atomicAdd(pointer, i32(1));
}
void HopperBuilder::waitForCount(Value pointer, Value count) {
  repeatUntil({}, [&]() -> SmallVector<Value> {
    Value ahead = sub(loadAcquire(pointer), count);
    return {
        arith::CmpIOp::create(*this, arith::CmpIPredicate::sge, ahead, i32(0))};
  });
  fenceGlobalWrites();
}

SmallVector<Value> HopperBuilder::loadShared(Value address) {
  auto type4 = LLVM::LLVMStructType::getLiteral(
      getContext(), SmallVector<Type>(4, getI32Type()));
  return getElements(inlineAsm(type4,
                               "ld.shared.v4.b32 {$0, $1, $2, $3}, [$4];",
                               "=r,=r,=r,=r,r,~{memory}", {toInt(address)}));
}
void HopperBuilder::storeShared(ValueRange words, Value address) {
  SmallVector<Value> operands{toInt(address)};
  operands.append(words.begin(), words.end());
  inlineAsm(Type(), "st.shared.v4.b32 [$0], {$1, $2, $3, $4};",
            "r,r,r,r,r,~{memory}", operands);
}

Value HopperBuilder::load(Type type, Value pointer, bool invariant) {
  auto op = LLVM::LoadOp::create(*this, type, pointer);
  op.setInvariant(invariant);
  return op;
}
void HopperBuilder::store(Value value, Value pointer) {
  LLVM::StoreOp::create(*this, value, pointer);
}
Value HopperBuilder::inlineAsm(Type result, StringRef text,
                               StringRef constraints, ValueRange operands) {
  auto op = LLVM::InlineAsmOp::create(
      *this, result ? TypeRange(result) : TypeRange(), operands, text,
      constraints, /*has_side_effects=*/true, /*is_align_stack=*/false,
      LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr());
  return result ? op.getResult(0) : Value();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

LLVM::LLVMFuncOp structured::createKernel(HopperBuilder &builder,
                                          gpu::GPUModuleOp module,
                                          StringRef name,
                                          ArrayRef<Type> arguments,
                                          int64_t threads) {
  MLIRContext *context = builder.getContext();
  builder.setInsertionPointToEnd(module.getBody());
  auto type =
      LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context), arguments);
  auto kernel = LLVM::LLVMFuncOp::create(builder, name, type);
  kernel->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
  kernel->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                  builder.getUnitAttr());
  kernel->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(),
                  builder.getDenseI32ArrayAttr({static_cast<int>(threads)}));
  kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                  builder.getI32IntegerAttr(1));
  builder.setInsertionPointToStart(kernel.addEntryBlock(builder));
  return kernel;
}

Value structured::getSharedMemory(HopperBuilder &builder,
                                  gpu::GPUModuleOp module) {
  auto global = module.lookupSymbol<LLVM::GlobalOp>(kSharedMemoryName);
  if (!global) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(module.getBody());
    global = LLVM::GlobalOp::create(
        builder, LLVM::LLVMArrayType::get(builder.getI8Type(), 0),
        /*isConstant=*/false, LLVM::Linkage::External, kSharedMemoryName,
        Attribute(), /*alignment=*/1024, kSharedSpace);
  }
  return LLVM::AddressOfOp::create(builder, global);
}
