// Eliminations and iterations on tensors against sums over all tuples.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/multimarginal/contraction.hpp"
#include "otfast/multimarginal/tensor.hpp"

namespace {

using namespace otfast;
using multimarginal::Table;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::mt19937_64 generator(20261126);

double uniform() { return std::uniform_real_distribution<double>(-1.0, 1.0)(generator); }

/// Entries of a table of this shape, some of them forbidden, and all for the first of its tuples.
std::vector<double> random_entries(const std::vector<Index>& shape, Index size, bool forbid) {
  Index count = size;
  for (const Index axis : shape) count *= axis;
  std::vector<double> entries(static_cast<std::size_t>(count));
  for (double& entry : entries) entry = forbid && uniform() > 0.9 ? kInfinity : uniform();
  if (forbid) {
    for (Index x = 0; x < size; ++x) entries[static_cast<std::size_t>(x)] = kInfinity;
  }
  return entries;
}

/// Tables whose axes are those of `shape` or 1, as `has` says.
void test_sum(const std::vector<Index>& shape, Index size, const std::vector<std::vector<bool>>& has, double epsilon,
              bool forbid) {
  std::vector<std::vector<double>> entries;
  std::vector<Table> tables;
  for (const std::vector<bool>& axes : has) {
    std::vector<Index> own;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) own.push_back(axes[axis] ? shape[axis] : 1);
    entries.push_back(random_entries(own, size, forbid && entries.empty()));
    tables.push_back({nullptr, own});
  }
  for (std::size_t t = 0; t < tables.size(); ++t) tables[t].data = entries[t].data();
  SilentMonitor monitor;
  const std::vector<double> out = multimarginal::sum_out(tables, shape, size, epsilon, monitor);
  for (std::size_t flat = 0; flat < out.size(); ++flat) {
    std::vector<double> costs(static_cast<std::size_t>(size), 0.0);
    for (const Table& table : tables) {
      Index offset = 0, stride = 1, rest = static_cast<Index>(flat);
      for (std::size_t axis = shape.size(); axis-- > 0;) {
        if (table.shape[axis] > 1) offset += rest % shape[axis] * stride;
        stride *= table.shape[axis];
        rest /= shape[axis];
      }
      for (Index x = 0; x < size; ++x) costs[static_cast<std::size_t>(x)] += table.data[offset * size + x];
    }
    double least = kInfinity, sum = 0.0;
    for (const double cost : costs) least = std::min(least, cost);
    for (const double cost : costs) sum += std::exp((least - cost) / epsilon);
    const double expected = least < kInfinity ? least - epsilon * std::log(sum) : kInfinity;
    CHECK(out[flat] == expected || std::abs(out[flat] - expected) < 1e-12 * (1.0 + epsilon),
          "entry %zu: %g, not %g (epsilon %g)", flat, out[flat], expected, epsilon);
  }
}

/// The density of the marginal of axis k of weights * exp((potentials - C) / epsilon) against its weights.
std::vector<double> density(const std::vector<Index>& shape, const std::vector<double>& tensor,
                            const std::vector<std::vector<double>>& weights,
                            const std::vector<std::vector<double>>& potentials, double epsilon, std::size_t k) {
  std::vector<double> sums(weights[k].size(), 0.0);
  for (std::size_t flat = 0; flat < tensor.size(); ++flat) {
    double exponent = -tensor[flat] / epsilon, weight = 1.0;
    std::size_t rest = flat, own = 0;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      const std::size_t i = rest % static_cast<std::size_t>(shape[axis]);
      rest /= static_cast<std::size_t>(shape[axis]);
      exponent += potentials[axis][i] / epsilon;
      if (axis == k) {
        own = i;
      } else {
        weight *= weights[axis][i];
      }
    }
    sums[own] += weight * std::exp(exponent);
  }
  return sums;
}

/// One tour against updates one by one.
template <class Real, class T>
void test_tour(const std::vector<Index>& shape, double epsilon, double tolerance) {
  std::vector<std::vector<double>> weights, potentials;
  Index count = 1;
  for (const Index size : shape) {
    count *= size;
    std::vector<double>& a = weights.emplace_back();
    std::vector<double>& f = potentials.emplace_back();
    double total = 0.0;
    for (Index i = 0; i < size; ++i) {
      a.push_back(1.5 + uniform());
      f.push_back(0.2 * uniform());
      total += a.back();
    }
    for (double& weight : a) weight /= total;
  }
  std::vector<T> entries(static_cast<std::size_t>(count));
  for (T& entry : entries) entry = static_cast<T>(uniform());
  const std::vector<double> tensor(entries.begin(), entries.end());
  std::vector<multimarginal::Axis> axes;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    axes.push_back({{weights[k].data(), shape[k]}, {potentials[k].data(), shape[k]}, kInfinity});
  }
  SilentMonitor monitor;
  const multimarginal::Tour found = multimarginal::tour<Real>(entries.data(), axes, epsilon, true, 1, nullptr, monitor);
  CHECK(found.trusted, "refused at epsilon %g", epsilon);
  if (!found.trusted) return;
  std::vector<std::vector<double>> moved = potentials;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    const std::vector<double> of_axis = density(shape, tensor, weights, moved, epsilon, k);
    for (std::size_t i = 0; i < of_axis.size(); ++i) {
      moved[k][i] -= epsilon * std::log(of_axis[i]);
      CHECK(std::abs(found.potentials[k][i] - moved[k][i]) < tolerance, "potential %zu, %zu: %g, not %g", k, i,
            found.potentials[k][i], moved[k][i]);
    }
  }
}

}  // namespace

int main() {
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    for (const std::vector<Index>& shape : {std::vector<Index>{5, 6}, {3, 4, 5}, {9, 70, 80}, {2, 3, 2, 5, 1, 4}}) {
      test_tour<double, double>(shape, 0.3, 1e-12);
      test_tour<double, float>(shape, 0.3, 1e-12);
      test_tour<float, float>(shape, 0.3, 3e-6);
    }
  }
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    // At the lowest temperature products of exponentials leave the range of doubles.
    for (const double epsilon : {1.0, 0.01, 1e-4}) {
      for (const bool forbid : {false, true}) {
        test_sum({}, 5, {{}}, epsilon, forbid);
        test_sum({7}, 5, {{true}, {false}}, epsilon, forbid);
        test_sum({9, 10}, 33, {{true, false}, {false, true}, {false, false}}, epsilon, forbid);
        test_sum({17, 70}, 21, {{true, false}, {false, true}}, epsilon, forbid);
        test_sum({9, 10}, 11, {{true, true}, {false, true}}, epsilon, forbid);
        test_sum({3, 9, 8}, 12, {{true, true, false}, {true, false, true}, {false, false, true}}, epsilon, forbid);
        test_sum({2, 3, 4}, 5, {{true, true, false}, {false, true, true}, {true, false, true}}, epsilon, forbid);
      }
    }
  }
  return otfast::test::report();
}
