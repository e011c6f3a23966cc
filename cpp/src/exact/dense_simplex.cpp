#include "dense_simplex.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "../isa/kernels.hpp"
#include "network_simplex.hpp"
#include "pieces.hpp"

namespace otfast::exact {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Reduced costs are clipped at this multiple of what a row typically regrets (see column_generation.cpp on clipping).
constexpr double kClip = 65536.0;

/// `approach`: from how many pairs on it pays; the first temperature in units of a typical cost, how many there are,
/// each a quarter of the one before, and iterations at each.
constexpr Index kWorthApproaching = 256;
constexpr double kTemperature = 0.2;
constexpr int kLevels = 4;
constexpr int kSweeps = 4;

/// Entries to price before the best one enters.
constexpr Index kBlock = 512;

double mean_size(const std::vector<double>& values, Index count) {
  double sum = 0.0;
  for (Index k = 0; k < count; ++k) sum += std::abs(values[k]);
  return sum / static_cast<double>(count);
}

template <class T>
class DenseSimplex {
 public:
  std::optional<Basis> solve(const Cost<T>& cost, const Masses& masses, Account& account, Monitor& monitor) {
    select(rows_, row_mass_, masses.rows);
    select(cols_, col_mass_, masses.cols);
    n_ = static_cast<Index>(rows_.size());
    m_ = static_cast<Index>(cols_.size());
    root_ = static_cast<Node>(n_ + (std::max_element(col_mass_.begin(), col_mass_.end()) - col_mass_.begin()));
    tabulate(cost);
    if (!find_potentials()) return std::nullopt;
    approach();
    if (!reduce()) return std::nullopt;
    rank_rows();
    grow_forest();
    link_forest();
    tree_.build(static_cast<Node>(n_), static_cast<Node>(m_), forest_, root_);

    Basis basis;
    basis.status = run(account, monitor);
    if (basis.status != Status::optimal) return std::nullopt;
    basis.potentials = potentials(cost, masses);
    basis.plan.reserve(static_cast<std::size_t>(n_ + m_));
    for (TreeArc arc : tree_.arcs()) {
      if (arc.flow == 0) continue;
      if (arc.cost >= clip_) return std::nullopt;
      basis.plan.push_back({rows_[arc.tail], cols_[arc.head - static_cast<Node>(n_)], arc.flow, arc.cost});
    }
    return basis;
  }

 private:
  double* row(Index i) { return table_.data() + i * stride_; }

  static void select(std::vector<Node>& points, std::vector<Mass>& left, const std::vector<Mass>& mass) {
    points.clear();
    left.clear();
    for (Node i = 0; i < static_cast<Node>(mass.size()); ++i) {
      if (mass[i] == 0) continue;
      points.push_back(i);
      left.push_back(mass[i]);
    }
  }

  void tabulate(const Cost<T>& cost) {
    constexpr Index kPad = isa::kOverread<float>;
    stride_ = (m_ + kPad - 1) / kPad * kPad;
    table_.resize(n_ * stride_);
    buffer_.resize(cost.cols());
    for (Index i = 0; i < n_; ++i) {
      const T* entries = cost.row(rows_[i], 0, cost.cols(), buffer_.data());
      double* to = row(i);
      if (m_ == cost.cols()) {
        for (Index j = 0; j < m_; ++j) to[j] = static_cast<double>(entries[j]);
      } else {
        for (Index j = 0; j < m_; ++j) to[j] = static_cast<double>(entries[cols_[j]]);
      }
      std::fill(to + m_, to + stride_, kInfinity);
    }
  }

  /// The least entry of a row among the open columns; `*column` is where it stands.
  double best_open(Index i, Index* column) {
    constexpr double kNothing = 0.0;
    return kernels_.min_reduced_rows(row(i), stride_, &kNothing, open_.data(), 1, m_, column);
  }

