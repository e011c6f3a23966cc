#include "otfast/exact/transport.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "column_generation.hpp"
#include "cost/clusters.hpp"
#include "dense_simplex.hpp"
#include "masses.hpp"
#include "otfast/core/weights.hpp"
#include "otfast/math/compensated_sum.hpp"
#include "reduced_costs.hpp"
#include "repeated_points.hpp"

namespace otfast::exact {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// From how many pairs on it pays to look for points that occur several times.
constexpr Index kWorthMerging = 256 * 256;

/// The problem with the points of positive mass only, in an order in which neighbours are near, so that blocks of pairs
/// can be skipped. Worth it where points can be copied cheaply and blocks have bounds.
template <class T>
struct Reordered {
  std::vector<Node> rows, cols;  ///< old numbers
  Masses masses;
  std::unique_ptr<Cost<T>> cost;

  Reordered(const Cost<T>& old, const Masses& old_masses) {
    const auto order = [&](bool of_rows, const std::vector<Mass>& mass) {
      const auto features = old.features(of_rows);
      return bisect(features.values, features.dim, mass, 4).order;
    };
    rows = order(true, old_masses.rows);
    cols = order(false, old_masses.cols);
    for (const Node i : rows) masses.rows.push_back(old_masses.rows[i]);
    for (const Node j : cols) masses.cols.push_back(old_masses.cols[j]);
    masses.unit = old_masses.unit;
    cost = old.restrict(view(rows), view(cols));
  }

  Basis restore(Basis basis, Index all_rows, Index all_cols) const {
    Potentials old{std::vector<double>(all_rows, -kInfinity), std::vector<double>(all_cols, -kInfinity)};
    for (std::size_t i = 0; i < rows.size(); ++i) old.f[rows[i]] = basis.potentials.f[i];
    for (std::size_t j = 0; j < cols.size(); ++j) old.g[cols[j]] = basis.potentials.g[j];
    basis.potentials = std::move(old);
    for (TreeArc& arc : basis.plan) {
      arc.tail = rows[arc.tail];
      arc.head = cols[arc.head];
    }
    return basis;
  }
};

/// Few enough pairs for a table of them.
template <class T>
bool is_small(const Cost<T>& cost) {
  return cost.rows() * cost.cols() <= kDensePairs;
}

template <class T>
Basis solve_distinct(const Cost<T>& cost, const Masses& masses, const std::vector<double>& f, const Settings& settings,
                     Account& account, Monitor& monitor) {
  if (is_small(cost) && settings.start == Start::automatic) {
    if (auto basis = dense_simplex(cost, masses, account, monitor)) return *std::move(basis);
    account.pivots = 0;
  }
  if (!cost.block_bounds(cost.rows(), cost.cols()))
    return generate_columns(cost, masses.rows, masses.cols, f, settings, account, monitor);
  const Reordered<T> near(cost, masses);
  std::vector<double> near_f;
  if (!f.empty()) {
    for (const Node i : near.rows) near_f.push_back(f[i]);
  }
  return near.restore(
      generate_columns(*near.cost, near.masses.rows, near.masses.cols, near_f, settings, account, monitor), cost.rows(),
      cost.cols());
}

template <class T>
Basis solve_masses(const Cost<T>& cost, const Masses& masses, const Options& options, Account& account,
                   Monitor& monitor) {
  const std::vector<double> f(options.f.begin(), options.f.end());
  const Settings settings{options.start, options.tolerance};
  if (cost.rows() * cost.cols() > kWorthMerging) {
    if (const auto merged = MergedProblem<T>::find(cost, masses, monitor)) {
      return merged->restore(
          solve_distinct(merged->cost(), merged->masses(), merged->of_groups(f), settings, account, monitor), masses);
    }
  }
  return solve_distinct(cost, masses, f, settings, account, monitor);
}

/// Gives the points without mass (potential -inf) the largest potentials that keep the dual feasible; all others stay.
template <class T>
void complete(const Cost<T>& cost, Potentials& potentials, Monitor& monitor) {
  const ReducedCosts<T> passes(cost, monitor);
  const auto missing = [](const std::vector<double>& values) {
    return std::count(values.begin(), values.end(), -kInfinity) > 0;
  };
  const auto fill = [](std::vector<double>& values, const std::vector<double>& found) {
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (values[k] == -kInfinity)
        values[k] = found[k] < kInfinity ? found[k] : 0.0;  // forbidden pairs only: any number
    }
  };
  const auto ask_missing = [](const std::vector<double>& values) {
    std::vector<double> asked(values.size(), -kInfinity);
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (values[k] == -kInfinity) asked[k] = 0.0;
    }
    return asked;
  };
  if (missing(potentials.f)) {
    std::vector<double> found = ask_missing(potentials.f);
    passes.transform_rows(potentials.g, found);
    fill(potentials.f, found);
  }
  if (missing(potentials.g)) {
    std::vector<double> found = ask_missing(potentials.g);
    passes.transform_cols(potentials.f, found);
    fill(potentials.g, found);
  }
}

