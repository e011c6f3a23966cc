// Cost matrices, stored or not, say the same thing in all their ways of saying it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "check.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/cost/dense.hpp"
#include "otfast/cost/points.hpp"
#include "otfast/cost/summary.hpp"

namespace {

using namespace otfast;

std::mt19937_64 generator(7);

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(generator); }

template <class T>
std::vector<T> random_matrix(Index rows, Index cols, double scale = 1.0) {
  std::vector<T> values(static_cast<std::size_t>(rows * cols));
  for (T& value : values) value = static_cast<T>(scale * uniform(-1.0, 1.0));
  return values;
}

template <class T>
MatrixView<const T> view(const std::vector<T>& values, Index rows, Index cols) {
  return {values.data(), rows, cols, cols};
}

std::vector<Node> random_nodes(Index count, Index bound) {
  std::vector<Node> nodes(static_cast<std::size_t>(count));
  for (Node& node : nodes) node = static_cast<Node>(generator() % static_cast<std::uint64_t>(bound));
  return nodes;
}

VectorView<const Node> view(const std::vector<Node>& nodes) { return {nodes.data(), static_cast<Index>(nodes.size())}; }

template <class T>
void check_same(const Cost<T>& part, const Cost<T>& whole, const std::vector<Node>& rows,
                const std::vector<Node>& cols) {
  CHECK(part.rows() == static_cast<Index>(rows.size()) && part.cols() == static_cast<Index>(cols.size()));
  std::vector<T> buffer(cols.size());
  for (Index i = 0; i < part.rows(); ++i) {
    const T* row = part.row(i, 0, part.cols(), buffer.data());
    for (Index j = 0; j < part.cols(); ++j) {
      CHECK(row[j] == whole.entry(rows[static_cast<std::size_t>(i)], cols[static_cast<std::size_t>(j)]));
    }
  }
}

/// Rows, stretches of rows, entries and restrictions have the same bits.
template <class T>
void test_consistency(const Cost<T>& cost) {
  std::vector<T> buffer(static_cast<std::size_t>(cost.cols()));
  std::vector<T> stretch(buffer.size());
  for (Index i = 0; i < cost.rows(); i += 3) {
    const T* row = cost.row(i, 0, cost.cols(), buffer.data());
    for (Index j = 0; j < cost.cols(); j += 5) CHECK(cost.entry(i, j) == row[j]);
    const Index begin = cost.cols() / 3;
    const Index end = cost.cols() - cost.cols() / 5;
    const T* inner = cost.row(i, begin, end, stretch.data());
    CHECK(std::equal(row + begin, row + end, inner));
  }
  const std::vector<Node> rows = random_nodes(9, cost.rows());
  const std::vector<Node> cols = random_nodes(300, cost.cols());
  const auto part = cost.restrict(view(rows), view(cols));
  check_same(*part, cost, rows, cols);

  // And once more: a restriction is a cost like any other.
  const std::vector<Node> inner_rows = random_nodes(4, 9);
  const std::vector<Node> inner_cols = random_nodes(5, 300);
  check_same(*part->restrict(view(inner_rows), view(inner_cols)), *part, inner_rows, inner_cols);

  for (const bool of_rows : {true, false}) {
    const auto features = cost.features(of_rows);
    const Index count = of_rows ? cost.rows() : cost.cols();
    CHECK(features.dim > 0 && features.values.size() == static_cast<std::size_t>(count * features.dim));
    CHECK(std::all_of(features.values.begin(), features.values.end(), [](float v) { return std::isfinite(v); }));
    CHECK(features.values == cost.features(of_rows).values);
  }
}

template <class T>
void test_dense() {
  const Index n = 40;
  const Index m = 333;
  std::vector<T> values = random_matrix<T>(n, m);
  for (std::size_t k = 0; k < values.size(); k += 7) values[k] = std::numeric_limits<T>::infinity();
  test_consistency(DenseCost<T>(view(values, n, m)));

  // Larger than what `restrict` copies: rows are gathered when they are asked for.
  const DenseCost<T> cost(view(values, n, m));
  const std::vector<Node> rows = random_nodes(1100, n);
  const std::vector<Node> cols = random_nodes(1000, m);
  const auto large = cost.restrict(view(rows), view(cols));
  std::vector<T> buffer(cols.size());
  for (Index i = 0; i < 1100; i += 37) {
    const T* row = large->row(i, 100, 1000, buffer.data());
    for (Index j = 100; j < 1000; ++j) {
      CHECK(row[j - 100] == cost.entry(rows[static_cast<std::size_t>(i)], cols[static_cast<std::size_t>(j)]));
    }
  }
  test_consistency(*large);
}

