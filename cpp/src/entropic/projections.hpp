// Bregman projections on barycenters whose numbers stay in the range of the arithmetic: without logarithms of sums.
#pragma once

#include <optional>
#include <vector>

#include "grid_operator.hpp"
#include "otfast/entropic/kernel.hpp"

namespace otfast::entropic {

/// Sums of the products of a kernel, whose entries are at most 1, with numbers up to `largest` are good above `least`:
/// what underflow takes from them is less than rounding takes.
struct Range {
  double least, largest;
};

template <class Real>
inline constexpr Range kRange = sizeof(Real) == 4 ? Range{0x1p-48, 0x1p40} : Range{0x1p-600, 0x1p300};

/// `GridKernel::project`.
std::optional<Scalings> project(const GridOperator& kernel, MatrixView<const double> b, VectorView<const double> lambda,
                                std::vector<double> psi, Index count, Pulse& pulse);

/// A kernel in memory: exp(-C_ij / epsilon) = 2^-offset_i entries_ij, with rows filled up to whole vectors.
template <class Real>
struct StoredKernel {
  MatrixView<const Real> entries;
  const double* offset;
};

/// `Kernel::project`.
template <class Real>
std::optional<Scalings> project(StoredKernel<Real> kernel, MatrixView<const double> b, MatrixView<const double> lambda,
                                std::vector<double> psi, Index count, Pulse& pulse);

}  // namespace otfast::entropic
