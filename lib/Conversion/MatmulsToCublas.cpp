// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Layers and contractions on memrefs as calls of the runtime's batched matrix
// product, structuredCudaMatmul.

#include "LayerContractions.h"
#include "ProductEpilogue.h"

#include "Structured/Conversion/Passes.h"
#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/SymbolTable.h"
#include "llvm/ADT/StringMap.h"

namespace structured {
#define GEN_PASS_DEF_MATMULSTOCUBLAS
#include "Structured/Conversion/Passes.h.inc"
} // namespace structured

using namespace mlir;
using namespace structured;
using linalg::LinalgOp;
using LocBuilder = ImplicitLocOpBuilder;

static constexpr llvm::StringLiteral kMatmul = "structuredCudaMatmul";

//===----------------------------------------------------------------------===//
// Layers as contractions
//===----------------------------------------------------------------------===//

static void lowerLinear(LocBuilder &b, LinearOp op) {
  contract(b, op.getInput(), op.getWeight(), op.getInit(),
           {/*x [t,n]=*/{0, 2}, /*w [m,n]=*/{1, 2}, /*o [t,m]=*/{0, 1}});
}

static void lowerBlast(LocBuilder &b, BlastMatmulOp op) {
  // Y and Z have the factors' type: cuBLAS multiplies equal types.
  Value y = allocateRanks(b, op, op.getBIn(), /*isZero=*/true);
  addBlastStage1(b, op, y);
  // Z[i,t,ρ] = Σ_j S[i,j,ρ] Y[j,t,ρ]
  Value z = allocateRanks(b, op, op.getBOut(), /*isZero=*/true);
  contract(b, op.getS(), y, z,
           {/*s [i,j,r]=*/{0, 3, 2}, /*y [j,t,r]=*/{3, 1, 2},
            /*z [i,t,r]=*/{0, 1, 2}});
  memref::DeallocOp::create(b, y);
  addBlastStage3(b, op, z);
  memref::DeallocOp::create(b, z);
}

//===----------------------------------------------------------------------===//
// Contractions as calls
//===----------------------------------------------------------------------===//

/// The runtime's number of an element type, structuredRtDType.
static std::optional<int64_t> getDType(Type type) {
  if (type.isF32())
    return 1;
  if (type.isF16())
    return 2;
  if (type.isBF16())
    return 3;
  return std::nullopt;
}

namespace {
/// An operand of a contraction: a memref and the loop of each of its
/// dimensions.
struct Operand {
  Operand(OpOperand &operand, AffineMap map)
      : type(cast<MemRefType>(operand.get().getType())) {
    for (AffineExpr result : map.getResults())
      dims.push_back(cast<AffineDimExpr>(result).getPosition());
    int64_t offset;
    hasStrides = succeeded(type.getStridesAndOffset(strides, offset));
  }

  std::optional<unsigned> find(unsigned dim) const {
    auto it = llvm::find(dims, dim);
    if (it == dims.end())
      return std::nullopt;
    return it - dims.begin();
  }
  /// The stride of loop `dim` if it is known; 0: not in this operand.
  int64_t getStride(unsigned dim) const {
    std::optional<unsigned> position = find(dim);
    return position ? strides[*position] : 0;
  }
  /// Whether the loops `outer` and `inner` are like one loop here.
  bool areOne(unsigned outer, unsigned inner) const {
    std::optional<unsigned> o = find(outer), i = find(inner);
    if (!o && !i)
      return true;
    if (!o || !i || *o + 1 != *i)
      return false;
    if (type.getLayout().isIdentity())
      return true;
    return !ShapedType::isDynamic(strides[*o]) &&
           !ShapedType::isDynamic(strides[*i]) && !type.isDynamicDim(*i) &&
           strides[*o] == strides[*i] * type.getDimSize(*i);
  }

  MemRefType type;
  SmallVector<unsigned> dims;
  SmallVector<int64_t> strides;
  bool hasStrides;
};

/// Loops that are like one; the last is the innermost.
using Loops = SmallVector<unsigned>;

/// A contraction as a batched matrix product D [m][n] += A [m][k] · B [k][n].
class Matmul {
public:
  /// On failure `reason` says why.
  static FailureOr<Matmul> match(LinalgOp op, std::string &reason);

