// The trees of a growing forest.
#pragma once

#include <numeric>
#include <vector>

#include "otfast/core/types.hpp"

namespace otfast::exact {

/// Disjoint sets of nodes (union by whoever comes, paths halved).
class Pieces {
 public:
  explicit Pieces(Node nodes) : leader_(nodes) { std::iota(leader_.begin(), leader_.end(), Node{0}); }

  /// A node that stands for the piece of `v`.
  Node find(Node v) {
    while (leader_[v] != v) v = leader_[v] = leader_[leader_[v]];
    return v;
  }
  void join(Node u, Node v) { leader_[find(u)] = find(v); }

 private:
  std::vector<Node> leader_;
};

}  // namespace otfast::exact
