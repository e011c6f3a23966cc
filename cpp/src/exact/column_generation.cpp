#include "column_generation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "cost/clusters.hpp"
#include "dense_simplex.hpp"
#include "forbidden_pairs.hpp"
#include "initial_tree.hpp"
#include "lists.hpp"
#include "reduced_costs.hpp"
#include "sparse_scaling.hpp"

namespace otfast::exact {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Up to this many pairs all of them become arcs: nothing to select, nothing to price.
constexpr Index kAllPairs = 64 * 64;

/// Cells of the next coarser level hold about this many points of the larger side.
constexpr Index kCell = 4;

/// Cells this much smaller than the whole have something to tell.
constexpr double kTightCells = 0.2;

/// Candidate arcs at the start: about this many for each point of the larger side, and of a row never more than the
/// cap.
constexpr Index kCandidates = 16;
constexpr Index kMostCandidates = 48;

/// The first temperature of `approach`, as a part of the threshold of the first candidates. At higher ones mass that
/// has no way on the candidates drives potentials far off.
constexpr double kTemperature = 0.1;

/// Rounds in which what the greedy leaves over gets candidates of its own.
constexpr int kGreedyRounds = 6;

/// An arc of the first basis costs at most this many times what is typical, whatever its pair costs: one that only
/// links two parts of the tree must not flood their potentials with the price of a forbidden pair. The bound grows by
/// the same factor while such an arc keeps flow.
constexpr double kClip = 16.0;

/// Pricing lists all pairs with reduced cost below this part of the threshold of the first candidates. An unlisted pair
/// cannot be violated before f + g has risen by as much, so that the last passes often need not be made.
constexpr double kSlack = 0.5;
constexpr Index kMostPriced = 24;

/// Looking at a pair costs this many times more where few columns of all rows are wanted.
constexpr Index kColumnwise = 16;

/// What is meant for each point of the larger side, for each row.
Index per_row(Index count, Index rows, Index cols) { return count * std::max<Index>(1, cols / rows); }

/// One level of the problem: a cost, the masses on it, and the cells into which its points fall. Points of positive
/// mass are the nodes of the graph, numbered in the order of the cells: neighbours are near in memory.
template <class T>
class Level {
 public:
  Level(const Cost<T>& cost, const std::vector<Mass>& rows, const std::vector<Mass>& cols, Account& account,
        Monitor& monitor)
      : cost_(cost), rows_(rows), cols_(cols), passes_(cost, monitor), account_(account), monitor_(monitor) {
    const Index larger = std::max(cost.rows(), cost.cols());
    // The smaller side is left alone until the larger one has come down to it.
    const auto cut = [&](bool of_rows, Index points, const std::vector<Mass>& mass) {
      const auto features = cost.features(of_rows);
      auto cells = bisect(features.values, features.dim, mass, std::max<Index>(1, kCell * points / larger));
      cell_size_ratio_ = std::min(cell_size_ratio_, cell_size_ratio(features.values, features.dim, cells));
      return cells;
    };
    row_cells_ = cut(true, cost.rows(), rows);
    col_cells_ = cut(false, cost.cols(), cols);
    row_node_.assign(rows.size(), -1);
    col_node_.assign(cols.size(), -1);
    for (const Node i : row_cells_.order) row_node_[i] = nodes_++;
    for (const Node j : col_cells_.order) col_node_[j] = nodes_++;
  }

  Basis solve(const std::vector<double>& f, const Settings& settings, bool finest) {
    set_base(f, settings.start);
    if (!choose_arcs() || (cold_ && !approach())) return {Status::infeasible, {}, {}};
    account_.dual = dual_value(base_) * account_.unit;
    SpanningTree tree = first_tree();
    Basis basis;
    bool known_feasible = false;
    for (;;) {
      basis.status = run_simplex(tree, arcs_, account_, monitor_);
      tree.renumber();
      basis.potentials = potentials(tree);
      if (basis.status != Status::optimal) break;
      if (price(basis.potentials, settings.tolerance * std::abs(primal_value(tree)))) continue;
      if (!finest) break;
      const Clipped clipped = raise_clip(tree);
      if (clipped == Clipped::none) break;
      if (clipped == Clipped::forbidden && !known_feasible) {
        if (!avoids_forbidden_pairs()) return {Status::infeasible, {}, {}};
        known_feasible = true;
      }
    }
    remove_rounding(basis.potentials);
    basis.plan = plan(tree);
    return basis;
  }

