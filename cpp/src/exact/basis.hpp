// What the simplex solvers take and give.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "otfast/core/status.hpp"
#include "otfast/core/types.hpp"
#include "spanning_tree.hpp"

namespace otfast::exact {

/// Dual variables in the order of the cost; -inf where a point has no mass.
struct Potentials {
  std::vector<double> f;
  std::vector<double> g;
};

/// Lowers f or g until f + g <= c, whichever loses less of the dual value when they are those of points with masses
/// `a` and `b`.
inline void make_feasible(double& f, Mass a, double& g, Mass b, double c) {
  if (f + g <= c) return;
  const double excess = f + g - c;
  constexpr double kDigit = std::numeric_limits<double>::epsilon();
  const double loss_f = std::max(excess, kDigit * std::abs(f)) * static_cast<double>(a);
  const double loss_g = std::max(excess, kDigit * std::abs(g)) * static_cast<double>(b);
  double& lowered = loss_f < loss_g ? f : g;
  lowered = c - (&lowered == &f ? g : f);
  while (f + g > c) lowered = std::nextafter(lowered, -std::numeric_limits<double>::infinity());
}

/// The end of a solve: potentials and the pairs with flow.
struct Basis {
  Status status = Status::optimal;
  Potentials potentials;
  std::vector<TreeArc> plan;  ///< tail: row, head: column (numbered from 0), flow > 0
};

/// What is counted over all the runs of one solve, and what progress reports are made of.
struct Account {
  Index pivots = 0;
  Index most_pivots = 0;
  double dual = 0.0;  ///< dual value of the potentials by which the arc costs are reduced
  double unit = 1.0;  ///< weight of a unit of mass
};

}  // namespace otfast::exact