  /// Feasible potentials: f from the rows, then g from the columns. False if a row or a column has no allowed pair.
  bool find_potentials() {
    open_.assign(stride_, 0.0);
    f_.resize(n_);
    g_.assign(stride_, kInfinity);
    Index argmin = 0;
    for (Index i = 0; i < n_; ++i) {
      f_[i] = best_open(i, &argmin);
      if (f_[i] == kInfinity) return false;  // before infinities meet
      kernels_.lower_columns(row(i), f_[i], g_.data(), m_);
    }
    std::fill(g_.begin() + m_, g_.end(), 0.0);
    return *std::max_element(g_.begin(), g_.end()) < kInfinity;
  }

  /// Subtracts g from the columns, and from each row its least entry then, which becomes f. False if there are
  /// forbidden pairs.
  bool reduce() {
    regret_.resize(n_);
    best_.resize(n_);
    largest_ = 0.0;
    for (Index i = 0; i < n_; ++i) {
      const isa::RowReduction found = kernels_.reduce_row(row(i), g_.data(), stride_);
      if (found.infinite > stride_ - m_) return false;
      f_[i] = found.least;
      regret_[i] = found.second - found.least;
      best_[i] = found.argmin;
      largest_ = std::max(largest_, found.largest);
    }
    return true;
  }

  /// Improves the potentials by a few over-relaxed Sinkhorn iterations at falling temperatures, in single precision:
  /// for the price of some pivots they save most of them.
  void approach() {
    if (n_ * m_ < kWorthApproaching) return;
    // The typical entry is what temperatures are measured in.
    std::vector<double>& sample = regret_;
    sample.clear();
    for (Index k = 0; k < 64; ++k) {
      const Index i = k * n_ / 64, j = (k * 37) % m_;
      sample.push_back(row(i)[j] - f_[i] - g_[j]);
    }
    std::nth_element(sample.begin(), sample.begin() + 32, sample.end());
    const double typical = sample[32];
    if (!(typical > 0.0 && typical < kInfinity)) return;

    kernel_.resize(n_ * stride_);
    row_weight_.resize(n_);
    u_.resize(n_);
    log_v_ = g_;
    col_weight_.assign(stride_, 0.0F);
    v_.assign(stride_, 0.0F);
    sums_.resize(stride_);
    const double total = std::accumulate(row_mass_.begin(), row_mass_.end(), 0.0);
    // Weights far below the average would only make single precision overflow.
    const auto weight = [&](Mass mass, Index points) {
      return static_cast<float>(std::max(static_cast<double>(mass) / total, 1e-6 / static_cast<double>(points)));
    };
    for (Index i = 0; i < n_; ++i) row_weight_[i] = weight(row_mass_[i], n_);
    for (Index j = 0; j < m_; ++j) col_weight_[j] = weight(col_mass_[j], m_);
    double epsilon = kTemperature * typical;
    kernels_.exponentiate(table_.data(), stride_, f_.data(), g_.data(), 1.0 / epsilon, n_, kernel_.data());
    bool finite = true;
    for (int level = 0; level < kLevels; ++level, epsilon /= 4.0) {
      if (level > 0) kernels_.sharpen(u_.data(), v_.data(), stride_, n_, kernel_.data());
      std::fill(v_.begin(), v_.begin() + m_, 1.0F);
      for (int k = 0; k < kSweeps; ++k) {
        const bool over = k > 0 && k + 1 < kSweeps;
        kernels_.scale_once(kernel_.data(), stride_, row_weight_.data(), col_weight_.data(), n_, over, u_.data(),
                            v_.data(), sums_.data());
      }
      for (Index j = 0; j < m_; ++j) {
        log_v_[j] += epsilon * static_cast<double>(std::log(v_[j]));
        finite = finite && std::isfinite(log_v_[j]);
      }
    }
    if (finite) g_.swap(log_v_);
  }