/// Makes the potentials of an interrupted solve feasible.
template <class T>
void make_feasible(const Cost<T>& cost, Potentials& potentials, Monitor& monitor) {
  std::vector<double> f = potentials.f;
  ReducedCosts<T>(cost, monitor).transform_rows(potentials.g, f);
  for (std::size_t i = 0; i < f.size(); ++i) potentials.f[i] = std::min(potentials.f[i], f[i]);
}

/// Below this total, multiples of 2^-60 of it would not be normal numbers.
constexpr double kLeastTotal = 0x1p-900;

/// Solves for weights 2^600 times as large, and scales the solution back.
template <class T>
Transport solve_scaled(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b,
                       const Options& options, Monitor& monitor) {
  const auto scaled = [](VectorView<const double> weights) {
    std::vector<double> large(weights.begin(), weights.end());
    for (double& w : large) w *= 0x1p600;
    return large;
  };
  Transport result = solve(cost, view(scaled(a)), view(scaled(b)), options, monitor);
  for (double& mass : result.mass) mass *= 0x1p-600;
  result.value *= 0x1p-600;
  result.dual_value *= 0x1p-600;
  return result;
}

}  // namespace

template <class T>
Transport solve(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b, const Options& options,
                Monitor& monitor) {
  if (summarize(a).total < kLeastTotal) return solve_scaled(cost, a, b, options, monitor);
  const Masses masses = whole_masses(a, b);
  const Index most_pivots = options.max_pivots < 0 ? std::numeric_limits<Index>::max() : options.max_pivots;
  Account account{0, most_pivots, 0.0, masses.unit};
  Basis basis = solve_masses(cost, masses, options, account, monitor);

  Transport result;
  result.status = basis.status;
  result.pivots = account.pivots;
  if (basis.status == Status::infeasible) return result;
  if (basis.status != Status::optimal) make_feasible(cost, basis.potentials, monitor);
  complete(cost, basis.potentials, monitor);
  result.f = std::move(basis.potentials.f);
  result.g = std::move(basis.potentials.g);

  result.rows.reserve(basis.plan.size());
  result.cols.reserve(basis.plan.size());
  result.mass.reserve(basis.plan.size());
  CompensatedSum value, dual;
  for (const TreeArc& arc : basis.plan) {
    const double mass = static_cast<double>(arc.flow) * masses.unit;
    result.rows.push_back(arc.tail);
    result.cols.push_back(arc.head);
    result.mass.push_back(mass);
    value.add(mass * static_cast<double>(cost.entry(arc.tail, arc.head)));
  }
  const auto add_dual = [&](const std::vector<double>& potential, const std::vector<Mass>& mass) {
    for (std::size_t k = 0; k < potential.size(); ++k) {
      dual.add(potential[k] * (static_cast<double>(mass[k]) * masses.unit));
    }
  };
  add_dual(result.f, masses.rows);
  add_dual(result.g, masses.cols);
  result.value = value.value();
  result.dual_value = dual.value();
  return result;
}

template Transport solve(const Cost<float>&, VectorView<const double>, VectorView<const double>, const Options&,
                         Monitor&);
template Transport solve(const Cost<double>&, VectorView<const double>, VectorView<const double>, const Options&,
                         Monitor&);

}  // namespace otfast::exact