struct NamedMetric {
  const char* name;
  Metric metric;
  double (*direct)(const std::vector<double>& difference);
};

double norm(const std::vector<double>& difference, double p) {
  double sum = 0.0;
  for (const double d : difference) sum += std::pow(std::abs(d), p);
  return std::pow(sum, 1.0 / p);
}

double largest(const std::vector<double>& difference) {
  double max = 0.0;
  for (const double d : difference) max = std::max(max, std::abs(d));
  return max;
}

using Difference = const std::vector<double>&;

const NamedMetric kMetrics[] = {
    {"sqeuclidean", Metric::sqeuclidean(), [](Difference d) { return std::pow(norm(d, 2.0), 2.0); }},
    {"euclidean", Metric::euclidean(), [](Difference d) { return norm(d, 2.0); }},
    {"cityblock", Metric::cityblock(), [](Difference d) { return norm(d, 1.0); }},
    {"chebyshev", Metric::chebyshev(), [](Difference d) { return largest(d); }},
    {"power(2, 3)", Metric::power(2.0, 3.0), [](Difference d) { return std::pow(norm(d, 2.0), 3.0); }},
    {"power(2, .3)", Metric::power(2.0, 0.3), [](Difference d) { return std::pow(norm(d, 2.0), 0.3); }},
    {"power(1, 2)", Metric::power(1.0, 2.0), [](Difference d) { return std::pow(norm(d, 1.0), 2.0); }},
    {"power(inf, 2)", Metric::power(std::numeric_limits<double>::infinity(), 2.0),
     [](Difference d) { return std::pow(largest(d), 2.0); }},
    {"power(3, 3)", Metric::power(3.0, 3.0), [](Difference d) { return std::pow(norm(d, 3.0), 3.0); }},
    {"power(2.5, 1)", Metric::power(2.5, 1.0), [](Difference d) { return norm(d, 2.5); }},
    {"power(4, 2)", Metric::power(4.0, 2.0), [](Difference d) { return std::pow(norm(d, 4.0), 2.0); }},
};

template <class T>
void test_points() {
  const Index n = 20;
  for (const Index m : {5, 256, 257, 700}) {
    for (const Index dim : {1, 2, 3, 8, 40}) {
      const std::vector<T> x = random_matrix<T>(n, dim);
      const std::vector<T> y = random_matrix<T>(m, dim);
      for (const NamedMetric& named : kMetrics) {
        const PointCost<T> cost(view(x, n, dim), view(y, m, dim), named.metric);
        test_consistency(cost);
        std::vector<double> difference(static_cast<std::size_t>(dim));
        for (Index i = 0; i < n; ++i) {
          const Index j = (i * 97) % m;
          for (std::size_t k = 0; k < difference.size(); ++k) {
            difference[k] = static_cast<double>(x[static_cast<std::size_t>(i * dim) + k]) -
                            static_cast<double>(y[static_cast<std::size_t>(j * dim) + k]);
          }
          const double expected = named.direct(difference);
          const double error = std::abs(static_cast<double>(cost.entry(i, j)) - expected);
          CHECK(error <= 32.0 * static_cast<double>(std::numeric_limits<T>::epsilon()) * expected, "%s", named.name);
        }
      }
      test_consistency(PointCost<T>(view(x, n, dim), view(y, m, dim), Metric::sqeuclidean(1)));
      test_consistency(PointCost<T>(view(x, n, dim), view(y, m, dim), Metric::dot(1.0)));
    }
  }
}

/// Distances of any size that T can express, though their squares cannot be.
template <class T>
void test_range() {
  constexpr double kLog2Range = sizeof(T) == 4 ? 100.0 : 900.0;
  for (const double log2_size : {-kLog2Range, -50.0, 0.0, 50.0, kLog2Range}) {
    const T size = static_cast<T>(std::exp2(log2_size));
    const std::vector<T> x{T{3} * size, T{0}};
    const std::vector<T> y{T{0}, T{4} * size, T{3} * size, T{0}};
    const PointCost<T> cost(view(x, 1, 2), view(y, 2, 2), Metric::euclidean());
    CHECK(cost.entry(0, 0) == T{5} * size, "size 2^%g", log2_size);
    CHECK(cost.entry(0, 1) == T{0}, "size 2^%g", log2_size);
    const Node node = 0;
    CHECK(cost.restrict({&node, 1}, {&node, 1})->entry(0, 0) == T{5} * size, "size 2^%g", log2_size);
    const auto features = cost.features(false);
    CHECK(std::all_of(features.values.begin(), features.values.end(), [](float v) { return std::isfinite(v); }));
  }
}

