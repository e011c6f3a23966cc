// Network simplex for small problems: all pairs are priced, row by row, straight from a table of reduced costs.
#pragma once

#include <optional>

#include "basis.hpp"
#include "masses.hpp"
#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"

namespace otfast::exact {

/// Up to this many pairs a table is faster than lists of candidates, and small enough to be worth keeping.
inline constexpr Index kDensePairs = 512 * 512;

/// Solves the transport problem between whole masses of equal totals, or returns nothing where the costs are beyond
/// what this simple method does well: when mass would have to cross pairs that are forbidden or out of all proportion.
/// Time: O(rows + cols) pivots, of O(rows + cols) each, for costs with geometry.
template <class T>
std::optional<Basis> dense_simplex(const Cost<T>& cost, const Masses& masses, Account& account, Monitor& monitor);

}  // namespace otfast::exact
