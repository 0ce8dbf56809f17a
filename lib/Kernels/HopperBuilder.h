// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Short forms of the ops that Hopper kernels are made of.

#ifndef STRUCTURED_LIB_KERNELS_HOPPERBUILDER_H
#define STRUCTURED_LIB_KERNELS_HOPPERBUILDER_H

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace structured {

/// The address space of shared memory.
inline constexpr unsigned kSharedSpace = 3;

class HopperBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Value = mlir::Value;
  using ValueRange = mlir::ValueRange;
  using Body = llvm::function_ref<void()>;
  using LoopBody = llvm::function_ref<llvm::SmallVector<Value>(
      Value iv, ValueRange carried)>;

  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  mlir::LLVM::LLVMPointerType getPointerType(unsigned space = 0) {
    return mlir::LLVM::LLVMPointerType::get(getContext(), space);
  }

  // Numbers, all i32 unless said otherwise.
  Value i32(int64_t value);
  Value i64(int64_t value);
  Value f32(float value);
  Value add(Value a, Value b);
  Value add(Value a, int64_t b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  Value mul(Value a, int64_t b);
  Value div(Value a, Value b);
  Value div(Value a, int64_t b);
  /// Rounded up.
  Value ceilDiv(Value a, int64_t b);
  Value rem(Value a, Value b);
  Value rem(Value a, int64_t b);
  Value bitXor(Value a, Value b);
  Value min(Value a, Value b);
  Value isEqual(Value a, int64_t b);
  Value isLess(Value a, Value b);
  Value isPositive(Value a);
  Value bitAnd(Value a, Value b);
  Value select(Value condition, Value a, Value b);

  /// An address in shared memory as a number.
  Value toInt(Value pointer);
  /// `base` plus `bytes` (i32 or i64).
  Value offset(Value base, Value bytes);
  Value offset(Value base, int64_t bytes) { return offset(base, i32(bytes)); }

  // Control flow.
  void ifThen(Value condition, Body body);
  void ifThenElse(Value condition, Body thenBody, Body elseBody);
  /// An if with as many results as each of the bodies gives.
  llvm::SmallVector<Value>
  ifResults(Value condition,
            llvm::function_ref<llvm::SmallVector<Value>()> thenBody,
            llvm::function_ref<llvm::SmallVector<Value>()> elseBody);
  /// for (iv = begin; iv < end; iv += step) with values that are carried on.
  llvm::SmallVector<Value> forLoop(Value begin, Value end, Value step,
                                   ValueRange carried, LoopBody body);

  /// Runs `body` again with the values that follow the condition that it gives
  /// first, as long as this holds; the last values.
  llvm::SmallVector<Value> repeatWhile(
      ValueRange carried,
      llvm::function_ref<llvm::SmallVector<Value>(ValueRange carried)> body);

  // Threads.
  Value threadIdx();
  Value blockIdx();
  Value gridDim();
  Value laneIdx();
  void syncThreads();
  void syncWarp();
  /// A barrier of `threads` threads, by its number (0 is that of
  /// `syncThreads`).
  void namedBarrier(Value id, int64_t threads);
  void setMaxRegisters(int64_t count, bool increase);
  void waitForPrerequisiteGrids();
  void launchDependents();

  // Barriers in shared memory.
  void initBarrier(Value barrier, int64_t count);
  void fenceBarrierInit();
  void arrive(Value barrier);
  void arriveExpectBytes(Value barrier, int64_t bytes);
  void wait(Value barrier, Value parity);

  // The copy engine.
  void prefetchDescriptor(Value descriptor);
  /// For accesses to global memory: what the L2 cache then keeps longest, or
  /// what it gives up first (i64).
  Value createPolicy(bool keeps);
  /// Three or four coordinates. By the policy, if there is one.
  void loadTile(Value target, Value descriptor, ValueRange coordinates,
                Value barrier, Value policy = {});
  /// Brings `bytes` bytes, a multiple of 16, that lie one after the other.
  void loadBulk(Value target, Value source, int64_t bytes, Value barrier);
  void storeTile(Value descriptor, Value source, ValueRange coordinates);
  void commitStores();
  /// Waits until at most `pending` groups of stores have still to read shared
  /// memory, or to finish if not `readOnly`.
  void waitForStores(int64_t pending, bool readOnly);
  /// What the thread has read from and written to shared memory is done before
  /// the copy engine's accesses that follow.
  void fenceSharedAccesses();
  /// What is written to global memory before it, by this thread or seen by it,
  /// is there for the copy engine.
  void fenceGlobalWrites();

  // Warpgroup products.
  /// The descriptor (i64) of a tile of 64 columns of 2 bytes at `address`, with
  /// the 128-byte swizzle, K-major. If it is transposed, rows of 64 columns,
  /// the next 64 columns are `alongColumns` bytes apart.
  Value matrixDescriptor(Value address, int64_t alongColumns = 16);
  void fenceProducts();
  /// accumulators (a struct of n/2 f32) += A [64, 16] · B [n, 16]ᵀ. The first
  /// product of a sum takes no notice of what the accumulators were.
  Value multiply(Value accumulators, Value descriptorA, Value descriptorB,
                 int64_t n, mlir::Type elementType, bool isFirst = false);
  /// The same with A in four i32 of each thread, as that of `multiplySmall` in
  /// each warp, and with B [16, n].
  Value multiplyRegisters(Value accumulators, ValueRange a, Value descriptorB,
                          int64_t n, mlir::Type elementType, bool isFirst);
  void commitProducts();
  /// Waits until at most one group of products is pending.
  void waitForPreviousProducts();
  /// Waits for all products but the last `pending` groups; the accumulators of
  /// the others can then be read.
  Value waitForProducts(Value accumulators, int64_t pending = 0);
  Value zeroAccumulators(int64_t n);
  /// For the first product of a sum.
  Value newAccumulators(int64_t n);

  /// Two f32 as two elements of the type, in an i32; the inverse. With
  /// `inOrder` not before what comes before it: the result's register is that
  /// of an operand of products which are waited for.
  Value pack(Value low, Value high, mlir::Type elementType,
             bool inOrder = false);
  std::pair<Value, Value> unpack(Value packed, mlir::Type elementType);
  /// One, two or four 8 × 8 matrices of two-byte elements, in registers, to the
  /// rows of 16 bytes at `address`, each lane's own: 8 lanes for each matrix.
  /// If `transposed`, a row takes what is a column in the registers.
  void storeMatrices(Value address, llvm::ArrayRef<Value> packed,
                     bool transposed = false);
  /// The inverse: `count` matrices.
  llvm::SmallVector<Value> loadMatrices(Value address, int64_t count);

  /// Element `index` of a vector.
  Value extract(Value vector, int64_t index);
  /// The elements of a structure: accumulators, or what inline assembly gives.
  llvm::SmallVector<Value> getElements(Value structure);
  /// The lower (or, if `upper`, the upper) halves of `a` and of `b`, in this
  /// order.
  Value interleave(Value a, Value b, bool upper);
  /// A [16, 16] · B [16, 8] of one warp, in f32 (mma.m16n8k16). All lanes must
  /// take part.
  std::array<Value, 4> multiplySmall(ValueRange a, ValueRange b,
                                     mlir::Type elementType);
  /// The same, plus `sums`.
  std::array<Value, 4> multiplySmall(ValueRange a, ValueRange b,
                                     ValueRange sums, mlir::Type elementType);

  /// `value` (f32) of the lane whose number differs in the bits of `mask`.
  Value shuffleXor(Value value, int64_t mask);

  /// 16 bytes of global memory as four i32; zeros if the condition `valid`,
  /// which may be null, does not hold. They are not kept in the L1 cache. What
  /// the kernel's grid and those before it do not write is `invariant`.
  llvm::SmallVector<Value> loadGlobal(Value pointer, Value valid,
                                      bool invariant);
  /// Four i32 to global memory, past the L1 cache, or by a policy.
  void storeGlobal(llvm::ArrayRef<Value> words, Value pointer,
                   Value policy = {});
  /// Copies 4, 8 or 16 bytes of global memory to shared memory.
  void copyAsync(Value target, Value source, int64_t bytes);
  /// Waits for the thread's copies.
  void waitForCopies();
  /// Two i64 at an address aligned to 16 bytes, each as some thread of the
  /// device has written it. If the condition `valid`, which may be null, does
  /// not hold: `otherwise` each.
  std::pair<Value, Value> loadRelaxed(Value pointer, Value valid,
                                      Value otherwise);
  /// One i64 (two i32), for `loadRelaxed` in any thread of the device.
  void storeRelaxed(Value low, Value high, Value pointer);
  /// Adds to an i32 of global memory, and gives what it was.
  Value atomicAdd(Value pointer, Value value);
  /// `atomicAdd` without an order.
  Value atomicAddRelaxed(Value pointer, Value value);
  /// Adds to an i32 of global memory: who sees it sees what was written before.
  void addRelease(Value pointer, Value value);
  /// An i32, after which all is seen that was written before it.
  Value loadAcquire(Value pointer);
  /// Adds 1 to an i32: what the thread, or the copy engine for it, has written
  /// to global memory can be read there by who finds the sum with
  /// `waitForCount`.
  void signal(Value pointer);
  /// Waits until an i32 has come to `count`, or further, also if it has passed
  /// its largest number. The copy engine may then read what was written before
  /// the signals.
  void waitForCount(Value pointer, Value count);
  /// Runs `body` until the condition that it gives first holds; gives the
  /// values that follow.
  llvm::SmallVector<Value>
  repeatUntil(mlir::TypeRange types,
              llvm::function_ref<llvm::SmallVector<Value>()> body);

  /// Four i32 of shared memory, at an address aligned to 16 bytes.
  llvm::SmallVector<Value> loadShared(Value address);
  void storeShared(ValueRange words, Value address);

  Value load(mlir::Type type, Value pointer, bool invariant = false);
  void store(Value value, Value pointer);
  Value inlineAsm(mlir::Type result, llvm::StringRef text,
                  llvm::StringRef constraints, ValueRange operands);
};

/// A kernel, empty, in `module`, with at most `threads` threads in a block and
/// one block on a multiprocessor. The builder is at its start.
mlir::LLVM::LLVMFuncOp createKernel(HopperBuilder &builder,
                                    mlir::gpu::GPUModuleOp module,
                                    llvm::StringRef name,
                                    llvm::ArrayRef<mlir::Type> arguments,
                                    int64_t threads);

/// The address of the block's dynamic shared memory, aligned to 1024 bytes.
mlir::Value getSharedMemory(HopperBuilder &builder,
                            mlir::gpu::GPUModuleOp module);

} // namespace structured

#endif // STRUCTURED_LIB_KERNELS_HOPPERBUILDER_H