 private:
  enum class Clipped { none, allowed, forbidden };

  Node row_of(Node node) const { return row_cells_.order[node]; }
  Node col_of(Node node) const { return col_cells_.order[node - static_cast<Node>(row_cells_.order.size())]; }

  bool small() const { return cost_.rows() * cost_.cols() <= kAllPairs; }

  /// Zero where a point has mass, -inf elsewhere.
  static std::vector<double> slots(Index points, const std::vector<Node>& with_mass) {
    std::vector<double> slots(points, -kInfinity);
    for (const Node p : with_mass) slots[p] = 0.0;
    return slots;
  }

  /// Sets g, from which `choose_arcs` makes f.
  void set_base(const std::vector<double>& f, Start start) {
    base_.f = slots(cost_.rows(), row_cells_.order);
    base_.g = slots(cost_.cols(), col_cells_.order);
    if (!f.empty()) {
      // Only differences matter: what is far below the largest says nothing, and large numbers lose the small costs.
      double largest = -kInfinity;
      for (const Node i : row_cells_.order) largest = std::max(largest, f[i]);
      for (const Node i : row_cells_.order)
        base_.f[i] = std::max(f[i] - largest, std::numeric_limits<double>::lowest());
      passes_.transform_cols(base_.f, base_.g);
    } else if (small() || start == Start::cold || (start == Start::automatic && cell_size_ratio_ > kTightCells)) {
      passes_.transform_both(base_.f, base_.g);
      cold_ = true;
    } else {
      // Each column takes the best offer of the representatives of the cells of rows.
      const auto coarse = cost_.restrict(view(row_cells_.representative), view(col_cells_.representative));
      const std::vector<double> of_cells = solve_coarse(*coarse).potentials.f;
      std::vector<double> offers(cost_.rows(), -kInfinity);
      for (std::size_t k = 0; k < of_cells.size(); ++k) offers[row_cells_.representative[k]] = of_cells[k];
      passes_.transform_cols(offers, base_.g);
    }
    // A column that only forbidden pairs reach: any number serves.
    for (double& g : base_.g) {
      if (g == kInfinity) g = 0.0;
    }
  }

  Basis solve_coarse(const Cost<T>& coarse) {
    if (coarse.rows() * coarse.cols() <= kDensePairs) {
      if (auto basis = dense_simplex(coarse, {row_cells_.mass, col_cells_.mass, account_.unit}, account_, monitor_))
        return *std::move(basis);
    }
    return Level<T>(coarse, row_cells_.mass, col_cells_.mass, account_, monitor_).solve({}, {}, false);
  }

  void list(Node tail, Node head, double entry) {
    arcs_.add(tail, head, entry - base_.f[row_of(tail)] - base_.g[col_of(head)]);
    entries_.push_back(entry);
  }

  /// Lists the pairs of small reduced cost; false if a row of positive mass has no allowed pair.
  bool choose_arcs() {
    arcs_ = {};
    entries_.clear();
    const auto scale = passes_.scale(base_.f, base_.g, per_row(kCandidates, cost_.rows(), cost_.cols()));
    const Index most = small() ? cost_.cols() : per_row(kMostCandidates, cost_.rows(), cost_.cols());
    width_ = small() ? kInfinity : scale.near;
    clip_ = scale.typical < kInfinity ? kClip * scale.typical : 1.0;
    const auto pairs = passes_.transform_rows_and_find_below(base_.g, base_.f, width_, most);
    remember(base_, width_);
    const Lists by_row(cost_.rows(), static_cast<Index>(pairs.size()), [&](Index k) { return pairs[k].row; });
    for (const Node row : row_cells_.order) {
      if (base_.f[row] == kInfinity) return false;
      const Index begin = by_row.start[row], end = by_row.start[row + 1];
      if (end - begin == most && !small()) slack_[row] = -kInfinity;  // some were left out
      for (Index k = begin; k < end; ++k) list(row_node_[row], col_node_[pairs[k].col], pairs[k].cost);
    }
    return true;
  }

