// Entropic optimal transport between two discrete measures.
#pragma once

#include <limits>
#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/status.hpp"
#include "otfast/core/types.hpp"
#include "otfast/core/views.hpp"

namespace otfast::entropic {

enum class Method {
  automatic,   ///< iterations at high temperature, in memory if allowed, and Newton's method below
  log,         ///< Sinkhorn's iterations in the log domain: one exponential for each pair
  stabilized,  ///< the same on a kernel in memory, made anew when the scalings have moved far
  newton,      ///< Newton's method on the semi-dual
};

struct Options {
  double epsilon = 1.0;
  Method method = Method::automatic;
  double tolerance = 1e-6;                                 ///< of `error`; 0: exactly `max_iterations`
  Index max_iterations = 10'000;                           ///< passes over all pairs
  double rho_a = std::numeric_limits<double>::infinity();  ///< price of a deviation from `a`; infinite: none allowed
  double rho_b = std::numeric_limits<double>::infinity();
  VectorView<const double> g{};  ///< potentials of the columns to start from; empty: none
  bool may_store = false;        ///< whether n * m numbers may be kept in memory
  double range = 0.0;            ///< a bound of |C_ij - C_kl| over allowed pairs
  double largest = 0.0;          ///< and one of |C_ij|
};

/// Potentials f, g of the plan P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon), finite also where there is no weight.
struct Potentials {
  Status status = Status::optimal;
  std::vector<double> f;
  std::vector<double> g;
  double value = 0.0;    ///< of the dual: it is the optimal value up to the square of the error
  double error = 0.0;    ///< larger L1 violation of a marginal over the mass; unbalanced: last change over epsilon
  Index iterations = 0;  ///< passes over all pairs
};

/// Minimises <P, C> + epsilon KL(P | a b') + rho_a KL(P 1 | a) + rho_b KL(P' 1 | b) over P >= 0. Arithmetic over pairs
/// is in the precision Real, all else in double. Weights are finite and not negative, some of them positive; without
/// infinite `rho` totals are free, else they agree up to rounding.
template <class Real, class T>
Potentials solve(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b, const Options& options,
                 Monitor& monitor);

}  // namespace otfast::entropic
