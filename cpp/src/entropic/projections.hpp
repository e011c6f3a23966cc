// Bregman projections on barycenters whose numbers stay in the range of double precision.
#pragma once

#include <optional>

#include "grid_operator.hpp"
#include "otfast/entropic/kernel.hpp"

namespace otfast::entropic {

/// `GridKernel::project`.
std::optional<Scalings> project(const GridOperator& kernel, MatrixView<const double> b, VectorView<const double> lambda,
                                Scalings from, Index count, Pulse& pulse);

}  // namespace otfast::entropic
