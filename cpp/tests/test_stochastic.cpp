// Incremental ascent on the semi-dual reaches the value that Sinkhorn's iterations reach.
#include <cmath>
#include <random>
#include <vector>

#include "check.hpp"
#include "otfast/cost/dense.hpp"
#include "otfast/entropic/sinkhorn.hpp"
#include "otfast/entropic/stochastic.hpp"

namespace {

using namespace otfast;
using namespace otfast::entropic;

std::mt19937_64 generator(11);

double uniform() { return std::uniform_real_distribution<double>(0.0, 1.0)(generator); }

/// Weights of total 1, the first of them 0.
std::vector<double> random_weights(Index n) {
  std::vector<double> weights(static_cast<std::size_t>(n), 0.0);
  double total = 0.0;
  for (std::size_t i = 1; i < weights.size(); ++i) total += weights[i] = 0.1 + uniform();
  for (double& weight : weights) weight /= total;
  return weights;
}

template <class T>
DenseCost<T> random_cost(Index n, Index m) {
  std::vector<T> entries(static_cast<std::size_t>(n * m));
  for (T& entry : entries) entry = static_cast<T>(uniform());
  return DenseCost<T>(std::move(entries), n, m);
}

std::vector<Index> draw(Index n, Index count) {
  std::vector<Index> rows(static_cast<std::size_t>(count));
  for (Index& row : rows) row = 1 + static_cast<Index>(generator() % static_cast<std::uint64_t>(n - 1));
  return rows;
}

/// Uniform weights, but for the first row and column, which have none.
template <class T>
void test_ascent(Increment method, Index batch, Index count, double tolerance) {
  const Index n = 30, m = 20;
  const double epsilon = 0.2;
  const DenseCost<T> cost = random_cost<T>(n, m);
  std::vector<double> a(static_cast<std::size_t>(n), 1.0 / static_cast<double>(n - 1));
  a[0] = 0.0;
  const std::vector<double> b = random_weights(m);
  SilentMonitor monitor;
  AscentOptions options{.method = method, .epsilon = epsilon, .batch = batch};
  options.step = method == Increment::sag ? 2.0 * epsilon : 1.0;
  if (method == Increment::sag) options.a = view(a);
  Ascent<T> ascent(view(b), options);
  CHECK(ascent.run(cost, view(draw(n, count * batch)), monitor));
  CHECK(ascent.iterations() == count);

  const std::vector<double> g = ascent.potentials();
  CHECK(g[0] == 0.0);
  Options once{.epsilon = epsilon, .tolerance = 0.0, .max_iterations = 1};
  once.g = view(g);
  const Potentials reached = solve<T>(cost, view(a), view(b), once, monitor);
  const Potentials best = solve<T>(cost, view(a), view(b), {.epsilon = epsilon, .tolerance = 1e-5}, monitor);
  CHECK(reached.error < tolerance, "error %g", reached.error);
  CHECK(std::abs(reached.value - best.value) < tolerance * tolerance + 1e-6);
  if (method == Increment::sag) CHECK(ascent.error() < tolerance, "error %g", ascent.error());
}

}  // namespace

int main() {
  for (const Index batch : {1, 5}) {
    test_ascent<double>(Increment::sag, batch, 20'000, 1e-6);
    test_ascent<float>(Increment::sag, batch, 20'000, 1e-4);
    test_ascent<double>(Increment::asgd, batch, 20'000, 0.05);
    test_ascent<float>(Increment::asgd, batch, 20'000, 0.05);
  }
  return otfast::test::report();
}
