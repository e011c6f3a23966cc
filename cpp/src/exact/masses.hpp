// Weights as whole numbers, so that sums of flows are exact, a zero flow is a zero, and equal masses stay equal.
#pragma once

#include <cstdint>
#include <vector>

#include "otfast/core/types.hpp"
#include "otfast/core/views.hpp"

namespace otfast::exact {

using Mass = std::int64_t;

/// Both marginals in units of `unit`, with equal totals. Weights that are whole multiples of a common number (uniform
/// or counted data) are kept as exact multiples; any others are rounded to 2^-60 of the total, far below what their own
/// digits can tell.
struct Masses {
  std::vector<Mass> rows;
  std::vector<Mass> cols;
  double unit = 0.0;  ///< weight of one unit
};

/// `a` and `b` are finite, >= 0, with equal positive totals up to rounding.
Masses whole_masses(VectorView<const double> a, VectorView<const double> b);

}  // namespace otfast::exact