/// No entry is below the bound of its block, and bounds are not idle: near blocks are told from far ones.
template <class T>
void test_bounds() {
  const Index n = 130;
  const Index m = 201;
  for (const double scale : {1e-25, 1.0, 1e25}) {
    for (const Index dim : {1, 2, 3, 8}) {
      for (const NamedMetric& named : kMetrics) {
        std::vector<T> x = random_matrix<T>(n, dim, scale);
        std::vector<T> y = random_matrix<T>(m, dim, scale);
        std::sort(x.begin(), x.end());  // in order along the diagonal, so that blocks are small
        std::sort(y.begin(), y.end());
        const PointCost<T> cost(view(x, n, dim), view(y, m, dim), named.metric);
        const auto bounds = cost.block_bounds(16, 8);
        CHECK(bounds != nullptr);
        if (bounds == nullptr) continue;
        for (Index i = 0; i < n; ++i) {
          for (Index j = 0; j < m; ++j) {
            CHECK(bounds->lower(i / 16, j / 8) <= static_cast<double>(cost.entry(i, j)), "%s dim=%d scale=%g",
                  named.name, static_cast<int>(dim), scale);
          }
        }
        const double far = static_cast<double>(cost.entry(0, m - 1));
        if (far > static_cast<double>(std::numeric_limits<T>::min()) * 1e6 && std::isfinite(far)) {
          CHECK(bounds->lower(0, (m - 1) / 8) > 0.3 * far, "%s dim=%d scale=%g", named.name, static_cast<int>(dim),
                scale);
        }

        // One point to a block: the bound is the cost, up to rounding.
        const auto points = cost.block_bounds(1, 1);
        for (Index i = 0; i < n; i += 7) {
          const double entry = static_cast<double>(cost.entry(i, i));
          CHECK(points->lower(i, i) <= entry, "%s", named.name);
        }
      }
    }
  }
  const std::vector<T> nine = random_matrix<T>(4, 9);
  CHECK(PointCost<T>(view(nine, 4, 9), view(nine, 4, 9), Metric::euclidean()).block_bounds(2, 2) == nullptr);
  CHECK(PointCost<T>(view(nine, 12, 3), view(nine, 12, 3), Metric::dot(0.0)).block_bounds(2, 2) == nullptr);
  CHECK(PointCost<T>(view(nine, 12, 3), view(nine, 12, 3), Metric::sqeuclidean(1)).block_bounds(2, 2) == nullptr);
}

template <class T>
void test_summary() {
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 300000}, {300, 1001}, {300000, 1}, {3, 4}}) {
    std::vector<T> values = random_matrix<T>(n, m);
    for (T& value : values) value = std::floor(value * T{1000});  // sums are exact
    values[1] = kInfinity;
    values[2] = T{5000};
    values[values.size() - 1] = T{-5000};
    double sum = 0.0;
    for (const T value : values) sum += value == kInfinity ? 0.0 : static_cast<double>(value);
    const auto summary = summarize(DenseCost<T>(view(values, n, m)));
    CHECK(summary.min == -5000.0 && summary.max == 5000.0 && summary.infinite == 1 && summary.first_bad == -1);
    CHECK(summary.mean == sum / static_cast<double>(n * m - 1));

    const std::size_t bad = values.size() - values.size() / 3;
    values[bad] = std::numeric_limits<T>::quiet_NaN();
    values[values.size() - 1] = -kInfinity;
    CHECK(summarize(DenseCost<T>(view(values, n, m))).first_bad == static_cast<Index>(bad));
  }

  const std::vector<T> x = random_matrix<T>(900, 3);
  const PointCost<T> cost(view(x, 900, 3), view(x, 900, 3), Metric::euclidean());
  set_num_threads(1);
  const CostSummary alone = summarize(cost);
  set_num_threads(5);
  const CostSummary together = summarize(cost);
  CHECK(alone.min == 0.0 && alone.min == together.min && alone.max == together.max && alone.mean == together.mean);

  const CostSummary empty = summarize(DenseCost<T>(MatrixView<const T>{x.data(), 0, 4, 4}));
  CHECK(empty.infinite == 0 && empty.first_bad == -1 && std::isnan(empty.mean));
}

template <class T>
void test_all() {
  test_dense<T>();
  test_points<T>();
  test_range<T>();
  test_bounds<T>();
  test_summary<T>();
}

}  // namespace

int main() {
  test_all<float>();
  test_all<double>();
  return otfast::test::report();
}
