// Exact transport by sparse simplex and full pricing, started from a multilevel dual.
#pragma once

#include <vector>

#include "basis.hpp"
#include "masses.hpp"
#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/exact/transport.hpp"

namespace otfast::exact {

struct Settings {
  Start start = Start::automatic;
  double tolerance = 0.0;  ///< relative duality gap at which to stop
};

/// Solves the transport problem between whole masses of equal totals. `f` may hold potentials of the rows to start from
/// (finite, feasible or not); empty leaves that to `settings.start`.
///
/// Time: about (n + m)^1.5 for the simplex plus a handful of passes over all pairs. Memory: about 25 arcs a point.
template <class T>
Basis generate_columns(const Cost<T>& cost, const std::vector<Mass>& rows, const std::vector<Mass>& cols,
                       const std::vector<double>& f, const Settings& settings, Account& account, Monitor& monitor);

}  // namespace otfast::exact
