// The kernels of entropic transport against plain loops, and the solver against the conditions of optimality.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "isa/kernels.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/cost/dense.hpp"
#include "otfast/entropic/grid.hpp"
#include "otfast/entropic/plan.hpp"
#include "otfast/entropic/sinkhorn.hpp"

namespace {

using otfast::Index;
using otfast::Node;
using otfast::VectorView;
using otfast::view;
using otfast::isa::Isa;
using otfast::isa::Kernels;
namespace entropic = otfast::entropic;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Index kSizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 127, 257, 1000};

std::mt19937_64 generator(20261124);

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(generator); }

template <class T>
std::vector<T> random_vector(Index n, double low, double high) {
  std::vector<T> values(static_cast<std::size_t>(n));
  for (T& value : values) value = static_cast<T>(uniform(low, high));
  return values;
}

template <class T>
void test_exponentials(const Kernels<T>& kernels, const char* isa) {
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  const double lowest = std::numeric_limits<T>::min_exponent;
  for (const Index n : kSizes) {
    std::vector<T> c = random_vector<T>(n, -20.0, 200.0), v = random_vector<T>(n, -30.0, 30.0);
    if (n > 0) c[0] = static_cast<T>(kInfinity);
    if (n > 1) v[1] = static_cast<T>(-kInfinity);
    const T scale{2}, shift{5};
    std::vector<T> e(c.size(), T{-1});
    const T sum = kernels.exponentials(c.data(), scale, v.data(), shift, n, e.data());
    double expected_sum = 0.0, top = -kInfinity;
    for (std::size_t j = 0; j < c.size(); ++j) {
      const double exponent = static_cast<double>(v[j]) + 5.0 - 2.0 * static_cast<double>(c[j]);
      top = std::max(top, exponent - 5.0);
      const double expected = exponent < lowest ? 0.0 : std::exp2(exponent);
      expected_sum += expected;
      const double size = std::abs(static_cast<double>(v[j])) + 5.0 + 2.0 * std::abs(static_cast<double>(c[j]));
      const double allowed = expected > 0.0 ? (8.0 + 2.0 * size) * eps * expected : 0.0;
      CHECK(std::abs(static_cast<double>(e[j]) - expected) <= allowed, "%s 2^%g: %g", isa, exponent,
            static_cast<double>(e[j]));
    }
    CHECK(std::abs(static_cast<double>(sum) - expected_sum) <= 1000.0 * eps * expected_sum, "%s", isa);
    const auto found = static_cast<double>(kernels.max_exponent(c.data(), scale, v.data(), n));
    CHECK(found == top || std::abs(found - top) <= 4.0 * eps * 430.0, "%s: %g, not %g", isa, found, top);
    // Costs that both precisions hold give the same bits.
    using Other = typename otfast::isa::OtherPrecision<T>::type;
    std::vector<Other> other(c.size());
    std::vector<T> c_both(c.size()), e_same(c.size()), e_other(c.size());
    for (std::size_t j = 0; j < c.size(); ++j) {
      other[j] = static_cast<Other>(static_cast<float>(c[j]));
      c_both[j] = static_cast<T>(other[j]);
    }
    kernels.exponentials(c_both.data(), scale, v.data(), shift, n, e_same.data());
    kernels.exponentials_of_other(other.data(), scale, v.data(), shift, n, e_other.data());
    CHECK(e_same == e_other, "%s n=%d", isa, static_cast<int>(n));
    std::vector<T> sums(c.size(), T{3}), sums_other(sums), expected_sums(sums);
    for (std::size_t j = 0; j < c.size(); ++j) expected_sums[j] += e_same[j];
    kernels.add_exponentials(c_both.data(), scale, v.data(), shift, n, sums.data());
    kernels.add_exponentials_of_other(other.data(), scale, v.data(), shift, n, sums_other.data());
    CHECK(sums == expected_sums && sums == sums_other, "%s n=%d", isa, static_cast<int>(n));
    std::vector<T> raised(c.size(), T{-50});
    kernels.raise_columns(c.data(), scale, shift, n, raised.data());
    for (std::size_t j = 0; j < c.size(); ++j) {
      const double expected = std::max(-50.0, 5.0 - 2.0 * static_cast<double>(c[j]));
      CHECK(std::abs(static_cast<double>(raised[j]) - expected) <= 4.0 * eps * 400.0, "%s", isa);
    }
  }
}

