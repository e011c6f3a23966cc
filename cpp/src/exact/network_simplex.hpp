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

/// What counts as rounding in the course of one run. Potentials are sums along paths, and what large terms leave behind
/// when they cancel can keep degenerate pivots going round for ever: who takes suspiciously long gets less fussy, first
/// about what the largest potential can leave behind. (What that costs is seen in the duality gap.)
class Impatience {
 public:
  /// To be told now and then how many pivots the run has taken.
  void update(Index pivots, const SpanningTree& tree) {
    const Index periods = std::min<Index>(pivots / (32 * tree.nodes()), 40);
    if (periods == periods_) return;
    periods_ = periods;
    factor_ = std::ldexp(1.0, static_cast<int>(periods));
    floor_ = 0x1p-53 * factor_ * tree.largest_potential();
  }

  /// A reduced cost above minus this is none.
  double noise(double c, double y_tail, double y_head) const {
    return floor_ + factor_ * reduced_cost_noise(c, y_tail, y_head);
  }

 private:
  Index periods_ = 0;
  double factor_ = 1.0;
  double floor_ = 0.0;
};

}  // namespace otfast::exact
