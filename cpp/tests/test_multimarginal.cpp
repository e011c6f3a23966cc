// Eliminations against sums over all tuples.
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/multimarginal/contraction.hpp"

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

}  // namespace

int main() {
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