template <class T>
void test_products(const Kernels<T>& kernels, const char* isa) {
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const Index n : kSizes) {
    for (const Index count : {Index{1}, Index{4}, Index{7}}) {
      const Index stride = n + 3;
      const std::vector<T> rows = random_vector<T>(stride * count, 0.0, 1.0);
      const std::vector<T> v = random_vector<T>(n, -1.0, 1.0), weights = random_vector<T>(count, -1.0, 1.0);
      std::vector<T> dots(static_cast<std::size_t>(count)), sums(static_cast<std::size_t>(n), T{1});
      kernels.dot_rows(rows.data(), stride, v.data(), count, n, dots.data());
      kernels.add_rows(rows.data(), stride, weights.data(), count, n, sums.data());
      for (Index r = 0; r < count; ++r) {
        double expected = 0.0;
        for (Index j = 0; j < n; ++j) expected += static_cast<double>(rows[r * stride + j]) * static_cast<double>(v[j]);
        CHECK(std::abs(static_cast<double>(dots[r]) - expected) <= 64.0 * eps * (1.0 + std::sqrt(n)), "%s", isa);
      }
      for (Index j = 0; j < n; ++j) {
        double expected = 1.0;
        for (Index r = 0; r < count; ++r) {
          expected += static_cast<double>(weights[r]) * static_cast<double>(rows[r * stride + j]);
        }
        CHECK(std::abs(static_cast<double>(sums[j]) - expected) <= 16.0 * eps * 8.0, "%s", isa);
      }
    }
  }
}

/// Packed rows are the rows up to 2^-8, zeros behind them.
template <class T>
void test_packed(const Kernels<T>& kernels, const Kernels<float>& single, const char* isa) {
  using otfast::isa::kPackedRow;
  for (const Index n : kSizes) {
    const Index stride = (n + kPackedRow - 1) / kPackedRow * kPackedRow;
    const Index count = 5;
    const std::vector<T> rows = random_vector<T>(n * count, 0.0, 1.0);
    std::vector<otfast::isa::Packed> packed(static_cast<std::size_t>(stride * count));
    for (Index r = 0; r < count; ++r) kernels.pack(rows.data() + r * n, n, packed.data() + r * stride);
    std::vector<float> v(static_cast<std::size_t>(stride), 1.0F), sums(static_cast<std::size_t>(stride), 0.0F);
    const std::vector<float> weights(static_cast<std::size_t>(count), 1.0F);
    std::vector<float> dots(static_cast<std::size_t>(count));
    single.dot_packed_rows(packed.data(), stride, v.data(), count, n, dots.data());
    single.add_packed_rows(packed.data(), stride, weights.data(), count, n, sums.data());
    for (Index r = 0; r < count; ++r) {
      double expected = 0.0;
      for (Index j = 0; j < n; ++j) expected += static_cast<double>(rows[r * n + j]);
      CHECK(std::abs(static_cast<double>(dots[r]) - expected) <= expected / 256.0, "%s", isa);
    }
    for (Index j = 0; j < stride; ++j) {
      double expected = 0.0;
      for (Index r = 0; r < count && j < n; ++r) expected += static_cast<double>(rows[r * n + j]);
      CHECK(std::abs(static_cast<double>(sums[j]) - expected) <= expected / 256.0, "%s", isa);
    }
  }
}

template <class T>
void test_sparse(const Kernels<T>& kernels, const char* isa) {
  for (const Index n : kSizes) {
    const std::vector<T> e = random_vector<T>(n, 0.0, 1.0);
    const std::vector<double> x = random_vector<double>(n, -1.0, 1.0);
    const std::vector<float> weights = random_vector<float>(n, 0.0, 1.0);
    for (const double threshold : {0.0, 0.5, 0.9, 2.0}) {
      std::vector<Node> expected;
      double dot = 0.0, size = 0.0;
      std::vector<double> sums(static_cast<std::size_t>(n));
      for (Index j = 0; j < n; ++j) {
        const auto entry = static_cast<float>(e[j]);
        if (!(entry > std::min(static_cast<float>(threshold), 2.0F * weights[j]))) continue;
        expected.push_back(static_cast<Node>(j));
        const auto value = static_cast<double>(entry);
        dot += value * x[j];
        size += value;
        sums[j] = 0.5 * value;
      }
      const auto room = static_cast<std::size_t>(n + otfast::isa::kSparseRoom);
      std::vector<Node> cols(room);
      std::vector<float> values(room);
      const Index count = kernels.keep_above(e.data(), static_cast<float>(threshold), 2.0F, weights.data(), n,
                                             cols.data(), values.data());
      CHECK(std::vector<Node>(cols.begin(), cols.begin() + count) == expected, "%s", isa);
      CHECK(std::abs(kernels.dot_sparse(cols.data(), values.data(), count, x.data()) - dot) <= 1e-14 * size, "%s", isa);
      std::vector<double> added(static_cast<std::size_t>(n));
      kernels.add_sparse(cols.data(), values.data(), count, 0.5, added.data());
      CHECK(added == sums, "%s", isa);
    }
  }
}

