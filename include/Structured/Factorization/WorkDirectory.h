//===- WorkDirectory.h - Resumable factorisation of layers -----*- C++ -*-===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef STRUCTURED_FACTORIZATION_WORKDIRECTORY_H
#define STRUCTURED_FACTORIZATION_WORKDIRECTORY_H

#include "Structured/Factorization/Blast.h"
#include "Structured/Factorization/Gblr.h"

#include <string>

namespace structured {

/// The file of a layer in a work directory: `<directory>/<layer>.safetensors`,
/// where bytes of the layer's name other than letters, digits, '_', '-' and '.'
/// (except a leading one) are escaped as `%` and two hexadecimal digits.
std::string getWorkFile(const std::string &directory, const std::string &layer);

struct LayerResult : BlastResult {
  /// True if the factors were found in the work directory.
  bool reused = false;
};

/// `factorizeBlast` of one layer of a model, keeping the result in `directory`
/// (created if it is missing) so that a later run, with the same options on the
/// same weight, takes it from there. A run that is killed loses the layer under
/// way and nothing else: files appear complete or not at all.
///
/// The work file holds `<layer>.U`, `<layer>.S` and `<layer>.Vt` in F32 and, in
/// its metadata, a hash of the options, of the weight and of the input moments.
/// A file with another hash, or one that is damaged (its factors do not have
/// the relative error it records), is computed anew and replaced.
///
/// Every error names the layer; besides those of `factorizeBlast`: a directory
/// that cannot be created and a file that cannot be written.
Result<LayerResult> factorizeToDirectory(const std::string &directory,
                                         const std::string &layer,
                                         MatrixRef weight,
                                         const BlastOptions &options,
                                         const ProgressCallback &progress = {});

struct GblrLayerResult : GblrResult {
  /// True if the factors were found in the work directory.
  bool reused = false;
};

/// The same by `factorizeGblr`: the work file holds `<layer>.gblr.U` and
/// `<layer>.gblr.V` in F32, packed as in `GblrFactors`, and
/// `<layer>.gblr.components`, I64 [K, 5]: row start, rows, column start,
/// columns, rank.
Result<GblrLayerResult>
factorizeToDirectory(const std::string &directory, const std::string &layer,
                     MatrixRef weight, const GblrOptions &options,
                     const ProgressCallback &progress = {});

} // namespace structured

#endif // STRUCTURED_FACTORIZATION_WORKDIRECTORY_H
