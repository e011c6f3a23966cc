// Entropic transport between measures on one grid, axis by axis.
#pragma once

#include <vector>

#include "otfast/core/monitor.hpp"
#include "otfast/core/views.hpp"
#include "otfast/entropic/plan.hpp"
#include "otfast/entropic/sinkhorn.hpp"

namespace otfast::entropic {

/// The costs between the coordinates of each axis, symmetric; the cost between grid points, numbered in C order, is
/// their sum.
using AxisCosts = std::vector<MatrixView<const double>>;

/// `solve` where C is such a sum: a pass over all pairs takes only N sum_k n_k operations for N = prod_k n_k points.
Potentials solve_on_grid(const AxisCosts& axes, VectorView<const double> a, VectorView<const double> b,
                         const Options& options, Monitor& monitor);

/// out = P x for x (N, k), row-major; the plan is symmetric in its factors, so P^T is had by exchanging them.
std::vector<double> apply_on_grid(const AxisCosts& axes, const PlanFactors& factors, MatrixView<const double> x,
                                  Monitor& monitor);

/// <P, C>.
double linear_value_on_grid(const AxisCosts& axes, const PlanFactors& factors, Monitor& monitor);

}  // namespace otfast::entropic
