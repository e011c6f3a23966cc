// The first feasible basis of the network simplex, made of real arcs only.
#pragma once

#include <functional>
#include <vector>

#include "network_simplex.hpp"
#include "spanning_tree.hpp"

namespace otfast::exact {

/// Sends all mass greedily, cheap arcs first, and then makes a spanning tree of what carries flow.
/// All masses are positive. Node numbers: rows 0..n-1, columns n..n+m-1. In the tree no arc costs more than `clip`: see
/// column_generation.cpp.
class InitialTree {
 public:
  InitialTree(const std::vector<Mass>& rows, const std::vector<Mass>& cols, double clip);

  /// Sends what is left along the arcs from number `first` on, in the order of their costs (>= 0: reduced by good
  /// potentials). Every arc that is used exhausts one of its ends, so that the arcs with flow stay a forest.
  void send(const ArcList& arcs, Index first);

  /// Nodes that still have mass: the rows, then the columns.
  std::vector<Node> left_rows() const { return left_nodes(0, rows_); }
  std::vector<Node> left_cols() const { return left_nodes(rows_, static_cast<Node>(left_.size())); }

  /// The tree. What mass is still left goes along pairs in the order of the nodes. Trees of the forest hang on the
  /// root's by arcs without flow that lead towards the root, so that the result is strongly feasible: along listed arcs
  /// as far as these reach. `filler` lists the pairs that are used besides, and returns their cost.
  SpanningTree finish(const ArcList& arcs, const std::function<double(Node, Node)>& filler);

 private:
  void send_along(Node row, Node col, double cost);
  void send_rest(const std::function<double(Node, Node)>& filler);
  std::vector<Node> left_nodes(Node begin, Node end) const;

  Node rows_;
  Node root_;  ///< the column of largest mass
  double clip_;
  std::vector<Mass> left_;  ///< by node
  std::vector<TreeArc> forest_;
};

}  // namespace otfast::exact
