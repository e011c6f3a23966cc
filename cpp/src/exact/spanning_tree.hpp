// The basis of the network simplex: a rooted spanning tree of the bipartite graph of rows and columns.
#pragma once

#include <utility>
#include <vector>

#include "lists.hpp"
#include "masses.hpp"
#include "otfast/core/types.hpp"

namespace otfast::exact {

/// One arc of a basis: `flow` goes from row `tail` to column `head` (both node numbers) at `cost` a unit.
struct TreeArc {
  Node tail = 0;
  Node head = 0;
  Mass flow = 0;
  double cost = 0.0;
};

/// To the outside, nodes 0..rows-1 are rows (they send mass), rows..rows+cols-1 are columns (they receive it). Every
/// node but the root owns the arc to its parent; an arc always leads from a row to a column, so a row's arc points up
/// and a column's arc points down.
///
/// The tree is stored as flat arrays. `thread` is the preorder as a ring; with `last` (the last node of a subtree in
/// that order) and `size` it cuts, re-roots and re-hangs a subtree while touching only the path that turns around.
/// Potentials are kept as y = -f on rows and y = +g on columns: a reduced cost is c + y[tail] - y[head], and when a
/// subtree is re-hung all its y change by the same number.
///
/// Inside, nodes have places: numbers in preorder, given anew by `renumber`. Subtrees then lie together in memory, and
/// the walk that changes their potentials, which is where the simplex spends its time, stays in the nearest cache.
class SpanningTree {
 public:
  /// Makes this the tree of rows + cols - 1 arcs that span the graph, and sets its potentials. Places are node numbers
  /// at first. Memory is kept from one tree to the next. Potentials are zero at the root and lose digits with distance:
  /// it should have a large mass.
  void build(Node rows, Node cols, const std::vector<TreeArc>& arcs, Node root);

  /// Recomputes the potentials from the arc costs, which removes the rounding that pivots accumulate.
  void recompute_potentials();

  /// Gives all nodes new places, in preorder, and recomputes the potentials. Costs a few passes over the nodes.
  void renumber();

  /// Where a node is now.
  Node place(Node node) const { return place_[node]; }

  /// Potentials by place: c + y[tail] - y[head] is a reduced cost. `kPadding` more numbers can be read.
  static constexpr Node kPadding = 8;
  const double* y() const { return y_.data(); }

  /// Lets the arc between two places, of cost `cost` and reduced cost `reduced` < 0, enter the basis, and the last
  /// blocking arc of its cycle leave it (Cunningham's rule, which keeps the tree strongly feasible: degenerate pivots
  /// cannot cycle).
  void pivot(Node tail, Node head, double cost, double reduced);

  /// The largest potential in absolute value.
  double largest_potential() const;

  /// Potentials by node.
  std::vector<double> potentials() const;

  /// Sum of flow times cost, in the unit of the masses.
  double flow_cost() const;

  /// All arcs of the tree.
  std::vector<TreeArc> arcs() const;

  Node nodes() const { return nodes_; }
  Node root_node() const { return root_node_; }

 private:
  /// A subtree with a new root, in the new preorder.
  struct Rerooted {
    Node end = 0;     ///< last node
    Node middle = 0;  ///< the node of the stem that is nearest to the middle
    Node offset = 0;  ///< nodes before that one
  };

  bool is_row(Node v) const { return is_row_[v] != 0; }

  void move_flow(Node tail, Node head, Node join, Mass amount);
  void detach(Node top, Node join);
  Rerooted reverse_stem(Node bottom, Node top, double cost, Mass flow);
  void attach(Node bottom, Node end, Node target, Node join);
  Node root() const { return place_[root_node_]; }
  void shift(Node first, Node last, Node count, double delta);
  void shift(Node first, Rerooted subtree, Node count, double delta);

  Node rows_ = 0;
  Node nodes_ = 0;
  Node root_node_ = 0;
  std::vector<Node> place_;  ///< by node
  std::vector<Node> node_;   ///< by place, as all below
  std::vector<char> is_row_;
  std::vector<Node> parent_;          ///< -1 at the root, which has place 0 after `renumber`
  std::vector<Node> thread_;          ///< next node in preorder, a ring
  std::vector<Node> reverse_thread_;  ///< previous node in preorder
  std::vector<Node> last_;            ///< last node of the subtree in preorder
  std::vector<Node> size_;            ///< number of nodes of the subtree
  std::vector<Mass> flow_;            ///< on the arc to the parent
  std::vector<double> cost_;          ///< of the arc to the parent
  std::vector<double> y_;             ///< potentials: -f on rows, g on columns
  std::vector<Node> stem_;            ///< scratch: the path that turns around
  Lists incident_;                    ///< scratch of `build`: arcs by node
};

}  // namespace otfast::exact
