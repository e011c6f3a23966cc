// Sinkhorn's problem, whatever the cost: iterations, and Newton's method on the semi-dual.
#pragma once

#include "otfast/entropic/sinkhorn.hpp"
#include "pairs.hpp"

namespace otfast::entropic {

/// rho / (rho + epsilon): what a price on marginals makes of a potential.
inline double damping(double rho, double epsilon) {
  return rho == std::numeric_limits<double>::infinity() ? 1.0 : rho / (rho + epsilon);
}

Potentials run_solver(Pairs& pairs, VectorView<const double> a, VectorView<const double> b, const Options& options,
                      Monitor& monitor);

}  // namespace otfast::entropic
