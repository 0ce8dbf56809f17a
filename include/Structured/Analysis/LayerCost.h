// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// How long layers take on a machine, estimated from measurements of
// structured-bench on it. docs/CostModel.md.

#ifndef STRUCTURED_ANALYSIS_LAYERCOST_H
#define STRUCTURED_ANALYSIS_LAYERCOST_H

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace structured {

/// The sizes of a layer W [m, n]: dense if `bOut` is 0, else BLAST.
struct LayerSizes {
  int64_t m = 0, n = 0;
  int64_t bOut = 0, bIn = 0, rank = 0;

  /// The numbers that define W, which are the multiply-adds for a token.
  double getParameters() const;
};

/// A way to compute a layer, and how long it takes.
struct LayerEstimate {
  llvm::StringRef implementation;
  double seconds;
};

/// The times of a BLAST layer and of the dense one of its sizes, in seconds.
struct LayerComparison {
  double structured, dense;
  /// "estimated 16.3 us against 7.1 us dense, for 64 tokens on <device>".
  std::string text;

  /// Whether the structure costs at most the fraction `tolerance` more time.
  bool pays(double tolerance) const {
    return structured <= (1 + tolerance) * dense;
  }
};

/// By which fraction a layer may be slower than dense, since it takes less
/// memory.
inline constexpr double kDefaultCostTolerance = 0.02;

/// The implementation of dense layers, which a table always has.
inline constexpr llvm::StringLiteral kDenseImplementation = "dense";
/// BLAST layers as the compiler chooses to compute them. Implementations of
/// theirs are named by their kernels ("blast_stages12"), or "library" if they
/// have none of ours. Where the table has no times of "blast", an estimate of
/// it is that of the fastest of those that were measured with about as many
/// blocks, or else of all; for a layer that some were measured with, of these.
inline constexpr llvm::StringLiteral kBlastImplementation = "blast";
/// BLAST by products of a library, without a kernel of ours.
inline constexpr llvm::StringLiteral kLibraryImplementation = "library";

/// What was measured on one machine, and estimates from it.
///
/// Each implementation has a roofline
///
///     t0 = overhead + operations / rate + bytes / bandwidth
///
/// fitted to its measurements, where bytes are those of the factors, the input,
/// the result and, of BLAST, Y and Z, written and read. An estimate is t0 times
/// the ratio of measured time to t0, interpolated between the measured layers,
/// first over the fraction of parameters, then over the number of blocks, then
/// over m·n (logarithms of ratio, blocks and m·n; beyond the measured ones the
/// nearest counts). Between measured numbers of tokens time is linear in them.
/// A layer that was measured gets the time that was measured: with more tokens
/// it is not shorter unless that was. An implementation has estimates for as
/// many tokens as it was measured with, and for more if no other was measured
/// with more; of BLAST, for as large m and n as it was measured with, with
/// about as many tokens, and for larger ones if no other was measured with
/// larger ones.
class LayerCosts {
public:
  /// The table in JSON `text`; an error says what is wrong with it.
  static llvm::Expected<LayerCosts> parse(llvm::StringRef text);

  /// A table that is part of the library ("h200"), or the file of that name.
  static llvm::Expected<LayerCosts> load(llvm::StringRef nameOrPath);

  /// The names of the tables that are part of the library.
  static llvm::ArrayRef<llvm::StringRef> getBuiltinNames();

  /// Where the times were measured.
  llvm::StringRef getDevice() const { return device; }

  /// Bytes of an element of the layers that were measured: those of another
  /// width take other times.
  int64_t getElementBytes() const { return elementBytes; }

  /// The names of the implementations, in alphabetical order.
  std::vector<llvm::StringRef> getImplementations() const;

  /// The time for `tokens` tokens, at least 1; nullopt if the table has no such
  /// implementation, if that is not for such layers, or not for so few or so
  /// many tokens.
  std::optional<double> estimate(llvm::StringRef implementation,
                                 const LayerSizes &layer, int64_t tokens) const;

  /// Whether there is an estimate that does not go beyond the measured numbers
  /// of blocks.
  bool isMeasured(llvm::StringRef implementation, const LayerSizes &layer,
                  int64_t tokens) const;

  /// The fastest of the implementations; nullopt if there is no estimate of
  /// any.
  std::optional<LayerEstimate> getFastest(llvm::ArrayRef<llvm::StringRef> names,
                                          const LayerSizes &layer,
                                          int64_t tokens) const;

  /// The BLAST layer, as the compiler computes it, and the dense one; nullopt
  /// if there is no estimate of one of them.
  std::optional<LayerComparison> compareWithDense(const LayerSizes &layer,
                                                  int64_t tokens) const;

private:
  struct MeasuredLayer {
    LayerSizes sizes;
    /// For each of `tokens`, in seconds; negative: not measured.
    llvm::SmallVector<double> seconds;
  };
  struct Implementation {
    double overhead = 0, perOperation = 0, perByte = 0;
    /// What a BLAST layer's rank and the sizes of its blocks must be multiples
    /// of.
    int64_t multiple = 1;
    bool isDense = false;
    std::vector<MeasuredLayer> layers;
    /// For each of `tokens`, the largest m and n that it was measured with.
    llvm::SmallVector<std::pair<int64_t, int64_t>> largest;
    /// Whether it was measured with as few and with as many blocks.
    bool hasBlocksAround(const LayerSizes &layer) const;
    bool wasMeasured(const LayerSizes &layer, size_t tokensIndex) const;
  };

  double getRoofline(const Implementation &implementation,
                     const LayerSizes &layer, double tokens) const;
  std::optional<double> interpolateRatio(const Implementation &implementation,
                                         const LayerSizes &layer,
                                         size_t tokensIndex) const;
  std::optional<double> estimate(const Implementation &implementation,
                                 const LayerSizes &layer, int64_t tokens) const;

  std::string device;
  int64_t elementBytes = 0;
  llvm::SmallVector<int64_t> tokens;
  /// That of all implementations of BLAST.
  llvm::SmallVector<std::pair<int64_t, int64_t>> largest;
  std::map<std::string, Implementation> implementations;
};

} // namespace structured

#endif // STRUCTURED_ANALYSIS_LAYERCOST_H
