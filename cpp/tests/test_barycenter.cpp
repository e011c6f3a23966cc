// The passes of the interior-point method against their definitions.
#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include "check.hpp"
#include "otfast/barycenter/barrier.hpp"
#include "otfast/core/threads.hpp"

namespace {

using namespace otfast;
using namespace otfast::barycenter;

std::mt19937_64 generator(7);

std::vector<double> random_vector(Index size, double low, double high) {
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<double> values(static_cast<std::size_t>(size));
  for (double& value : values) value = uniform(generator);
  return values;
}

bool near(double x, double y) { return std::abs(x - y) <= 1e-10 * (1.0 + std::abs(y)); }

struct Instance {
  Index n, m;
  std::vector<double> plan, slack, f, g, full_f, full_g;

  Instance(Index rows, Index cols)
      : n(rows),
        m(cols),
        plan(random_vector(n * m, 0.1, 1.0)),
        slack(random_vector(n * m, 0.1, 1.0)),
        f(random_vector(n, -0.1, 0.1)),
        g(random_vector(m, -0.1, 0.1)),
        full_f(random_vector(n, -0.1, 0.1)),
        full_g(random_vector(m, -0.1, 0.1)) {}

  PrimalDual pairs() { return {{plan.data(), n, m, m}, {slack.data(), n, m, m}}; }
  Correction correction() const { return {{view(f), view(g)}, {view(full_f), view(full_g)}, 0.05}; }

  double x(Index i, Index j) const { return plan[static_cast<std::size_t>(i * m + j)]; }
  double s(Index i, Index j) const { return slack[static_cast<std::size_t>(i * m + j)]; }
  double t(Index i, Index j) const {
    return (f[static_cast<std::size_t>(i)] + g[static_cast<std::size_t>(j)]) / s(i, j);
  }
  double u(Index i, Index j) const {
    return (full_f[static_cast<std::size_t>(i)] + full_g[static_cast<std::size_t>(j)]) / s(i, j);
  }
  double change(Index i, Index j) const {
    return 0.05 / s(i, j) + x(i, j) * (t(i, j) * (t(i, j) - 1.0) - 1.0 + u(i, j));
  }

  template <class Term>
  double sum(const Term& term) const {
    double total = 0.0;
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < m; ++j) total += term(i, j);
    }
    return total;
  }
};

void test_scaling(Index n, Index m) {
  Instance instance(n, m);
  std::vector<double> out(instance.plan.size());
  const Scaling sums = scale_pairs(instance.pairs(), {out.data(), n, m, m});
  CHECK(near(sums.complementarity, instance.sum([&](Index i, Index j) { return instance.x(i, j) * instance.s(i, j); })),
        "%d x %d", static_cast<int>(n), static_cast<int>(m));
  for (Index i = 0; i < n; ++i) {
    double row = 0.0, mass = 0.0;
    for (Index j = 0; j < m; ++j) {
      row += instance.x(i, j) / instance.s(i, j);
      mass += instance.x(i, j);
    }
    CHECK(near(sums.rows[static_cast<std::size_t>(i)], row));
    CHECK(near(sums.plan_rows[static_cast<std::size_t>(i)], mass));
    CHECK(near(out[static_cast<std::size_t>(i * m)], instance.x(i, 0) / instance.s(i, 0) / std::sqrt(row)));
  }
  for (Index j = 0; j < m; ++j) {
    double col = 0.0, mass = 0.0;
    for (Index i = 0; i < n; ++i) {
      col += instance.x(i, j) / instance.s(i, j);
      mass += instance.x(i, j);
    }
    CHECK(near(sums.cols[static_cast<std::size_t>(j)], col));
    CHECK(near(sums.plan_cols[static_cast<std::size_t>(j)], mass));
  }
}

void test_prediction(Index n, Index m) {
  Instance instance(n, m);
  const Prediction found = predict(instance.pairs(), {view(instance.f), view(instance.g)});
  const auto t = [&](Index i, Index j) { return instance.t(i, j); };
  const auto product = [&](Index i, Index j) { return instance.x(i, j) * instance.s(i, j); };
  CHECK(near(found.linear, instance.sum([&](Index i, Index j) { return product(i, j) * t(i, j); })));
  CHECK(near(found.quadratic, instance.sum([&](Index i, Index j) { return product(i, j) * t(i, j) * t(i, j); })));
  double least = 1e300, most = -1e300;
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < m; ++j) {
      least = std::min(least, t(i, j));
      most = std::max(most, t(i, j));
    }
  }
  CHECK(near(found.least, least) && near(found.most, most));
  for (Index j = 0; j < m; ++j) {
    double inverse = 0.0, second = 0.0;
    for (Index i = 0; i < n; ++i) {
      inverse += 1.0 / instance.s(i, j);
      second += instance.x(i, j) * t(i, j) * (t(i, j) - 1.0);
    }
    CHECK(near(found.inverse_cols[static_cast<std::size_t>(j)], inverse));
    CHECK(near(found.second_cols[static_cast<std::size_t>(j)], second));
  }
}

void test_step(Index n, Index m) {
  Instance instance(n, m);
  const Instance before = instance;
  const Extremes extremes = find_extremes(instance.pairs(), instance.correction());
  double plan = 1e300, slack = -1e300;
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < m; ++j) {
      plan = std::min(plan, before.change(i, j) / before.x(i, j));
      slack = std::max(slack, before.u(i, j));
    }
  }
  CHECK(near(extremes.plan, plan) && near(extremes.slack, slack));
  take_step(instance.pairs(), instance.correction(), 0.25, 0.5);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < m; ++j) {
      CHECK(near(instance.x(i, j), before.x(i, j) + 0.25 * before.change(i, j)));
      CHECK(near(instance.s(i, j), before.s(i, j) * (1.0 - 0.5 * before.u(i, j))));
    }
  }
}

void test_threads() {
  Instance instance(500, 400);
  std::vector<double> out(instance.plan.size());
  const MatrixView<double> scaled{out.data(), instance.n, instance.m, instance.m};
  set_num_threads(1);
  const Scaling one = scale_pairs(instance.pairs(), scaled);
  set_num_threads(3);
  const Scaling three = scale_pairs(instance.pairs(), scaled);
  CHECK(one.cols == three.cols && one.rows == three.rows && one.complementarity == three.complementarity);
}

}  // namespace

int main() {
  for (const auto& [n, m] : {std::pair<Index, Index>{1, 1}, {3, 17}, {40, 5}, {400, 300}}) {
    test_scaling(n, m);
    test_prediction(n, m);
    test_step(n, m);
  }
  test_threads();
  return test::report();
}
