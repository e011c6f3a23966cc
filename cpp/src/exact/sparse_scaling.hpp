// A first improvement of potentials: entropic scaling on the candidate arcs alone.
#pragma once

#include <vector>

#include "masses.hpp"
#include "network_simplex.hpp"

namespace otfast::exact {

/// What to add to the potentials of the columns so that mass spreads over the candidates as the weights ask for: a few
/// over-relaxed Sinkhorn iterations at two temperatures, the first of which is `epsilon`, in single precision. Arcs are
/// grouped by row and carry costs reduced by feasible potentials; nodes 0 .. rows.size() - 1 are rows, columns follow.
/// Takes about as long as looking at each arc twenty times.
std::vector<double> scale_columns(const ArcList& arcs, const std::vector<Mass>& rows, const std::vector<Mass>& cols,
                                  double epsilon);

}  // namespace otfast::exact