  /// Has the product add the bias and apply the activation; false if it cannot.
  bool addEpilogue(const ProductEpilogue &epilogue);

  /// A function of A, B, D and, if there is one, the bias, as memrefs, that
  /// does it by calls.
  func::FuncOp createFunction(OpBuilder &builder, Location loc, StringRef name,
                              bool isZero);
  /// What tells the function from others.
  std::string getKey() const;

  SmallVector<unsigned> order = {0, 1}; ///< the op's operands that are A and B

private:
  Matmul(LinalgOp op)
      : a(op->getOpOperand(0), op.getIndexingMapsArray()[0]),
        b(op->getOpOperand(1), op.getIndexingMapsArray()[1]),
        d(op->getOpOperand(2), op.getIndexingMapsArray()[2]),
        sizes(op.getStaticLoopRanges()) {}

  LogicalResult matchMatrix(std::string &reason);
  SmallVector<Loops> merge(ArrayRef<unsigned> dims) const;
  /// A row-major matrix has a row loop of any stride and a column loop of
  /// stride 1 (or none). Whether `rows` × `columns` of `operand` is one.
  bool isRowMajor(const Operand &operand, const Loops &columns) const {
    return columns.empty() || operand.getStride(columns.back()) == 1;
  }
  /// The step of the bias with these loops, in elements.
  int64_t getBiasStride(const Loops &loops) const {
    return loops.empty() ? 0 : biasStrides.lookup(loops.back());
  }
  int64_t getSize(const Loops &loops) const {
    int64_t size = 1;
    for (unsigned dim : loops) {
      if (ShapedType::isDynamic(sizes[dim]))
        return ShapedType::kDynamic;
      size *= sizes[dim];
    }
    return size;
  }

  Operand a, b, d;
  SmallVector<int64_t> sizes;
  Loops m, n, k;
  SmallVector<Loops> batches;
  bool transA = false, transB = false;
  /// None: null.
  MemRefType biasType;
  /// Of the loops that it depends on.
  llvm::SmallDenseMap<unsigned, int64_t> biasStrides;
  Activation activation = Activation::None;
};
} // namespace

/// Puts loops of `dims`, which are in the order of some operand, together
/// where all operands allow it. Loops of one step are left out.
SmallVector<Loops> Matmul::merge(ArrayRef<unsigned> dims) const {
  SmallVector<Loops> result;
  for (unsigned dim : dims) {
    if (sizes[dim] == 1)
      continue;
    if (!result.empty() &&
        llvm::all_of(ArrayRef{&a, &b, &d}, [&](const Operand *operand) {
          return operand->areOne(result.back().back(), dim);
        }))
      result.back().push_back(dim);
    else
      result.push_back({dim});
  }
  return result;
}

FailureOr<Matmul> Matmul::match(LinalgOp op, std::string &reason) {
  if (op.getNumDpsInputs() != 2 || op.getNumDpsInits() != 1 ||
      !linalg::isaContractionOpInterface(op)) {
    reason = "it is not a contraction";
    return failure();
  }
  for (AffineMap map : op.getIndexingMapsArray())
    if (!map.isProjectedPermutation()) {
      reason = "an index is not a loop";
      return failure();
    }
  Matmul matmul(op);
  if (!matmul.a.hasStrides || !matmul.b.hasStrides || !matmul.d.hasStrides) {
    reason = "an operand has no strides";
    return failure();
  }
  Type typeA = matmul.a.type.getElementType();
  Type typeD = matmul.d.type.getElementType();
  if (typeA != matmul.b.type.getElementType() || !getDType(typeA) ||
      (typeD != typeA && !typeD.isF32())) {
    reason = "its element types are not those of a cuBLAS product";
    return failure();
  }
  if (failed(matmul.matchMatrix(reason)))
    return failure();
  return matmul;
}

