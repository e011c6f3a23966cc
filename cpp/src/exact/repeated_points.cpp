#include "repeated_points.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

namespace otfast::exact {
namespace {

/// The merged problem must have at most this part of the pairs.
constexpr double kWorthMerging = 0.7;

template <class T>
Index count_distinct(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return std::unique(values.begin(), values.end()) - values.begin();
}

/// At least this many rows differ: as many as there are values in one column. Likewise columns.
template <class T>
std::pair<Index, Index> count_different(const Cost<T>& cost) {
  std::vector<T> column(static_cast<std::size_t>(cost.rows())), row(static_cast<std::size_t>(cost.cols()));
  for (Index i = 0; i < cost.rows(); ++i) column[i] = cost.entry(i, cost.cols() / 2);
  const T* entries = cost.row(cost.rows() / 2, 0, cost.cols(), row.data());
  return {count_distinct(std::move(column)), count_distinct(std::vector<T>(entries, entries + cost.cols()))};
}

/// For each point of positive mass the first one with the same features, a guess at its twin; -1 for the others.
template <class T>
std::vector<Node> guess_twins(const Cost<T>& cost, bool of_rows, const std::vector<Mass>& mass) {
  const auto features = cost.features(of_rows);
  const auto bytes = static_cast<std::size_t>(features.dim) * sizeof(float);
  const auto compare = [&](Node p, Node q) {
    return std::memcmp(features.values.data() + p * features.dim, features.values.data() + q * features.dim, bytes);
  };
  std::vector<Node> order;
  for (std::size_t k = 0; k < mass.size(); ++k) {
    if (mass[k] > 0) order.push_back(static_cast<Node>(k));
  }
  std::sort(order.begin(), order.end(), [&](Node p, Node q) {
    const int sign = compare(p, q);
    return sign != 0 ? sign < 0 : p < q;
  });
  std::vector<Node> twin(mass.size(), -1);
  for (std::size_t k = 0; k < order.size(); ++k) {
    const bool repeats = k > 0 && compare(order[k - 1], order[k]) == 0;
    twin[order[k]] = repeats ? twin[order[k - 1]] : order[k];
  }
  return twin;
}

/// Leaves those rows alone that differ from the row they were thought to repeat.
template <class T>
void check_rows(const Cost<T>& cost, std::vector<Node>& twin, Monitor& monitor) {
  std::vector<T> buffer(static_cast<std::size_t>(cost.cols())), other(buffer.size());
  for (Node i = 0; i < static_cast<Node>(twin.size()); ++i) {
    if (twin[i] == -1 || twin[i] == i) continue;
    monitor.poll();
    const T* entries = cost.row(i, 0, cost.cols(), buffer.data());
    if (!std::equal(entries, entries + cost.cols(), cost.row(twin[i], 0, cost.cols(), other.data()))) twin[i] = i;
  }
}

/// The same for columns, as far as they differ in rows that stand for themselves.
template <class T>
void check_cols(const Cost<T>& cost, const std::vector<Node>& row_twin, std::vector<Node>& twin, Monitor& monitor) {
  std::vector<T> buffer(static_cast<std::size_t>(cost.cols()));
  std::vector<Node> doubtful;
  for (Node j = 0; j < static_cast<Node>(twin.size()); ++j) {
    if (twin[j] != -1 && twin[j] != j) doubtful.push_back(j);
  }
  for (Node i = 0; i < static_cast<Node>(row_twin.size()); ++i) {
    if (row_twin[i] != i) continue;
    monitor.poll();
    const T* entries = cost.row(i, 0, cost.cols(), buffer.data());
    bool any = false;
    for (const Node j : doubtful) any |= entries[j] != entries[twin[j]];
    if (!any) continue;
    std::erase_if(doubtful, [&](Node j) {
      const bool differs = entries[j] != entries[twin[j]];
      if (differs) twin[j] = j;
      return differs;
    });
  }
}

Twins group(const std::vector<Node>& twin, const std::vector<Mass>& mass) {
  Twins twins;
  twins.group.assign(twin.size(), -1);
  // A twin comes before those who repeat it.
  for (Node k = 0; k < static_cast<Node>(twin.size()); ++k) {
    if (twin[k] == -1) continue;
    if (twin[k] == k) {
      twins.group[k] = static_cast<Node>(twins.first.size());
      twins.first.push_back(k);
      twins.mass.push_back(0);
    }
    twins.group[k] = twins.group[twin[k]];
    twins.mass[twins.group[k]] += mass[k];
  }
  return twins;
}

/// Deals out what the groups send (or receive), point by point.
class Dealer {
 public:
  Dealer(const Twins& twins, const std::vector<Mass>& mass) : next_(mass.size(), -1), left_(mass) {
    current_.resize(twins.first.size(), -1);
    for (Node k = static_cast<Node>(mass.size()) - 1; k >= 0; --k) {
      if (twins.group[k] == -1) continue;
      next_[k] = std::exchange(current_[twins.group[k]], k);
    }
  }