  /// Improves a base that knows nothing of the weights by scaling on the candidates, and chooses new ones. For the
  /// price of a pass this saves a third of the pivots or more.
  bool approach() {
    const double epsilon = kTemperature * width_;
    if (small() || !std::isnormal(epsilon)) return true;
    const std::vector<double> old_g = base_.g;
    const double old_value = dual_value(base_);
    const std::vector<double> gain = scale_columns(arcs_, row_masses(), col_masses(), epsilon);
    for (std::size_t k = 0; k < gain.size(); ++k) base_.g[col_cells_.order[k]] += gain[k];
    if (!choose_arcs()) return false;
    if (dual_value(base_) >= old_value) return true;
    base_.g = old_g;
    return choose_arcs();
  }

  std::vector<Mass> row_masses() const { return masses_in(row_cells_.order, rows_); }
  std::vector<Mass> col_masses() const { return masses_in(col_cells_.order, cols_); }
  static std::vector<Mass> masses_in(const std::vector<Node>& order, const std::vector<Mass>& masses) {
    std::vector<Mass> ordered;
    ordered.reserve(order.size());
    for (const Node p : order) ordered.push_back(masses[p]);
    return ordered;
  }

  SpanningTree first_tree() {
    InitialTree tree(row_masses(), col_masses(), clip_);
    tree.send(arcs_, 0);
    for (int round = 0; round < kGreedyRounds; ++round) {
      const auto rows = tree.left_rows(), cols = tree.left_cols();
      if (rows.empty()) break;
      const Index first = arcs_.size();
      list_between(rows, cols);
      tree.send(arcs_, first);
    }
    return tree.finish(arcs_, [this](Node tail, Node head) {
      list(tail, head, static_cast<double>(cost_.entry(row_of(tail), col_of(head))));
      return arcs_.cost.back();
    });
  }

  /// Lists the best pairs between some nodes.
  void list_between(const std::vector<Node>& rows, const std::vector<Node>& cols) {
    std::vector<Node> row_points, col_points;
    std::vector<double> f, g;
    for (const Node u : rows) {
      row_points.push_back(row_of(u));
      f.push_back(base_.f[row_of(u)]);
    }
    for (const Node v : cols) {
      col_points.push_back(col_of(v));
      g.push_back(base_.g[col_of(v)]);
    }
    const auto rest = cost_.restrict(view(row_points), view(col_points));
    const ReducedCosts<T> passes(*rest, monitor_);
    const double threshold = passes.scale(f, g, per_row(kCandidates, rest->rows(), rest->cols())).near;
    const Index most = per_row(kMostCandidates, rest->rows(), rest->cols());
    for (const Pair& pair : passes.transform_rows_and_find_below(g, f, threshold, most)) {
      list(rows[pair.row], cols[pair.col], pair.cost);
    }
  }

  Potentials potentials(const SpanningTree& tree) const {
    Potentials now = base_;
    const std::vector<double> y = tree.potentials();
    auto next = y.begin();
    for (const Node i : row_cells_.order) now.f[i] -= *next++;
    for (const Node j : col_cells_.order) now.g[j] += *next++;
    return now;
  }

  /// In units of mass.
  double dual_value(const Potentials& potentials) const {
    double sum = 0.0;
    for (const Node i : row_cells_.order) sum += static_cast<double>(rows_[i]) * potentials.f[i];
    for (const Node j : col_cells_.order) sum += static_cast<double>(cols_[j]) * potentials.g[j];
    return sum;
  }
  double primal_value(const SpanningTree& tree) const { return dual_value(base_) + tree.flow_cost(); }

  /// All pairs were looked at, and those with reduced costs below `slack` are listed.
  void remember(const Potentials& potentials, double slack) {
    priced_ = potentials;
    slack_.assign(cost_.rows(), slack);
  }

  /// Rows and columns whose potentials have risen by more than half the slack since all pairs were looked at. The pairs
  /// of all others cannot be violated.
  struct Risen {
    std::vector<Node> rows, cols;
  };
  Risen risen(const Potentials& now) const {
    // A constant may go from f to g; without the median rise of f neither side takes the slack of the other.
    std::vector<double> rises;
    rises.reserve(row_cells_.order.size());
    for (const Node i : row_cells_.order) rises.push_back(now.f[i] - priced_.f[i]);
    const auto middle = rises.begin() + static_cast<Index>(rises.size() / 2);
    std::nth_element(rises.begin(), middle, rises.end());
    const double shift = *middle;
    Risen risen;
    double least = kInfinity;  // slack of the other rows
    for (const Node i : row_cells_.order) {
      const bool rose = now.f[i] - priced_.f[i] - shift > 0.5 * slack_[i];
      if (rose) risen.rows.push_back(i);
      if (!rose) least = std::min(least, slack_[i]);
    }
    for (const Node j : col_cells_.order) {
      if (now.g[j] - priced_.g[j] + shift > 0.5 * least) risen.cols.push_back(j);
    }
    return risen;
  }