LogicalResult Matmul::matchMatrix(std::string &reason) {
  SmallVector<unsigned> mDims, nDims, kDims, batchDims;
  for (unsigned dim : d.dims) {
    bool inA = a.find(dim).has_value(), inB = b.find(dim).has_value();
    if (inA && inB)
      batchDims.push_back(dim);
    else if (inA)
      mDims.push_back(dim);
    else if (inB)
      nDims.push_back(dim);
    else {
      reason = "a loop is in the result only";
      return failure();
    }
  }
  for (unsigned dim = 0; dim < sizes.size(); ++dim) {
    if (d.find(dim))
      continue;
    if (!a.find(dim) || !b.find(dim)) {
      reason = "a sum is over one operand only";
      return failure();
    }
  }
  for (unsigned dim : a.dims)
    if (!d.find(dim))
      kDims.push_back(dim);
  SmallVector<Loops> ms = merge(mDims), ns = merge(nDims), ks = merge(kDims);
  batches = merge(batchDims);
  if (ks.size() > 1) {
    reason = "its sum is over more than one loop";
    return failure();
  }
  if (!ks.empty())
    k = ks.front();

  // The largest loop is the matrix's; products of the others share what does
  // not depend on them.
  auto isLarger = [&](const Loops &x, const Loops &y) {
    int64_t sizeX = getSize(x), sizeY = getSize(y);
    if (ShapedType::isDynamic(sizeX) || ShapedType::isDynamic(sizeY))
      return ShapedType::isDynamic(sizeX) && !ShapedType::isDynamic(sizeY);
    return sizeX > sizeY;
  };
  auto takeLargest = [&](SmallVector<Loops> &loops) {
    Loops result;
    if (loops.empty())
      return result;
    auto *best = loops.begin();
    for (Loops &candidate : loops)
      if (isLarger(candidate, *best))
        best = &candidate;
    result = *best;
    loops.erase(best);
    batches.insert(batches.begin(), loops.begin(), loops.end());
    return result;
  };
  m = takeLargest(ms);
  n = takeLargest(ns);

  if (!isRowMajor(d, n)) {
    if (!isRowMajor(d, m)) {
      reason = "its result is not contiguous along rows or columns";
      return failure();
    }
    std::swap(a, b);
    std::swap(m, n);
    order = {1, 0};
  }
  transA = !isRowMajor(a, k);
  if (transA && !isRowMajor(a, m)) {
    reason = "its left-hand side is not contiguous along rows or columns";
    return failure();
  }
  transB = !isRowMajor(b, n);
  if (transB && !isRowMajor(b, k)) {
    reason = "its right-hand side is not contiguous along rows or columns";
    return failure();
  }
  // The one product with all of a batch: the longest loop.
  if (batches.size() > 1) {
    auto *best = std::prev(batches.end());
    for (auto *candidate = batches.begin(); candidate != batches.end();
         ++candidate)
      if (isLarger(*candidate, *best))
        best = candidate;
    std::swap(*best, batches.back());
  }
  return success();
}

bool Matmul::addEpilogue(const ProductEpilogue &epilogue) {
  if (!epilogue.bias) {
    activation = epilogue.activation;
    return true;
  }
  llvm::SmallDenseMap<unsigned, int64_t> strides;
  int64_t stride = 1;
  for (unsigned dim : llvm::reverse(d.dims)) {
    if (static_cast<int64_t>(strides.size()) == epilogue.biasDims)
      break;
    strides[dim] = stride;
    stride *= sizes[dim];
  }
  // cuBLASLt's bias is over the columns of a matrix.
  if (n.empty() || strides.lookup(n.back()) != 1)
    return false;
  auto isEqual = [&](const Loops &loops, bool isIn) {
    return llvm::all_of(
        loops, [&](unsigned dim) { return strides.contains(dim) == isIn; });
  };
  if (!isEqual(n, true) || !isEqual(m, false))
    return false;
  for (const Loops &loops : batches)
    if (!isEqual(loops, strides.contains(loops.back())))
      return false;
  biasType = cast<MemRefType>(epilogue.bias.getType());
  biasStrides = strides;
  activation = epilogue.activation;
  return true;
}