  /// The point of this group whose turn it is, and what it has left.
  std::pair<Node, Mass> turn(Node group) {
    Node& point = current_[group];
    while (left_[point] == 0) point = next_[point];
    return {point, left_[point]};
  }
  void take(Node point, Mass amount) { left_[point] -= amount; }

 private:
  std::vector<Node> current_;  ///< by group
  std::vector<Node> next_;     ///< by point: the next of its group
  std::vector<Mass> left_;
};

std::vector<double> spread(const std::vector<double>& of_groups, const Twins& twins) {
  std::vector<double> values(twins.group.size(), -std::numeric_limits<double>::infinity());
  for (std::size_t k = 0; k < values.size(); ++k) {
    if (twins.group[k] != -1) values[k] = of_groups[twins.group[k]];
  }
  return values;
}

}  // namespace

template <class T>
std::optional<MergedProblem<T>> MergedProblem<T>::find(const Cost<T>& cost, const Masses& masses, Monitor& monitor) {
  const double most = kWorthMerging * static_cast<double>(cost.rows()) * static_cast<double>(cost.cols());
  const auto is_too_large = [&](Index rows, Index cols) {
    return static_cast<double>(rows) * static_cast<double>(cols) > most;
  };
  const auto count = [](const std::vector<Node>& twin) {
    Index distinct = 0;
    for (Node k = 0; k < static_cast<Node>(twin.size()); ++k) distinct += twin[k] == k;
    return distinct;
  };
  const auto [rows, cols] = count_different(cost);
  if (is_too_large(rows, cols)) return std::nullopt;
  std::vector<Node> row_twin = guess_twins(cost, true, masses.rows);
  std::vector<Node> col_twin = guess_twins(cost, false, masses.cols);
  if (is_too_large(count(row_twin), count(col_twin))) return std::nullopt;
  check_rows(cost, row_twin, monitor);
  check_cols(cost, row_twin, col_twin, monitor);
  if (is_too_large(count(row_twin), count(col_twin))) return std::nullopt;

  MergedProblem merged;
  merged.rows_ = group(row_twin, masses.rows);
  merged.cols_ = group(col_twin, masses.cols);
  merged.masses_ = {merged.rows_.mass, merged.cols_.mass, masses.unit};
  merged.cost_ = cost.restrict(view(merged.rows_.first), view(merged.cols_.first));
  return merged;
}

template <class T>
std::vector<double> MergedProblem<T>::of_groups(const std::vector<double>& f) const {
  std::vector<double> values;
  if (f.empty()) return values;
  for (const Node i : rows_.first) values.push_back(f[i]);
  return values;
}

template <class T>
Basis MergedProblem<T>::restore(Basis basis, const Masses& masses) const {
  if (basis.status == Status::infeasible) return basis;
  basis.potentials = {spread(basis.potentials.f, rows_), spread(basis.potentials.g, cols_)};
  Dealer rows(rows_, masses.rows), cols(cols_, masses.cols);
  std::vector<TreeArc> plan;
  for (const TreeArc& arc : basis.plan) {
    for (Mass left = arc.flow; left > 0;) {
      const auto [i, sends] = rows.turn(arc.tail);
      const auto [j, takes] = cols.turn(arc.head);
      const Mass amount = std::min({left, sends, takes});
      plan.push_back({i, j, amount, arc.cost});
      rows.take(i, amount);
      cols.take(j, amount);
      left -= amount;
    }
  }
  basis.plan = std::move(plan);
  return basis;
}

template class MergedProblem<float>;
template class MergedProblem<double>;

}  // namespace otfast::exact
