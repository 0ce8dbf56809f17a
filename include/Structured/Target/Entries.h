// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The entries of a compiled module and its description of itself, as the
// runtime reads it (docs/Runtime.md).

#ifndef STRUCTURED_TARGET_ENTRIES_H
#define STRUCTURED_TARGET_ENTRIES_H

#include "Structured/Dialect/Structured/IR/Structured.h"

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SmallVector.h"

#include <optional>
#include <string>
#include <vector>

namespace llvm {
class Module;
} // namespace llvm

namespace structured {

/// An input, output or parameter of an entry.
struct EntryTensor {
  std::string name;           ///< empty if it has none
  std::string dtype;          ///< "f32", "i64", …, as the runtime spells it
  std::vector<int64_t> shape; ///< -1: dynamic
  /// Of an output: the input whose memory it is written to, if there is one.
  std::optional<unsigned> updates;
};

/// A parameter: a tensor of the stored weights, which is the permuted or packed
/// tensor `source` of the model's weights, or a product or concatenation of
/// several.
struct EntryParameter : EntryTensor {
  std::string source;
  /// Dimension i is dimension permutation[i] of the source; empty: as it is.
  std::vector<int64_t> permutation;
  /// How a factor of a GBLR matrix is stored by panels; null: it is not.
  GblrPackingAttr packing;
  /// The factors whose dense matrix it is; null: it is not.
  BlastProductAttr product;
  /// The tensors that it is put together from; null: it is not.
  ConcatenationAttr concatenation;
  /// The elements of what was a constant of the model; null: it is of the
  /// weights, and `source` names it.
  mlir::ElementsAttr constant;
};

/// A public function of a model.
struct Entry {
  std::string name;
  std::vector<EntryTensor> inputs, outputs;
  std::vector<EntryParameter> parameters;

  /// The exported function: `void symbol(void **args)`.
  std::string getSymbol() const { return "structured_entry_" + name; }
};

/// The name under which a tensor is stored in a compiled module's weights: its
/// own, or with a suffix such as `#perm10` if it is permuted, so that one
/// tensor can be stored in several orders. The suffix of a packed factor, such
/// as `#v16:32-8c5f0a3b9d7e1264`, ends in a hash of the layout.
std::string getStoredName(llvm::StringRef name,
                          llvm::ArrayRef<int64_t> permutation,
                          GblrPackingAttr packing);

/// The entries of `module`, whose public functions take and return tensors;
/// parameters are arguments after all inputs. Emits an error and fails if there
/// is none, or if a type is not one that the runtime knows.
mlir::FailureOr<std::vector<Entry>> collectEntries(mlir::ModuleOp module);

/// The JSON description of a module for the processor `cpu` and, if `arch` is
/// not empty, a GPU of that architecture.
std::string describeModule(llvm::ArrayRef<Entry> entries, llvm::StringRef cpu,
                           llvm::ArrayRef<std::string> features,
                           llvm::StringRef arch = "");

/// Adds to `module` the exported functions of the entries, each of which calls
/// `_mlir_ciface_<name>`, and the description as `structured_module_info`;
/// makes everything else internal.
void addModuleInterface(llvm::Module &module, llvm::ArrayRef<Entry> entries,
                        llvm::StringRef description);

} // namespace structured

#endif // STRUCTURED_TARGET_ENTRIES_H
