// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The register tile of block-sparse products, and what it costs.

#ifndef STRUCTURED_LIB_CONVERSION_PANELKERNEL_H
#define STRUCTURED_LIB_CONVERSION_PANELKERNEL_H

#include <cstdint>
#include <optional>

namespace structured {

/// Rows (tokens) of the register tile of a panel of `vectors` vectors, for
/// `tokens` rows in all (nullopt: many). 0 if not one fits.
int64_t getPanelRows(int64_t vectors, std::optional<int64_t> tokens,
                     int64_t registers);

/// Estimated cycles that a coordinate of a panel takes for a row.
double getPanelStepCost(int64_t vectors, std::optional<int64_t> tokens,
                        int64_t registers);

} // namespace structured

#endif // STRUCTURED_LIB_CONVERSION_PANELKERNEL_H