std::string Matmul::getKey() const {
  std::string key;
  llvm::raw_string_ostream stream(key);
  for (const Operand *operand : {&a, &b, &d}) {
    stream << operand->type << " [";
    llvm::interleaveComma(operand->dims, stream);
    stream << "] ";
  }
  if (biasType)
    stream << biasType;
  stream << " " << static_cast<int64_t>(activation);
  return key;
}

func::FuncOp Matmul::createFunction(OpBuilder &builder, Location loc,
                                    StringRef name, bool isZero) {
  SmallVector<Type> types{a.type, b.type, d.type};
  if (biasType)
    types.push_back(biasType);
  auto function = func::FuncOp::create(builder, loc, name,
                                       builder.getFunctionType(types, {}));
  function.setPrivate();
  OpBuilder::InsertionGuard guard(builder);
  Block *entry = function.addEntryBlock();
  LocBuilder blockBuilder(loc, builder);
  blockBuilder.setInsertionPointToStart(entry);
  LocBuilder &bb = blockBuilder;
  Type i64 = bb.getI64Type();
  auto int64 = [&](int64_t value) -> Value {
    return arith::ConstantOp::create(bb, bb.getI64IntegerAttr(value));
  };
  auto toInt64 = [&](Value value) -> Value {
    return bb.createOrFold<arith::IndexCastOp>(i64, value);
  };

  const Operand *operands[] = {&a, &b, &d};
  SmallVector<Value> pointers;
  SmallVector<SmallVector<Value>> strides;
  DenseMap<unsigned, Value> extents;
  auto getPointer = [&](Value memref, Value offset) -> Value {
    Value pointer =
        toInt64(memref::ExtractAlignedPointerAsIndexOp::create(bb, memref));
    unsigned bits = cast<MemRefType>(memref.getType()).getElementTypeBitWidth();
    Value bytes = arith::MulIOp::create(bb, toInt64(offset), int64(bits / 8));
    return arith::AddIOp::create(bb, pointer, bytes);
  };
  for (auto [argument, operand] :
       llvm::zip_equal(entry->getArguments().take_front(3), operands)) {
    auto metadata = memref::ExtractStridedMetadataOp::create(bb, argument);
    pointers.push_back(getPointer(argument, metadata.getOffset()));
    strides.push_back(llvm::map_to_vector(metadata.getStrides(), toInt64));
    for (auto [dim, size] : llvm::zip_equal(operand->dims, metadata.getSizes()))
      extents.try_emplace(dim, size);
  }
  if (biasType)
    pointers.push_back(getPointer(entry->getArgument(3),
                                  arith::ConstantIndexOp::create(bb, 0)));
  /// The number of steps of `loops`.
  auto getExtent = [&](const Loops &loops) {
    Value size = arith::ConstantIndexOp::create(bb, 1);
    for (unsigned dim : loops)
      size = bb.createOrFold<arith::MulIOp>(size, extents[dim]);
    return size;
  };
  auto getStride = [&](unsigned operand, const Loops &loops) {
    if (operand == 3)
      return int64(getBiasStride(loops));
    if (loops.empty())
      return int64(0);
    std::optional<unsigned> position = operands[operand]->find(loops.back());
    return position ? strides[operand][*position] : int64(0);
  };
  /// The leading dimension of a matrix with these rows and columns.
  auto getLeading = [&](unsigned operand, const Loops &rows,
                        const Loops &columns) {
    return rows.empty() ? toInt64(getExtent(columns))
                        : getStride(operand, rows);
  };

  Value sizeM = toInt64(getExtent(m)), sizeN = toInt64(getExtent(n));
  Value sizeK = toInt64(getExtent(k));
  Value lda = transA ? getLeading(0, k, m) : getLeading(0, m, k);
  Value ldb = transB ? getLeading(1, n, k) : getLeading(1, k, n);
  Value ldd = getLeading(2, m, n);
  Loops batch;
  SmallVector<Loops> outer(batches);
  if (!outer.empty())
    batch = outer.pop_back_val();
  Value count = toInt64(getExtent(batch));

  // Loops around the call for further batches.
  SmallVector<Value> ends;
  for (const Loops &loops : outer)
    ends.push_back(getExtent(loops));
  Value zero = arith::ConstantIndexOp::create(bb, 0);
  Value one = arith::ConstantIndexOp::create(bb, 1);
  SmallVector<Value> begins(outer.size(), zero), steps(outer.size(), one);
  scf::buildLoopNest(
      bb, loc, begins, ends, steps,
      [&](OpBuilder &nested, Location loc, ValueRange ivs) {
        LocBuilder inner(loc, nested);
        auto pointerType = LLVM::LLVMPointerType::get(inner.getContext());
        SmallVector<Value> bases;
        for (auto [operand, pointer] : llvm::enumerate(pointers)) {
          Value base = pointer;
          MemRefType type = operand == 3 ? biasType : operands[operand]->type;
          for (auto [loops, iv] : llvm::zip_equal(outer, ivs)) {
            Value at = arith::MulIOp::create(
                inner, arith::IndexCastOp::create(inner, i64, iv),
                getStride(operand, loops));
            Value bytes = arith::ConstantOp::create(
                inner,
                inner.getI64IntegerAttr(type.getElementTypeBitWidth() / 8));
            base = arith::AddIOp::create(
                inner, base, arith::MulIOp::create(inner, at, bytes));
          }
          bases.push_back(LLVM::IntToPtrOp::create(inner, pointerType, base));
        }
        auto int32 = [&](int64_t value) -> Value {
          return arith::ConstantOp::create(inner,
                                           inner.getI32IntegerAttr(value));
        };
        auto real = [&](double value) -> Value {
          return arith::ConstantOp::create(inner, inner.getF32FloatAttr(value));
        };
        Value bias = biasType
                         ? bases[3]
                         : LLVM::ZeroOp::create(inner, pointerType).getResult();
        Value strideD = getStride(2, batch);
        SmallVector<Value> arguments = {
            bases[0],
            bases[1],
            bases[2],
            bases[2],
            bias,
            count,
            sizeM,
            sizeN,
            sizeK,
            lda,
            ldb,
            ldd,
            ldd,
            getStride(0, batch),
            getStride(1, batch),
            strideD,
            strideD,
            getStride(3, batch),
            int32(transA),
            int32(transB),
            int32(*getDType(a.type.getElementType())),
            int32(*getDType(d.type.getElementType())),
            real(1.0),
            real(isZero ? 0.0 : 1.0),
            int32(static_cast<int64_t>(activation))};
        func::CallOp::create(inner, kMatmul, TypeRange(), arguments);
      });
  func::ReturnOp::create(bb);
  return function;
}

