#include "initial_tree.hpp"

#include <algorithm>
#include <numeric>

#include "lists.hpp"
#include "pieces.hpp"

namespace otfast::exact {
namespace {

/// Arcs first..end by ascending cost, to the resolution of as many buckets as there are arcs: a greedy needs no better.
std::vector<Index> by_cost(const ArcList& arcs, Index first, double clip) {
  const Index count = arcs.size() - first;
  double largest = 0.0;
  for (Index e = first; e < arcs.size(); ++e) largest = std::max(largest, std::min(arcs.cost[e], clip));
  const double scale = largest > 0x1p-900 ? static_cast<double>(count - 1) / largest : 0.0;  // finite
  // Rounding leaves some costs below zero.
  const auto bucket = [&](Index e) { return static_cast<Index>(std::clamp(arcs.cost[e], 0.0, clip) * scale); };
  std::vector<Index> start(count + 1, 0), order(count);
  for (Index e = first; e < arcs.size(); ++e) ++start[bucket(e) + 1];
  std::partial_sum(start.begin(), start.end(), start.begin());
  for (Index e = first; e < arcs.size(); ++e) order[start[bucket(e)]++] = e;
  return order;
}

}  // namespace

InitialTree::InitialTree(const std::vector<Mass>& rows, const std::vector<Mass>& cols, double clip)
    : rows_(static_cast<Node>(rows.size())),
      root_(rows_ + static_cast<Node>(std::max_element(cols.begin(), cols.end()) - cols.begin())),
      clip_(clip),
      left_(rows) {
  left_.insert(left_.end(), cols.begin(), cols.end());
  forest_.reserve(left_.size());
}

void InitialTree::send_along(Node row, Node col, double cost) {
  const Mass amount = std::min(left_[row], left_[col]);
  if (amount == 0) return;
  left_[row] -= amount;
  left_[col] -= amount;
  forest_.push_back({row, col, amount, std::min(cost, clip_)});
}

void InitialTree::send(const ArcList& arcs, Index first) {
  for (const Index e : by_cost(arcs, first, clip_)) send_along(arcs.tail[e], arcs.head[e], arcs.cost[e]);
}

void InitialTree::send_rest(const std::function<double(Node, Node)>& filler) {
  Node col = rows_;
  for (Node row = 0; row < rows_; ++row) {
    while (left_[row] > 0) {
      while (left_[col] == 0) ++col;
      send_along(row, col, filler(row, col));
    }
  }
}

std::vector<Node> InitialTree::left_nodes(Node begin, Node end) const {
  std::vector<Node> nodes;
  for (Node v = begin; v < end; ++v) {
    if (left_[v] > 0) nodes.push_back(v);
  }
  return nodes;
}

SpanningTree InitialTree::finish(const ArcList& arcs, const std::function<double(Node, Node)>& filler) {
  send_rest(filler);
  const auto nodes = static_cast<Node>(left_.size());
  if (static_cast<Node>(forest_.size()) < nodes - 1) {
    Pieces pieces(nodes);
    for (const TreeArc& arc : forest_) pieces.join(arc.tail, arc.head);
    std::vector<Node> piece(nodes);
    for (Node v = 0; v < nodes; ++v) piece[v] = pieces.find(v);
    const Lists members(nodes, nodes, [&](Index v) { return piece[v]; });
    const Lists arcs_into(nodes, arcs.size(), [&](Index e) { return arcs.head[e]; });

    std::vector<char> linked(nodes, 0);
    std::vector<Node> columns;  // of linked pieces; those before `searched` have shown their arcs
    std::size_t searched = 0;
    const auto link = [&](Node p) {
      linked[p] = 1;
      for (Index k = members.start[p]; k < members.start[p + 1]; ++k) {
        const auto v = static_cast<Node>(members.values[k]);
        if (v >= rows_) columns.push_back(v);
      }
    };
    const auto link_along_arcs = [&] {
      for (; searched < columns.size(); ++searched) {
        const Node column = columns[searched];
        for (Index k = arcs_into.start[column]; k < arcs_into.start[column + 1]; ++k) {
          const Index e = arcs_into.values[k];
          const Node i = arcs.tail[e];
          if (linked[piece[i]]) continue;
          forest_.push_back({i, column, 0, std::min(arcs.cost[e], clip_)});
          link(piece[i]);
        }
      }
    };
    link(piece[root_]);
    link_along_arcs();
    for (Node i = 0; i < rows_; ++i) {
      if (linked[piece[i]]) continue;
      forest_.push_back({i, root_, 0, std::min(filler(i, root_), clip_)});
      link(piece[i]);
      link_along_arcs();
    }
  }
  SpanningTree tree;
  tree.build(rows_, nodes - rows_, forest_, root_);
  return tree;
}

}  // namespace otfast::exact
