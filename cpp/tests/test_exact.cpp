// Exact transport: the spanning tree stays a tree, whole masses add up, and every answer carries its certificate.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "check.hpp"
#include "exact/column_generation.hpp"
#include "exact/masses.hpp"
#include "exact/spanning_tree.hpp"
#include "exact/sparse_scaling.hpp"
#include "otfast/cost/dense.hpp"
#include "otfast/cost/points.hpp"
#include "otfast/exact/transport.hpp"

namespace {

using namespace otfast;
using namespace otfast::exact;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

VectorView<const double> view(const std::vector<double>& values) {
  return {values.data(), static_cast<Index>(values.size())};
}

std::vector<double> random_weights(std::mt19937_64& random, Index size, bool whole) {
  std::vector<double> weights(size);
  for (double& w : weights) w = whole ? static_cast<double>(random() % 4) : std::generate_canonical<double, 53>(random);
  weights[0] += 1.0;  // a positive total
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& w : weights) w /= total;
  return weights;
}

/// Pivots along random arcs: sums of flows at every node, the order of the thread, sizes and potentials must keep up.
void pivots_keep_the_tree() {
  std::mt19937_64 random(1);
  constexpr Node n = 7, m = 9;
  // A staircase of supplies and demands of one unit to several.
  std::vector<Mass> left(n, 9), need(m, 7);
  std::vector<TreeArc> arcs;
  for (Node i = 0, j = 0; i < n && j < m;) {
    const Mass amount = std::min(left[i], need[j]);
    arcs.push_back({i, static_cast<Node>(n + j), amount, 1.0 + i * 0.5 + j * 0.25});
    left[i] -= amount;
    need[j] -= amount;
    if (left[i] == 0 && i + 1 < n) {
      ++i;
    } else {
      ++j;
    }
  }
  CHECK(arcs.size() == n + m - 1);
  SpanningTree tree;
  tree.build(n, m, arcs, n);
  for (int step = 0; step < 3000; ++step) {
    const Node i = tree.place(static_cast<Node>(random() % n)), j = tree.place(static_cast<Node>(n + random() % m));
    const double reduced = -1.0 - static_cast<double>(random() % 8);
    const double cost = reduced - tree.y()[i] + tree.y()[j];
    const auto before = tree.arcs();
    const bool in_tree = std::any_of(before.begin(), before.end(), [&](const TreeArc& arc) {
      return tree.place(arc.tail) == i && tree.place(arc.head) == j;
    });
    if (in_tree) continue;
    tree.pivot(i, j, cost, reduced);
    if (step % 17 == 0) tree.renumber();

    const auto now = tree.arcs();
    const auto y = tree.potentials();
    std::vector<Mass> sent(n, 0), received(m, 0);
    CHECK(now.size() == n + m - 1);
    for (const TreeArc& arc : now) {
      CHECK(arc.flow >= 0, "step %d", step);
      sent[arc.tail] += arc.flow;
      received[arc.head - n] += arc.flow;
      CHECK(std::abs(arc.cost + y[arc.tail] - y[arc.head]) < 1e-9 * (1.0 + std::abs(y[arc.tail])), "step %d", step);
    }
    CHECK(std::all_of(sent.begin(), sent.end(), [](Mass mass) { return mass == 9; }), "step %d", step);
    CHECK(std::all_of(received.begin(), received.end(), [](Mass mass) { return mass == 7; }), "step %d", step);
    // Built anew from its arcs, the tree has the same potentials up to a constant: it still spans the graph.
    SpanningTree again;
    again.build(n, m, now, static_cast<Node>(random() % (n + m)));
    const auto z = again.potentials();
    for (Node v = 1; v < n + m; ++v)
      CHECK(std::abs((y[v] - y[0]) - (z[v] - z[0])) < 1e-8 * (1.0 + std::abs(z[v])), "step %d", step);
  }
}

void masses_are_whole() {
  const std::vector<double> third(3, 1.0 / 3.0), seventh(7, 1.0 / 7.0);
  Masses masses = whole_masses(view(third), view(seventh));
  CHECK(masses.rows == std::vector<Mass>(3, 7));
  CHECK(masses.cols == std::vector<Mass>(7, 3));
  std::mt19937_64 random(2);
  for (int trial = 0; trial < 100; ++trial) {
    const auto a = random_weights(random, 1 + static_cast<Index>(random() % 50), trial % 2 == 0),
               b = random_weights(random, 40, false);
    masses = whole_masses(view(a), view(b));
    const Mass sum_rows = std::accumulate(masses.rows.begin(), masses.rows.end(), Mass{0});
    const Mass sum_cols = std::accumulate(masses.cols.begin(), masses.cols.end(), Mass{0});
    CHECK(sum_rows == sum_cols && sum_rows > 0);
    for (std::size_t i = 0; i < a.size(); ++i)
      CHECK(std::abs(static_cast<double>(masses.rows[i]) * masses.unit - a[i]) < 1e-15);
  }
}