  /// The violated pairs of some rows and columns, row by row.
  std::vector<Pair> violated(const Risen& risen, const Potentials& now, Index most) const {
    std::vector<double> f(cost_.rows(), -kInfinity), other_f;
    for (const Node i : risen.rows) f[i] = now.f[i];
    std::vector<Pair> pairs = passes_.below(f, now.g, 0.0, most);
    std::vector<Node> other_rows;
    for (const Node i : row_cells_.order) {
      if (f[i] > -kInfinity) continue;
      other_rows.push_back(i);
      other_f.push_back(now.f[i]);
    }
    if (risen.cols.empty() || other_rows.empty()) return pairs;
    std::vector<double> g;
    for (const Node j : risen.cols) g.push_back(now.g[j]);
    const auto rest = cost_.restrict(view(other_rows), view(risen.cols));
    for (Pair pair : ReducedCosts<T>(*rest, monitor_).below(other_f, g, 0.0, most)) {
      pair.row = other_rows[pair.row];
      pair.col = risen.cols[pair.col];
      pairs.push_back(pair);
    }
    return pairs;
  }

  /// Lists the pairs that have become violated, and others of small reduced cost where all must be looked at. True if
  /// violations are worth more than `tolerance`. Else they end here: each row with violated pairs lowers its potential,
  /// which costs the dual no more than that. (Large violations can be worth next to nothing, in rows of next to no
  /// mass. The columns must not pay for them.)
  bool price(Potentials& now, double tolerance) {
    const Risen risen = this->risen(now);
    if (risen.rows.empty() && risen.cols.empty()) return false;
    const Index most = per_row(kMostPriced, cost_.rows(), cost_.cols());
    const auto n_risen = static_cast<Index>(risen.rows.size()), m_risen = static_cast<Index>(risen.cols.size());
    const bool all = n_risen * cost_.cols() + kColumnwise * m_risen * cost_.rows() > cost_.rows() * cost_.cols();
    if (all) remember(now, kSlack * width_);
    const auto pairs = all ? passes_.below(now.f, now.g, kSlack * width_, most) : violated(risen, now, most);
    const Lists by_row(cost_.rows(), static_cast<Index>(pairs.size()), [&](Index k) { return pairs[k].row; });
    const Lists listed(static_cast<Index>(row_cells_.order.size()), arcs_.size(),
                       [&](Index e) { return arcs_.tail[e]; });
    std::vector<Node> mark(cost_.cols(), -1);  // the last row that has this column listed
    double excess = 0.0;
    std::vector<std::pair<Node, double>> too_high;
    for (const Node row : row_cells_.order) {
      const Index begin = by_row.start[row], end = by_row.start[row + 1];
      if (all && end - begin == most) slack_[row] = -kInfinity;
      if (begin == end) continue;
      const Node tail = row_node_[row];
      for (Index k = listed.start[tail]; k < listed.start[tail + 1]; ++k)
        mark[col_of(arcs_.head[listed.values[k]])] = row;
      double worst = 0.0;
      for (Index k = begin; k < end; ++k) {
        const Pair& pair = pairs[by_row.values[k]];
        if (mark[pair.col] == row) continue;
        list(tail, col_node_[pair.col], pair.cost);
        if (pair.reduced < -reduced_cost_noise(pair.cost, now.f[row], now.g[pair.col]))
          worst = std::max(worst, -pair.reduced);
      }
      if (worst == 0.0) continue;
      too_high.emplace_back(row, worst);
      excess += worst * static_cast<double>(rows_[row]);
    }
    if (excess > tolerance) return true;
    for (const auto& [row, by] : too_high) now.f[row] -= by;
    return false;
  }

