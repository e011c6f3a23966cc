// Primal network simplex on a given list of arcs.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "basis.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/status.hpp"
#include "otfast/core/types.hpp"
#include "spanning_tree.hpp"

namespace otfast::exact {

/// Arcs as columns of a table: row node, column node, cost.
struct ArcList {
  std::vector<Node> tail;
  std::vector<Node> head;
  std::vector<double> cost;

  Index size() const { return static_cast<Index>(tail.size()); }
  void add(Node from, Node to, double c) {
    tail.push_back(from);
    head.push_back(to);
    cost.push_back(c);
  }
};

/// Pivots until no arc of the list has a negative reduced cost beyond rounding.
Status run_simplex(SpanningTree& tree, const ArcList& arcs, Account& account, Monitor& monitor);

/// Rounding error to expect in the reduced cost c + y_tail - y_head.
inline double reduced_cost_noise(double c, double y_tail, double y_head) {
  return 0x1p-50 * (std::abs(c) + std::abs(y_tail) + std::abs(y_head));
}

/// By how much that error is to be multiplied after so many pivots of one run. Potentials are sums along paths, and
/// what large terms leave behind when they cancel can keep degenerate pivots going round for ever: who takes
/// suspiciously long gets less fussy. (What that costs is seen in the duality gap.)
inline double impatience(Index pivots, Index nodes) {
  return std::ldexp(1.0, static_cast<int>(std::min<Index>(pivots / (32 * nodes), 40)));
}

}  // namespace otfast::exact
