#include "spanning_tree.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "lists.hpp"

namespace otfast::exact {

void SpanningTree::build(Node rows, Node cols, const std::vector<TreeArc>& arcs, Node root) {
  rows_ = rows;
  nodes_ = rows + cols;
  for (auto* nodes : {&place_, &node_, &parent_, &thread_, &reverse_thread_, &last_, &size_}) nodes->resize(nodes_);
  is_row_.resize(nodes_);
  flow_.resize(nodes_);
  cost_.resize(nodes_);
  y_.resize(nodes_ + kPadding);

  const auto count = static_cast<Index>(arcs.size());
  incident_.build(nodes_, 2 * count, [&](Index k) { return k < count ? arcs[k].tail : arcs[k - count].head; });

  // Preorder by an explicit stack.
  root_node_ = root;
  for (Node v = 0; v < nodes_; ++v) {
    place_[v] = node_[v] = v;
    is_row_[v] = v < rows_;
  }
  parent_[root] = -1;
  flow_[root] = 0;
  cost_[root] = 0.0;
  stem_.assign(1, root);
  Node previous = root;
  while (!stem_.empty()) {
    const Node v = stem_.back();
    stem_.pop_back();
    thread_[previous] = v;
    reverse_thread_[v] = previous;
    previous = v;
    size_[v] = 1;
    for (Index k = incident_.start[v]; k < incident_.start[v + 1]; ++k) {
      const Index e = incident_.values[k];
      const TreeArc& arc = arcs[e < count ? e : e - count];
      const Node child = arc.tail == v ? arc.head : arc.tail;
      if (child == parent_[v]) continue;
      parent_[child] = v;
      flow_[child] = arc.flow;
      cost_[child] = arc.cost;
      stem_.push_back(child);
    }
  }
  thread_[previous] = root;
  reverse_thread_[root] = previous;
  for (Node v = 0; v < nodes_; ++v) last_[v] = v;
  for (Node v = previous; v != root; v = reverse_thread_[v]) {  // children before parents, the last child first
    const Node p = parent_[v];
    size_[p] += size_[v];
    if (last_[p] == p) last_[p] = last_[v];
  }
  recompute_potentials();
}

void SpanningTree::recompute_potentials() {
  y_[root()] = 0.0;
  for (Node v = thread_[root()]; v != root(); v = thread_[v])
    y_[v] = y_[parent_[v]] + (is_row(v) ? -cost_[v] : cost_[v]);
}

void SpanningTree::renumber() {
  std::vector<Node> old(nodes_), now(nodes_);  // places
  Node v = root();
  for (Node k = 0; k < nodes_; ++k, v = thread_[v]) {
    old[k] = v;
    now[v] = k;
  }
  const auto reorder = [&](auto& values) {
    auto copy = values;
    for (Node k = 0; k < nodes_; ++k) values[k] = copy[old[k]];
  };
  reorder(node_);
  reorder(is_row_);
  reorder(parent_);
  reorder(size_);
  reorder(flow_);
  reorder(cost_);
  for (Node k = 0; k < nodes_; ++k) {
    place_[node_[k]] = k;
    thread_[k] = k + 1 < nodes_ ? k + 1 : 0;
    reverse_thread_[k] = k > 0 ? k - 1 : nodes_ - 1;
    last_[k] = k + size_[k] - 1;
    if (k > 0) parent_[k] = now[parent_[k]];
  }
  recompute_potentials();
}

double SpanningTree::largest_potential() const {
  double largest = 0.0;
  for (Node v = 0; v < nodes_; ++v) largest = std::max(largest, std::abs(y_[v]));
  return largest;
}

std::vector<double> SpanningTree::potentials() const {
  std::vector<double> potentials(nodes_);
  for (Node v = 0; v < nodes_; ++v) potentials[v] = y_[place_[v]];
  return potentials;
}

double SpanningTree::flow_cost() const {
  double sum = 0.0;
  for (Node v = 0; v < nodes_; ++v) sum += static_cast<double>(flow_[v]) * cost_[v];
  return sum;
}

std::vector<TreeArc> SpanningTree::arcs() const {
  std::vector<TreeArc> arcs;
  arcs.reserve(static_cast<std::size_t>(nodes_));
  for (Node v = 0; v < nodes_; ++v) {
    if (parent_[v] < 0) continue;
    const Node own = node_[v], up = node_[parent_[v]];
    arcs.push_back(is_row(v) ? TreeArc{own, up, flow_[v], cost_[v]} : TreeArc{up, own, flow_[v], cost_[v]});
  }
  return arcs;
}

void SpanningTree::pivot(Node tail, Node head, double cost, double reduced) {
  // Climb from both ends to where the paths join. Mass moves from the join down to `tail`, along the entering arc, and
  // from `head` up: flow shrinks on the arcs of rows on the first path and of columns on the second. Among equals the
  // last one met in that direction leaves: on the first path the lowest, on the second the highest, and the second path
  // before the first.
  Mass room_tail = std::numeric_limits<Mass>::max(), room_head = room_tail;
  Node out_tail = -1, out_head = -1;
  Node u = tail, v = head;
  while (u != v) {
    if (size_[u] < size_[v]) {
      if (is_row(u) && flow_[u] < room_tail) {
        room_tail = flow_[u];
        out_tail = u;
      }
      u = parent_[u];
    } else {
      if (!is_row(v) && flow_[v] <= room_head) {
        room_head = flow_[v];
        out_head = v;
      }
      v = parent_[v];
    }
  }
  const Node join = u;
  const bool at_head = room_head <= room_tail;
  const Mass amount = at_head ? room_head : room_tail;
  const Node top = at_head ? out_head : out_tail;
  const Node bottom = at_head ? head : tail;
  const Node target = at_head ? tail : head;

  if (amount > 0) move_flow(tail, head, join, amount);
  detach(top, join);
  const Rerooted subtree = reverse_stem(bottom, top, cost, amount);
  attach(bottom, subtree.end, target, join);

  // y of one side of the cut changes until the entering arc's reduced cost is zero: the smaller side, as only
  // differences matter.
  const double delta = at_head ? reduced : -reduced;
  const Node count = size_[bottom];
  if (2 * count <= nodes_) {
    shift(bottom, subtree, count, delta);
  } else {
    shift(thread_[subtree.end], reverse_thread_[bottom], nodes_ - count, -delta);
  }
}

void SpanningTree::move_flow(Node tail, Node head, Node join, Mass amount) {
  for (Node v = tail; v != join; v = parent_[v]) flow_[v] += is_row(v) ? -amount : amount;
  for (Node v = head; v != join; v = parent_[v]) flow_[v] += is_row(v) ? amount : -amount;
}

/// Takes the subtree of `top` out of the thread; its own arrays stay. Sizes are right again below `join` only: above it
/// what leaves comes back in `attach`.
void SpanningTree::detach(Node top, Node join) {
  const Node before = reverse_thread_[top], end = last_[top], after = thread_[end], count = size_[top];
  thread_[before] = after;
  reverse_thread_[after] = before;
  for (Node v = parent_[top]; v != join; v = parent_[v]) size_[v] -= count;
  for (Node v = parent_[top]; v != -1 && last_[v] == end; v = parent_[v]) last_[v] = before;
}

/// Re-roots the detached subtree of `top` at its node `bottom`, whose arc to the new parent gets `cost` and `flow`.
///
/// With the stem s0 = bottom, s1 = parent(s0), ..., sk = top, the new preorder is T(s0), T(s1) \ T(s0), ..., T(sk)
/// \ T(sk-1): each difference is at most two runs of the old thread, the one from s_i to before T(s_{i-1}) and the one
/// behind it.
SpanningTree::Rerooted SpanningTree::reverse_stem(Node bottom, Node top, double cost, Mass flow) {
  const Node total = size_[top];
  stem_.clear();
  for (Node v = bottom; v != top; v = parent_[v]) stem_.push_back(v);
  stem_.push_back(top);

  Rerooted subtree{.middle = bottom, .offset = 0};
  Node end = last_[bottom];    // of the new preorder so far
  Node behind = thread_[end];  // what followed T(s_{i-1}) in the old preorder
  Node below_size = size_[bottom], below_last = end;
  double below_cost = cost_[bottom];
  Mass below_flow = flow_[bottom];
  Node before_below = bottom == top ? -1 : reverse_thread_[bottom];
  for (std::size_t k = 1; k < stem_.size(); ++k) {
    const Node s = stem_[k], below = stem_[k - 1];
    const Node s_size = size_[s], s_last = last_[s];
    const Node before_s = reverse_thread_[s];
    const Node behind_s = s_last == below_last ? behind : thread_[s_last];
    thread_[end] = s;
    reverse_thread_[s] = end;
    end = before_below;  // the first run, s .. before_below, is linked inside already
    if (below_last != s_last) {
      thread_[end] = behind;
      reverse_thread_[behind] = end;
      end = s_last;
    }
    if (std::abs(2 * below_size - total) < std::abs(2 * subtree.offset - total)) {
      subtree.middle = s;
      subtree.offset = below_size;
    }
    parent_[s] = below;
    size_[s] = total - below_size;
    std::swap(cost_[s], below_cost);
    std::swap(flow_[s], below_flow);
    below_size = s_size;
    below_last = s_last;
    behind = behind_s;
    before_below = before_s;
  }
  for (const Node s : stem_) last_[s] = end;
  size_[bottom] = total;
  cost_[bottom] = cost;
  flow_[bottom] = flow;
  subtree.end = end;
  return subtree;
}

/// Hangs the detached subtree bottom .. end under `target`, as its first child.
void SpanningTree::attach(Node bottom, Node end, Node target, Node join) {
  const Node after = thread_[target], count = size_[bottom];
  thread_[target] = bottom;
  reverse_thread_[bottom] = target;
  thread_[end] = after;
  reverse_thread_[after] = end;
  parent_[bottom] = target;
  for (Node v = target; v != join; v = parent_[v]) size_[v] += count;
  for (Node v = target; v != -1 && last_[v] == target; v = parent_[v]) last_[v] = end;
}

/// Adds `delta` to the potentials of the run first .. last of the thread, walked from both ends: two chains of loads in
/// flight.
void SpanningTree::shift(Node first, Node last, Node count, double delta) {
  for (; count >= 2; count -= 2) {
    y_[first] += delta;
    y_[last] += delta;
    first = thread_[first];
    last = reverse_thread_[last];
  }
  if (count == 1) y_[first] += delta;
}

/// The same for a whole subtree: from its middle, too, which makes four chains.
void SpanningTree::shift(Node first, Rerooted subtree, Node count, double delta) {
  Node last = subtree.end, middle = subtree.middle, before = reverse_thread_[middle];
  Node front = subtree.offset, back = count - front;  // nodes before the middle, and from there on
  for (; front >= 2 && back >= 2; front -= 2, back -= 2) {
    y_[first] += delta;
    y_[before] += delta;
    y_[middle] += delta;
    y_[last] += delta;
    first = thread_[first];
    before = reverse_thread_[before];
    middle = thread_[middle];
    last = reverse_thread_[last];
  }
  shift(first, before, front, delta);
  shift(middle, last, back, delta);
}

}  // namespace otfast::exact
