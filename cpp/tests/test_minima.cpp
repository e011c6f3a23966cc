// Soft and hard minima over rows and columns of a cost, and the cost of a product measure, against their definitions.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/cost/dense.hpp"
#include "otfast/entropic/rounding.hpp"
#include "otfast/entropic/softmin.hpp"

namespace {

using namespace otfast;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::mt19937_64 generator(11);

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(generator); }

std::vector<double> random_vector(Index size, double low, double high) {
  std::vector<double> values(static_cast<std::size_t>(size));
  for (double& value : values) value = uniform(low, high);
  return values;
}

/// A matrix with some +inf, and with a row and a column of nothing else.
template <class T>
std::vector<T> random_costs(Index rows, Index cols) {
  std::vector<T> values(static_cast<std::size_t>(rows * cols));
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      const bool forbidden = i == rows - 1 || j == cols - 1 || uniform(0.0, 1.0) < 0.1;
      values[static_cast<std::size_t>(i * cols + j)] = static_cast<T>(forbidden ? kInfinity : uniform(-3.0, 3.0));
    }
  }
  return values;
}

bool is_close(double got, double expected, double tolerance) {
  return got == expected || std::abs(got - expected) <= tolerance;
}

/// -epsilon log sum exp, or the minimum for epsilon = 0, of the numbers c_k - h_k.
double softmin(const std::vector<double>& reduced, double epsilon) {
  const double least = *std::min_element(reduced.begin(), reduced.end());
  if (epsilon == 0.0 || least == kInfinity) return least;
  double sum = 0.0;
  for (const double number : reduced) sum += std::exp((least - number) / epsilon);
  return least - epsilon * std::log(sum);
}

template <class Real, class T>
void test_softmin(Index rows, Index cols, double epsilon) {
  const std::vector<T> costs = random_costs<T>(rows, cols);
  const DenseCost<T> cost(MatrixView<const T>{costs.data(), rows, cols, cols});
  std::vector<double> f = random_vector(rows, -2.0, 2.0), g = random_vector(cols, -2.0, 2.0);
  f[0] = g[0] = -kInfinity;  // points without weight
  SilentMonitor monitor;
  const std::vector<double> soft_f = entropic::softmin_of_rows<Real>(cost, view(g), epsilon, monitor);
  const std::vector<double> soft_g = entropic::softmin_of_columns<Real>(cost, view(f), epsilon, monitor);
  // Good guesses, bad ones and none lead to the same.
  for (const double off : {0.1, 1e3 * epsilon}) {
    std::vector<double> guess_f = soft_f, guess_g = soft_g;
    for (double& guess : guess_f) guess += off;
    for (double& guess : guess_g) guess += off;
    guess_g[1] -= off;
    const auto again_f = entropic::softmin_of_rows<Real>(cost, view(g), epsilon, monitor, view(guess_f));
    const auto again_g = entropic::softmin_of_columns<Real>(cost, view(f), epsilon, monitor, view(guess_g));
    const double close = 40.0 * std::numeric_limits<Real>::epsilon();
    for (Index i = 0; i < rows; ++i) CHECK(is_close(again_f[i], soft_f[i], close), "row %td with a guess", i);
    for (Index j = 0; j < cols; ++j) CHECK(is_close(again_g[j], soft_g[j], close), "column %td with a guess", j);
  }
  const std::vector<double> hard_f = entropic::c_transform_of_columns(cost, view(g), monitor);
  const std::vector<double> hard_g = entropic::c_transform_of_rows(cost, view(f), monitor);
  const double tolerance = 40.0 * std::numeric_limits<Real>::epsilon();
  for (Index i = 0; i < rows; ++i) {
    std::vector<double> reduced(g.size());
    for (Index j = 0; j < cols; ++j) reduced[j] = static_cast<double>(cost.entry(i, j)) - g[j];
    CHECK(is_close(soft_f[i], softmin(reduced, epsilon), tolerance), "row %td of %td x %td", i, rows, cols);
    CHECK(hard_f[i] == softmin(reduced, 0.0), "row %td of %td x %td", i, rows, cols);
  }
  for (Index j = 0; j < cols; ++j) {
    std::vector<double> reduced(f.size());
    for (Index i = 0; i < rows; ++i) reduced[i] = static_cast<double>(cost.entry(i, j)) - f[i];
    CHECK(is_close(soft_g[j], softmin(reduced, epsilon), tolerance), "column %td of %td x %td", j, rows, cols);
    CHECK(hard_g[j] == softmin(reduced, 0.0), "column %td of %td x %td", j, rows, cols);
  }
}

template <class T>
void test_product(Index rows, Index cols) {
  std::vector<T> costs = random_costs<T>(rows, cols);
  const DenseCost<T> cost(MatrixView<const T>{costs.data(), rows, cols, cols});
  SilentMonitor monitor;
  std::vector<double> r = random_vector(rows, 0.1, 1.0), c = random_vector(cols, 0.1, 1.0);
  CHECK(entropic::product_value(cost, view(r), view(c), monitor) == kInfinity);
  std::fill(r.begin(), r.end(), 0.0);
  CHECK(entropic::product_value(cost, view(r), view(c), monitor) == 0.0);
  // Weights that meet no forbidden pair.
  r[1] = 0.7;
  double expected = 0.0;
  for (Index j = 0; j < cols; ++j) {
    const auto entry = static_cast<double>(cost.entry(1, j));
    if (!std::isfinite(entry)) c[j] = 0.0;
    if (c[j] > 0.0) expected += 0.7 * entry * c[j];
  }
  CHECK(
      is_close(entropic::product_value(cost, view(r), view(c), monitor), expected, 1e-12 * static_cast<double>(cols)));
}

template <class T>
void test_all() {
  for (const auto& [rows, cols] : {std::pair<Index, Index>{2, 2}, {5, 37}, {64, 9}, {300, 1100}}) {
    for (const double epsilon : {1.0, 0.05}) test_softmin<T, T>(rows, cols, epsilon);
    test_softmin<double, T>(rows, cols, 0.01);
    test_product<T>(rows, cols);
  }
}

}  // namespace

int main() {
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    test_all<float>();
    test_all<double>();
  }
  return otfast::test::report();
}