/// The declaration of structuredCudaMatmul (runtime/Cuda).
static void declareMatmul(ModuleOp module) {
  if (module.lookupSymbol(kMatmul))
    return;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  Type i64 = builder.getI64Type(), i32 = builder.getI32Type();
  Type f32 = builder.getF32Type();
  SmallVector<Type> types(5, pointer);
  types.append(13, i64);
  types.append(4, i32);
  types.append({f32, f32, i32});
  func::FuncOp::create(builder, module.getLoc(), kMatmul,
                       builder.getFunctionType(types, {}))
      .setPrivate();
}

/// cuBLASLt may round a product to the type of D before it adds C to it. Makes
/// `op`, which adds to elements of a narrow type, a product in f32 with no C,
/// which is returned, and an op that adds it and rounds once.
static LinalgOp sumInF32(LocBuilder &b, LinalgOp op) {
  Value result = op.getDpsInits()[0];
  auto type = cast<MemRefType>(result.getType());
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      sizes.push_back(memref::DimOp::create(b, result, i));
  Type f32 = b.getF32Type();
  Value sum =
      memref::AllocOp::create(b, MemRefType::get(type.getShape(), f32), sizes);
  auto product = linalg::ContractOp::create(
      b, TypeRange(), op.getDpsInputs(), sum,
      b.getAffineMapArrayAttr(op.getIndexingMapsArray()));
  AffineMap identity = b.getMultiDimIdentityMap(type.getRank());
  linalg::GenericOp::create(
      b, TypeRange(), sum, result, ArrayRef{identity, identity},
      SmallVector<utils::IteratorType>(type.getRank(),
                                       utils::IteratorType::parallel),
      [&](OpBuilder &builder, Location loc, ValueRange arguments) {
        Value old = arith::ExtFOp::create(builder, loc, f32, arguments[1]);
        Value total = arith::AddFOp::create(builder, loc, old, arguments[0]);
        linalg::YieldOp::create(
            builder, loc,
            arith::TruncFOp::create(builder, loc, type.getElementType(), total)
                .getResult());
      });
  memref::DeallocOp::create(b, sum);
  return cast<LinalgOp>(product.getOperation());
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct MatmulsToCublas
    : structured::impl::MatmulsToCublasBase<MatmulsToCublas> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<Operation *> layers;
    module.walk([&](StructuredLayerOpInterface op) { layers.push_back(op); });
    for (Operation *op : layers) {
      LocBuilder builder(op->getLoc(), op);
      if (op->getNumResults() != 0) {
        op->emitRemark("not lowered: its operands are not memrefs");
        continue;
      }
      if (auto linear = dyn_cast<LinearOp>(op)) {
        lowerLinear(builder, linear);
      } else if (auto blast = dyn_cast<BlastMatmulOp>(op)) {
        lowerBlast(builder, blast);
      } else {
        op->emitRemark("not lowered: no cuBLAS products for this structure");
        continue;
      }
      op->erase();
      ++numLayers;
    }

    SmallVector<LinalgOp> contractions;
    module.walk([&](LinalgOp op) {
      if (op.hasPureBufferSemantics() && op.getNumReductionLoops() != 0 &&
          linalg::isaContractionOpInterface(op))
        contractions.push_back(op);
    });
    llvm::StringMap<func::FuncOp> functions;
    SymbolTable symbols(module);
    for (LinalgOp op : contractions) {
      std::string reason;
      FailureOr<Matmul> matmul = Matmul::match(op, reason);
      if (failed(matmul)) {
        op->emitRemark("not a cuBLAS product: ") << reason;
        continue;
      }
      Value result = op.getDpsInits()[0];
      bool isZero = takeZeroFill(result, op);
      if (!isZero && !getElementTypeOrSelf(result).isF32()) {
        LocBuilder builder(op.getLoc(), op);
        LinalgOp product = sumInF32(builder, op);
        op->erase();
        op = product;
        result = op.getDpsInits()[0];
        matmul = Matmul::match(op, reason);
        assert(succeeded(matmul) && "only the result's type has changed");
        isZero = true;
      }
      std::optional<ProductEpilogue> epilogue;
      if (isZero) {
        epilogue = findEpilogue(op, reason);
        if (!reason.empty())
          op->emitRemark("what follows is not part of the product: ") << reason;
      }
      if (epilogue && !matmul->addEpilogue(*epilogue))
        epilogue = std::nullopt;
      func::FuncOp &function =
          functions[matmul->getKey() + (isZero ? "=" : "+=")];
      if (!function) {
        OpBuilder builder(&getContext());
        function =
            matmul->createFunction(builder, op.getLoc(), "matmul", isZero);
        symbols.insert(function);
      }
      OpBuilder builder(op);
      SmallVector<Value> inputs = op.getDpsInputs();
      SmallVector<Value> arguments{inputs[matmul->order[0]],
                                   inputs[matmul->order[1]], result};
      if (epilogue) {
        if (epilogue->bias)
          arguments.push_back(epilogue->bias);
        epilogue->op->erase();
        ++numEpilogues;
      }
      func::CallOp::create(builder, op.getLoc(), function, arguments);
      op->erase();
      ++numProducts;
    }
    if (!functions.empty())
      declareMatmul(module);
  }
};
} // namespace