template <class T>
void check_certificate(const Cost<T>& cost, const std::vector<double>& a, const std::vector<double>& b, Start start,
                       double tolerance) {
  SilentMonitor monitor;
  const Transport result = solve(cost, view(a), view(b), {.start = start}, monitor);
  CHECK(result.status == Status::optimal);
  CHECK(static_cast<Index>(result.rows.size()) <= cost.rows() + cost.cols() - 1);
  std::vector<double> sent(a.size(), 0.0), received(b.size(), 0.0);
  for (std::size_t k = 0; k < result.rows.size(); ++k) {
    CHECK(result.mass[k] > 0.0);
    sent[result.rows[k]] += result.mass[k];
    received[result.cols[k]] += result.mass[k];
  }
  double worst = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(sent[i] - a[i]));
  for (std::size_t j = 0; j < b.size(); ++j) worst = std::max(worst, std::abs(received[j] - b[j]));
  CHECK(worst < 1e-13, "marginals are off by %g", worst);
  double violation = 0.0;
  for (Index i = 0; i < cost.rows(); ++i) {
    for (Index j = 0; j < cost.cols(); ++j) {
      const auto c = static_cast<double>(cost.entry(i, j));
      if (c < kInfinity) violation = std::max(violation, (result.f[i] + result.g[j] - c) / (1.0 + std::abs(c)));
    }
  }
  CHECK(violation < tolerance, "a constraint is violated by %g", violation);
  CHECK(std::abs(result.value - result.dual_value) < tolerance * (1.0 + std::abs(result.value)), "gap %g",
        result.value - result.dual_value);
}

/// Scaling raises the dual value, whatever the weights, and leaves columns alone that no arc reaches.
void scaling_improves_potentials() {
  std::mt19937_64 random(4);
  constexpr Node n = 40, m = 50;
  for (int orders = 0; orders <= 55; orders += 11) {
    std::vector<Mass> a(n), b(m, 1);
    for (Mass& mass : a) mass = Mass{1} << (orders > 0 ? random() % orders : 0);
    const Mass total = std::accumulate(a.begin(), a.end(), Mass{0});
    b[0] = std::max<Mass>(1, total - (m - 1));
    std::vector<double> costs(n * m);
    ArcList arcs;
    for (Node i = 0; i < n; ++i) {
      for (Node j = 0; j < m; ++j) costs[i * m + j] = std::generate_canonical<double, 53>(random);
      costs[i * m + random() % (m - 1)] = 0.0;
      for (Node j = 0; j < m - 1; ++j) arcs.add(i, n + j, costs[i * m + j]);
    }
    // f is the transform of g, over the arcs that there are.
    const auto dual_value = [&](const std::vector<double>& g) {
      double value = 0.0;
      for (Node i = 0; i < n; ++i) {
        double f = kInfinity;
        for (Node j = 0; j < m - 1; ++j) f = std::min(f, costs[i * m + j] - g[j]);
        value += f * static_cast<double>(a[i]);
      }
      for (Node j = 0; j < m - 1; ++j) value += g[j] * static_cast<double>(b[j]);
      return value;
    };
    const std::vector<double> gain = scale_columns(arcs, a, b, 0.1);
    CHECK(gain.size() == m && gain.back() == 0.0);
    CHECK(std::all_of(gain.begin(), gain.end(), [](double g) { return std::isfinite(g); }));
    const double before = dual_value(std::vector<double>(m, 0.0)), after = dual_value(gain);
    CHECK(after > before, "2^%d: %g, then %g", orders, before, after);
  }
}

template <class T>
void certificates() {
  std::mt19937_64 random(3);
  const double tolerance = 1e-12;
  for (const Start start : {Start::automatic, Start::cold, Start::multilevel}) {
    for (const auto& [n, m] :
         {std::pair<Index, Index>{1, 1}, {1, 9}, {40, 1}, {3, 200}, {37, 41}, {150, 90}, {530, 500}}) {
      for (const bool whole : {false, true}) {
        const auto a = random_weights(random, n, whole), b = random_weights(random, m, whole);
        std::vector<T> entries(n * m);
        for (T& c : entries)
          c = static_cast<T>(whole ? static_cast<double>(random() % 6) : std::generate_canonical<double, 53>(random));
        check_certificate(DenseCost<T>(entries, n, m), a, b, start, tolerance);
        for (Index i = 0; i < n * m; i += 3) {
          if (i / m != 0 && i % m != 0)
            entries[i] = std::numeric_limits<T>::infinity();  // row 0 and column 0 stay open to all
        }
        std::vector<T> x(n * 2), y(m * 2);
        for (T& c : x) c = static_cast<T>(std::generate_canonical<double, 53>(random));
        for (T& c : y) c = static_cast<T>(std::generate_canonical<double, 53>(random));
        const PointCost<T> points({x.data(), n, 2, 2}, {y.data(), m, 2, 2}, Metric::sqeuclidean(0));
        check_certificate(points, a, b, start, std::is_same_v<T, float> ? 1e-6 : tolerance);
      }
    }
  }
}

void forbidden_pairs() {
  // Two rows that may only go to the same column: no plan. With room for both: one plan.
  const std::vector<double> entries{kInfinity, 1.0, 2.0, kInfinity, 1.0, kInfinity, 3.0, kInfinity, 5.0};
  SilentMonitor monitor;
  const std::vector<double> a{0.25, 0.25, 0.5}, full{0.5, 0.25, 0.25}, tight{0.3, 0.1, 0.6};
  for (const Start start : {Start::automatic, Start::cold, Start::multilevel}) {
    const DenseCost<double> cost(entries, 3, 3);
    CHECK(solve(cost, view(a), view(tight), {.start = start}, monitor).status == Status::infeasible);
    const Transport result = solve(cost, view(a), view(full), {.start = start}, monitor);
    CHECK(result.status == Status::optimal);
    CHECK(std::abs(result.value - (0.25 * 2.0 + 0.25 * 1.0 + 0.5 * 3.0)) < 1e-15, "value %g", result.value);
  }
}

}  // namespace

int main() {
  pivots_keep_the_tree();
  masses_are_whole();
  scaling_improves_potentials();
  certificates<double>();
  certificates<float>();
  forbidden_pairs();
  return otfast::test::report();
}