  /// Puts rows in the order of what they lose without their best column, and clips costs that are out of all proportion
  /// to that.
  void rank_rows() {
    order_.resize(n_);
    std::iota(order_.begin(), order_.end(), Node{0});
    std::sort(order_.begin(), order_.end(), [&](Node p, Node q) { return regret_[p] > regret_[q]; });
    // Among ties most regrets are mere rounding of the potentials that were subtracted.
    const double typical = regret_[order_[n_ / 4]];
    const double rounding = 0x1p-40 * (mean_size(f_, n_) + mean_size(g_, m_));
    clip_ = kInfinity;
    if (typical > rounding && typical < kInfinity && largest_ > kClip * typical) {
      clip_ = kClip * typical;
      for (Index i = 0; i < n_; ++i) {
        for (Index j = 0; j < m_; ++j) row(i)[j] = std::min(row(i)[j], clip_);
      }
    }
  }

  /// Rows in the order of what they lose without their best column (Vogel), each along the best columns that have room.
  void grow_forest() {
    forest_.clear();
    for (const Node i : order_) {
      Index j = best_[i];
      while (row_mass_[i] > 0) {
        if (col_mass_[j] == 0) best_open(i, &j);
        const Mass amount = std::min(row_mass_[i], col_mass_[j]);
        row_mass_[i] -= amount;
        col_mass_[j] -= amount;
        if (col_mass_[j] == 0) open_[j] = -kInfinity;
        forest_.push_back({i, static_cast<Node>(n_ + j), amount, row(i)[j]});
      }
    }
  }

  /// Hangs every tree of the forest on the one of the root, by an arc without flow from a row of its own to the
  /// best column that is hung already: the result is strongly feasible.
  void link_forest() {
    const auto nodes = static_cast<Node>(n_ + m_);
    if (static_cast<Node>(forest_.size()) == nodes - 1) return;
    Pieces pieces(nodes);
    for (const TreeArc& arc : forest_) pieces.join(arc.tail, arc.head);
    first_col_.assign(nodes, -1);
    next_col_.resize(m_);
    for (Index j = 0; j < m_; ++j)
      next_col_[j] = std::exchange(first_col_[pieces.find(static_cast<Node>(n_ + j))], static_cast<Node>(j));
    constexpr Node kHung = -2;
    const auto open_columns_of = [&](Node piece) {
      for (Node j = std::exchange(first_col_[piece], kHung); j >= 0; j = next_col_[j]) open_[j] = 0.0;
    };
    std::fill(open_.begin(), open_.end(), -kInfinity);
    open_columns_of(pieces.find(root_));
    for (Index i = 0; i < n_; ++i) {
      const Node piece = pieces.find(static_cast<Node>(i));
      if (first_col_[piece] == kHung) continue;
      Index j = 0;
      best_open(i, &j);
      forest_.push_back({static_cast<Node>(i), static_cast<Node>(n_ + j), 0, row(i)[j]});
      open_columns_of(piece);
    }
  }

  Status run(Account& account, Monitor& monitor) {
    const double* y = tree_.y();
    const double* y_cols = y + n_;
    const Index rows_at_a_time = std::max<Index>(1, kBlock / m_);
    const Index first_pivot = account.pivots;
    Impatience impatience;
    bool fresh = true;  // potentials without the rounding of pivots
    for (Index next = 0, quiet = 0;;) {
      const Index count = std::min(rows_at_a_time, n_ - next);
      Index place = 0;
      const double best = kernels_.min_reduced_rows(row(next), stride_, y + next, y_cols, count, m_, &place);
      const Index tail = next + place / stride_, head = place % stride_;
      const bool found = best < -impatience.noise(row(tail)[head], y[tail], y_cols[head]);
      next = next + count == n_ ? 0 : next + count;
      if (!found) {
        quiet += count;
        if (quiet < n_) continue;
        if (fresh) return Status::optimal;
        tree_.recompute_potentials();
        fresh = true;
        quiet = 0;
        continue;
      }
      if (account.pivots >= account.most_pivots) return Status::iteration_limit;
      quiet = 0;
      fresh = false;
      tree_.pivot(static_cast<Node>(tail), static_cast<Node>(n_ + head), row(tail)[head], best);
      ++account.pivots;
      if ((account.pivots & 63) == 0) {
        impatience.update(account.pivots - first_pivot, tree_);
        monitor.poll();
        if (monitor.stopped()) return Status::stopped;
      }
    }
  }