  /// Lets clipped arcs that carry flow cost more, and in the end what their pairs cost.
  Clipped raise_clip(SpanningTree& tree) {
    std::vector<TreeArc> arcs = tree.arcs();
    std::vector<std::pair<TreeArc*, double>> clipped;  // with the own cost
    double least = kInfinity;
    for (TreeArc& arc : arcs) {
      if (arc.flow == 0) continue;
      const Node i = row_of(arc.tail), j = col_of(arc.head);
      const double own = static_cast<double>(cost_.entry(i, j)) - base_.f[i] - base_.g[j];
      if (own <= arc.cost) continue;
      clipped.emplace_back(&arc, own);
      least = std::min(least, own);
    }
    if (clipped.empty()) return Clipped::none;
    // Many orders of magnitude below the least that is asked for would take too many rounds.
    clip_ *= kClip;
    if (least < kInfinity) clip_ = std::max(clip_, 0x1p-20 * least);
    Clipped kind = Clipped::allowed;
    for (const auto& [arc, own] : clipped) {
      arc->cost = std::min(own, clip_);
      if (own == kInfinity) kind = Clipped::forbidden;
    }
    const auto n = static_cast<Node>(row_cells_.order.size());
    tree.build(n, nodes_ - n, arcs, tree.root_node());
    return kind;
  }

  bool avoids_forbidden_pairs() const {
    const ForbiddenPairs<T> forbidden(cost_);
    Account account{0, std::numeric_limits<Index>::max(), 0.0, account_.unit};
    const Basis basis = Level<T>(forbidden, rows_, cols_, account, monitor_).solve({}, {Start::cold, 0.0}, true);
    return std::all_of(basis.plan.begin(), basis.plan.end(),
                       [&](const TreeArc& arc) { return forbidden.entry(arc.tail, arc.head) == T{0}; });
  }

  /// Makes all listed pairs feasible to the last digit. (Unlisted ones have room.)
  void remove_rounding(Potentials& now) const {
    for (Index e = 0; e < arcs_.size(); ++e) {
      const Node i = row_of(arcs_.tail[e]), j = col_of(arcs_.head[e]);
      make_feasible(now.f[i], rows_[i], now.g[j], cols_[j], entries_[e]);
    }
  }

  std::vector<TreeArc> plan(const SpanningTree& tree) const {
    std::vector<TreeArc> plan;
    for (TreeArc arc : tree.arcs()) {
      if (arc.flow == 0) continue;
      arc.tail = row_of(arc.tail);
      arc.head = col_of(arc.head);
      plan.push_back(arc);
    }
    return plan;
  }

  const Cost<T>& cost_;
  const std::vector<Mass>& rows_;
  const std::vector<Mass>& cols_;
  ReducedCosts<T> passes_;
  Account& account_;
  Monitor& monitor_;
  Clusters row_cells_;
  Clusters col_cells_;
  double cell_size_ratio_ = 1.0;
  bool cold_ = false;  ///< the base comes from a c-transform of zero
  Node nodes_ = 0;
  std::vector<Node> row_node_;  ///< by row; -1 without mass
  std::vector<Node> col_node_;  ///< by column
  Potentials base_;             ///< feasible; the costs of arcs are reduced by it
  ArcList arcs_;
  std::vector<double> entries_;  ///< of the cost matrix, by arc
  double clip_ = 0.0;            ///< see kClip
  double width_ = 0.0;           ///< threshold of the first candidates
  std::vector<double> slack_;    ///< by row: no unlisted pair had a smaller reduced cost; -inf if that is not known
  Potentials priced_;            ///< at these potentials
};

}  // namespace

template <class T>
Basis generate_columns(const Cost<T>& cost, const std::vector<Mass>& rows, const std::vector<Mass>& cols,
                       const std::vector<double>& f, const Settings& settings, Account& account, Monitor& monitor) {
  return Level<T>(cost, rows, cols, account, monitor).solve(f, settings, true);
}

template Basis generate_columns(const Cost<float>&, const std::vector<Mass>&, const std::vector<Mass>&,
                                const std::vector<double>&, const Settings&, Account&, Monitor&);
template Basis generate_columns(const Cost<double>&, const std::vector<Mass>&, const std::vector<Mass>&,
                                const std::vector<double>&, const Settings&, Account&, Monitor&);

}  // namespace otfast::exact
