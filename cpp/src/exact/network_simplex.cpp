#include "network_simplex.hpp"

#include <algorithm>
#include <cmath>

namespace otfast::exact {
namespace {

/// Block search (Grigoriadis): looks at the arcs in turn, a block at a time, and takes the best of the first block that
/// has one.
class BlockSearch {
 public:
  BlockSearch(const ArcList& arcs, const SpanningTree& tree)
      : arcs_(arcs), tree_(tree), tail_(arcs.size()), head_(arcs.size()) {
    block_ = std::max<Index>(32, static_cast<Index>(0.5 * std::sqrt(static_cast<double>(arcs.size()))));
    follow_renumbering();
  }

  void follow_renumbering() {
    for (Index e = 0; e < arcs_.size(); ++e) {
      tail_[e] = tree_.place(arcs_.tail[e]);
      head_[e] = tree_.place(arcs_.head[e]);
    }
  }

  /// An arc that may enter, or -1 when all are priced out; its reduced cost goes to `reduced`.
  Index find_entering_arc(double& reduced) {
    const Index size = arcs_.size();
    for (Index seen = 0; seen < size;) {
      const Index end = std::min(next_ + block_, size);
      Index arc = best_of(next_, end, reduced);
      // The most negative one may be mere rounding (of large numbers), and a smaller one real.
      if (arc >= 0 && reduced >= -noise(arc)) arc = best_beyond_noise(next_, end, reduced);
      seen += end - next_;
      next_ = end == size ? 0 : end;
      if (arc >= 0) return arc;
    }
    return -1;
  }

  void grow_impatient(Index pivots) { impatience_.update(pivots, tree_); }

  Node tail(Index arc) const { return tail_[arc]; }
  Node head(Index arc) const { return head_[arc]; }

 private:
  double noise(Index e) const {
    const double* y = tree_.y();
    return impatience_.noise(arcs_.cost[e], y[tail_[e]], y[head_[e]]);
  }

  double reduced_cost(Index e) const {
    const double* y = tree_.y();
    return arcs_.cost[e] + y[tail_[e]] - y[head_[e]];
  }

  /// The arc of the most negative reduced cost in a block; -1 if there is none. In chains of their own, so that few
  /// comparisons wait for the one before.
  Index best_of(Index begin, Index end, double& reduced) const {
    constexpr Index kChains = 4;
    double least[kChains] = {};
    Index arc[kChains] = {-1, -1, -1, -1};
    Index e = begin;
    for (; e + kChains <= end; e += kChains) {
      for (Index u = 0; u < kChains; ++u) {
        const double r = reduced_cost(e + u);
        arc[u] = r < least[u] ? e + u : arc[u];
        least[u] = std::min(r, least[u]);
      }
    }
    for (; e < end; ++e) {
      const double r = reduced_cost(e);
      arc[0] = r < least[0] ? e : arc[0];
      least[0] = std::min(r, least[0]);
    }
    const auto best = std::min_element(least, least + kChains);
    reduced = *best;
    return arc[best - least];
  }

  /// The same among those whose reduced cost is more than rounding.
  Index best_beyond_noise(Index begin, Index end, double& reduced) const {
    reduced = 0.0;
    Index arc = -1;
    for (Index e = begin; e < end; ++e) {
      const double r = reduced_cost(e);
      if (r >= reduced || r >= -noise(e)) continue;
      reduced = r;
      arc = e;
    }
    return arc;
  }

  const ArcList& arcs_;
  const SpanningTree& tree_;
  std::vector<Node> tail_;  ///< by place in the tree
  std::vector<Node> head_;
  Index block_;
  Index next_ = 0;
  Impatience impatience_;
};

}  // namespace

Status run_simplex(SpanningTree& tree, const ArcList& arcs, Account& account, Monitor& monitor) {
  if (monitor.stopped()) return Status::stopped;
  tree.renumber();
  BlockSearch search(arcs, tree);
  const Index first_pivot = account.pivots;
  const auto report = [&] {
    // Arc costs are reduced by feasible potentials: what the plan pays of them is all that can still be gained.
    const double gap = tree.flow_cost() * account.unit, value = account.dual + gap;
    return monitor.report({account.pivots, value != 0.0 ? gap / std::abs(value) : gap, value});
  };
  const Index period = std::max<Index>(tree.nodes() / 2, 1024);  // between renumberings
  for (Index until_renumbering = period;; --until_renumbering) {
    if (until_renumbering == 0) {
      tree.renumber();
      search.follow_renumbering();
      search.grow_impatient(account.pivots - first_pivot);
      until_renumbering = period;
    }
    double reduced = 0.0;
    const Index arc = search.find_entering_arc(reduced);
    if (arc < 0) return Status::optimal;
    if (account.pivots >= account.most_pivots) return Status::iteration_limit;
    tree.pivot(search.tail(arc), search.head(arc), arcs.cost[arc], reduced);
    ++account.pivots;
    if ((account.pivots & 63) == 0 && monitor.due() && report()) return Status::stopped;
  }
}

}  // namespace otfast::exact