  /// From the tree, and made feasible to the last digit.
  Potentials potentials(const Cost<T>& cost, const Masses& masses) {
    Potentials potentials{std::vector<double>(cost.rows(), -kInfinity), std::vector<double>(cost.cols(), -kInfinity)};
    const double* y = tree_.y();
    for (Index i = 0; i < n_; ++i) potentials.f[rows_[i]] = f_[i] - y[i];
    for (Index j = 0; j < m_; ++j) potentials.g[cols_[j]] = g_[j] + y[n_ + j];
    tight_.resize(cost.cols());
    for (const Node i : rows_) {
      const T* entries = cost.row(i, 0, cost.cols(), buffer_.data());
      double& f = potentials.f[i];
      const Index count = isa::kernels<T>().find_below(entries, potentials.g.data(), cost.cols(), f, tight_.data());
      for (Index k = 0; k < count; ++k) {
        const Node j = tight_[k];
        make_feasible(f, masses.rows[i], potentials.g[j], masses.cols[j], static_cast<double>(entries[j]));
      }
    }
    return potentials;
  }

  const isa::Kernels<double>& kernels_ = isa::kernels<double>();
  Index n_ = 0;
  Index m_ = 0;
  Index stride_ = 0;        ///< of the rows of the table: m, padded for the kernels
  std::vector<Node> rows_;  ///< points of positive mass
  std::vector<Node> cols_;
  Node root_ = 0;               ///< of the tree: the column of largest mass
  std::vector<Mass> row_mass_;  ///< not sent yet
  std::vector<Mass> col_mass_;
  std::vector<T> buffer_;
  std::vector<double> table_;   ///< n x m reduced costs, clipped; +inf in the padding
  std::vector<double> f_;       ///< subtracted from its rows
  std::vector<double> g_;       ///< and from its columns
  double largest_ = 0.0;        ///< entry of the table
  std::vector<double> open_;    ///< 0 for columns that may be chosen, -inf for others
  std::vector<double> regret_;  ///< what a row loses without its best column
  std::vector<Index> best_;     ///< that column
  std::vector<Node> order_;     ///< rows by regret
  std::vector<TreeArc> forest_;
  std::vector<Node> first_col_;  ///< scratch of `link_forest`: columns by piece
  std::vector<Node> next_col_;
  std::vector<float> kernel_;  ///< for `approach`, as all up to `log_v_`
  std::vector<float> row_weight_;
  std::vector<float> col_weight_;
  std::vector<float> u_;
  std::vector<float> v_;
  std::vector<float> sums_;
  std::vector<double> log_v_;  ///< times the temperature
  std::vector<Node> tight_;    ///< scratch of `potentials`
  SpanningTree tree_;
  double clip_ = kInfinity;
};

}  // namespace

template <class T>
std::optional<Basis> dense_simplex(const Cost<T>& cost, const Masses& masses, Account& account, Monitor& monitor) {
  // Kept between calls: allocating would take as long as solving a problem of ten points.
  // Taken out while it works: a callback may solve another problem on this thread.
  static thread_local std::unique_ptr<DenseSimplex<T>> idle;
  auto solver = idle ? std::move(idle) : std::make_unique<DenseSimplex<T>>();
  auto basis = solver->solve(cost, masses, account, monitor);
  idle = std::move(solver);
  return basis;
}

template std::optional<Basis> dense_simplex(const Cost<float>&, const Masses&, Account&, Monitor&);
template std::optional<Basis> dense_simplex(const Cost<double>&, const Masses&, Account&, Monitor&);

}  // namespace otfast::exact
