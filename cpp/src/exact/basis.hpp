// What the simplex solvers take and give.
#pragma once

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

/// Lowers f or g until f + g <= c. What rounding has left over goes to the larger one, whose last digit is worth more:
/// the smaller one may belong to pairs whose costs are many orders of magnitude below c.
inline void make_feasible(double& f, double& g, double c) {
  if (f + g <= c) return;
  double& larger = std::abs(f) > std::abs(g) ? f : g;
  larger = c - (&larger == &f ? g : f);
  while (f + g > c) larger = std::nextafter(larger, -std::numeric_limits<double>::infinity());
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
