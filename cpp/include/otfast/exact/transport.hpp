// Exact optimal transport between two discrete measures.
#pragma once

#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/status.hpp"
#include "otfast/core/types.hpp"
#include "otfast/core/views.hpp"

namespace otfast::exact {

/// Where the dual variables of the first basis come from.
enum class Start {
  automatic,   ///< given potentials, else multilevel where the problem is large
  cold,        ///< one c-transform: for costs without geometry, whose coarse versions tell nothing
  multilevel,  ///< solutions of coarser and coarser problems
};

struct Options {
  Start start = Start::automatic;
  VectorView<const double> f{};  ///< potentials of the rows to start from, feasible or not; empty: none
  double tolerance = 1e-12;      ///< relative duality gap at which to stop
  Index max_pivots = -1;         ///< -1: no limit
};

/// A basic solution and its certificate. Potentials are numbers for points without mass, too.
struct Transport {
  Status status = Status::optimal;
  std::vector<Node> rows;  ///< plan: rows, columns and masses of its entries, at most rows + columns - 1
  std::vector<Node> cols;
  std::vector<double> mass;
  std::vector<double> f;  ///< dual variables: f_i + g_j <= C_ij, unless the solver was interrupted
  std::vector<double> g;
  double value = 0.0;       ///< <P, C>
  double dual_value = 0.0;  ///< <f, a> + <g, b>
  Index pivots = 0;
};

/// Solves min <P, C> over the couplings of `a` and `b`: weights >= 0, finite, with equal positive totals up to rounding
/// (what is left of a difference is taken off `b`). Memory beyond the cost is linear in rows + columns.
template <class T>
Transport solve(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b, const Options& options,
                Monitor& monitor);

}  // namespace otfast::exact