template <class T>
void test_isa(Isa isa, const char* name) {
  const Kernels<T>* kernels = otfast::isa::kernels_of<T>(isa);
  if (kernels == nullptr) return;
  test_exponentials(*kernels, name);
  test_products(*kernels, name);
  test_packed(*kernels, *otfast::isa::kernels_of<float>(isa), name);
  test_sparse(*kernels, name);
}

/// Weights of total 1 with a zero among them.
std::vector<double> random_weights(Index n) {
  std::vector<double> weights = random_vector<double>(n, 0.1, 1.0);
  if (n > 2) weights[1] = 0.0;
  double total = 0.0;
  for (const double weight : weights) total += weight;
  for (double& weight : weights) weight /= total;
  return weights;
}

template <class Solve, class Cost>
void check_solution(const Solve& solve, const Cost& cost, const std::vector<double>& a, const std::vector<double>& b,
                    double epsilon) {
  const entropic::Potentials found = solve();
  CHECK(found.status == otfast::Status::optimal, "epsilon=%g", epsilon);
  double violation = 0.0;
  std::vector<double> column(b.size(), 0.0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    double row = 0.0;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const double exponent = (found.f[i] + found.g[j] - cost(i, j)) / epsilon;
      const double mass = a[i] * b[j] > 0.0 ? a[i] * b[j] * std::exp(exponent) : 0.0;
      row += mass;
      column[j] += mass;
    }
    violation += std::abs(row - a[i]);
  }
  for (std::size_t j = 0; j < b.size(); ++j) violation += std::abs(column[j] - b[j]);
  CHECK(violation < 2e-6, "epsilon=%g: %g", epsilon, violation);
}

void test_solver() {
  otfast::SilentMonitor monitor;
  const Index n = 40, m = 30;
  const std::vector<double> costs = random_vector<double>(n * m, 0.0, 1.0);
  const otfast::DenseCost<double> cost({costs.data(), n, m, m});
  const std::vector<double> a = random_weights(n), b = random_weights(m);
  for (const double epsilon : {1.0, 0.1, 1e-2, 1e-3}) {
    for (const auto method : {entropic::Method::automatic, entropic::Method::newton}) {
      for (const bool may_store : {true, false}) {
        entropic::Options options;
        options.epsilon = epsilon;
        options.method = method;
        options.may_store = may_store;
        options.range = 1.0;
        check_solution([&] { return entropic::solve<double>(cost, view(a), view(b), options, monitor); },
                       [&](std::size_t i, std::size_t j) { return costs[i * static_cast<std::size_t>(m) + j]; }, a, b,
                       epsilon);
      }
    }
  }
}

void test_grid() {
  otfast::SilentMonitor monitor;
  const Index sizes[] = {4, 3, 5};
  std::vector<std::vector<double>> axes;
  entropic::AxisCosts costs;
  for (const Index size : sizes) {
    std::vector<double> axis(static_cast<std::size_t>(size * size));
    for (Index i = 0; i < size; ++i) {
      for (Index j = 0; j < size; ++j) axis[i * size + j] = 0.1 * static_cast<double>((i - j) * (i - j));
    }
    axes.push_back(axis);
  }
  for (std::size_t k = 0; k < axes.size(); ++k) costs.push_back({axes[k].data(), sizes[k], sizes[k], sizes[k]});
  const Index n = 4 * 3 * 5;
  const std::vector<double> a = random_weights(n), b = random_weights(n);
  const auto cost = [&](std::size_t i, std::size_t j) {
    double total = 0.0;
    for (std::size_t k = axes.size(); k-- > 0;) {
      const auto size = static_cast<std::size_t>(sizes[k]);
      total += axes[k][i % size * size + j % size];
      i /= size;
      j /= size;
    }
    return total;
  };
  for (const double epsilon : {1.0, 0.1, 1e-2, 1e-3}) {  // the last in the log domain
    entropic::Options options;
    options.epsilon = epsilon;
    options.range = 3.0;
    check_solution([&] { return entropic::solve_on_grid(costs, view(a), view(b), options, monitor); }, cost, a, b,
                   epsilon);
  }
}

/// The mode of the thread is what it was, and off while the guard lives.
void test_denormals() {
  volatile double tiny = 5e-324;
  {
    const otfast::FlushDenormals flush_denormals;
#if defined(__SSE2__) || defined(__aarch64__)
    CHECK(tiny * 1.0 == 0.0);
#endif
  }
  CHECK(tiny * 1.0 > 0.0);
}

}  // namespace

int main() {
  test_isa<float>(Isa::base, "base float");
  test_isa<double>(Isa::base, "base double");
  test_isa<float>(Isa::v3, "v3 float");
  test_isa<double>(Isa::v3, "v3 double");
  test_isa<float>(Isa::v4, "v4 float");
  test_isa<double>(Isa::v4, "v4 double");
  test_solver();
  test_grid();
  test_denormals();
  return otfast::test::report();
}
