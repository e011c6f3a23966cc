#include "grid_pairs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "otfast/math/base2.hpp"
#include "solver.hpp"
#include "start.hpp"

namespace otfast::entropic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// The largest exponent, in base 2, for which no sum that matters leaves the range of doubles.
constexpr double kLinearRange = 800.0;

std::vector<double> product(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<double> result(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) result[i] = x[i] * y[i];
  return result;
}

}  // namespace

/// Scalings of the kernel of the last sweep.
class GridKernel final : public ScalingKernel {
 public:
  explicit GridKernel(const GridPairs& pairs) : pairs_(pairs) {}

  std::vector<double> scale_rows(const std::vector<double>& y, Pulse& pulse) const override {
    std::vector<double> rows = pairs_.to_rows_.multiply(product(pairs_.of_columns_, y), pulse);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i] = rows[i] > 0.0 ? pairs_.a_[static_cast<Index>(i)] / rows[i] : 0.0;
    }
    return product(pairs_.of_columns_, pairs_.to_cols_.multiply(rows, pulse));
  }

  PlanSink* sink() override { return nullptr; }
  double rounding() const override { return 1e-13; }

 private:
  const GridPairs& pairs_;
};

/// The plan of the last sweep: the pairs have all that products need.
class GridPlan final : public KeptPlan {
 public:
  explicit GridPlan(const GridPairs& pairs) : pairs_(pairs) {}

  void clear(const Chunks&) override {}
  void put(Index, const RowGroup<float>&) override {}
  void put(Index, const RowGroup<double>&) override {}

  void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const override {
    if (pairs_.is_linear_) {
      std::vector<double> rows = pairs_.to_rows_.multiply(product(pairs_.of_columns_, x), pulse);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        rows[i] *= pairs_.mass_[i] * pairs_.of_rows_[i] * pairs_.of_rows_[i];
      }
      out = product(pairs_.of_columns_, pairs_.to_cols_.multiply(rows, pulse));
    } else {
      out = product(pairs_.column_, pairs_.to_cols_.average(pairs_.to_rows_.average(x, false, pulse), false, pulse));
    }
  }

  void diagonal(std::vector<double>& out) const override { out.assign(pairs_.column_.size(), 0.0); }

 private:
  const GridPairs& pairs_;
};

GridPairs::GridPairs(const AxisCosts& axes, VectorView<const double> a, VectorView<const double> b,
                     const Options& options)
    : axes_(axes),
      a_(a),
      b_(b),
      options_(options),
      damping_(damping(options.rho_a, options.epsilon)),
      is_linear_(options.range * kLog2E / options.epsilon <= kLinearRange),
      to_rows_(axes, kLog2E / options.epsilon),
      to_cols_(axes, kLog2E / options.epsilon),
      mass_(static_cast<std::size_t>(a.size)) {}

void GridPairs::sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink*,
                      Pulse& pulse) {
  if (is_linear_) {
    sweep_linear(v, u, column, pulse);
  } else {
    sweep_log(v, u, column, pulse);
  }
  column_ = column;
}

void GridPairs::rough_sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
                            Pulse& pulse) {
  sweep(v, u, column, keep, pulse);
}

void GridPairs::sweep_linear(const std::vector<double>& v, std::vector<double>& u, std::vector<double>& column,
                             Pulse& pulse) {
  const double shift = *std::max_element(v.begin(), v.end());
  of_columns_.resize(v.size());
  for (std::size_t j = 0; j < v.size(); ++j) of_columns_[j] = std::exp2(v[j] - shift);
  of_rows_ = to_rows_.multiply(of_columns_, pulse);
  std::vector<double> weights(of_rows_.size());
  for (std::size_t i = 0; i < of_rows_.size(); ++i) {
    const double softmin = -std::log2(of_rows_[i]) - shift;
    of_rows_[i] = 1.0 / of_rows_[i];
    u[i] = damping_ * softmin;
    mass_[i] = a_[static_cast<Index>(i)] * (damping_ == 1.0 ? 1.0 : std::exp2(u[i] - softmin));
    weights[i] = mass_[i] * of_rows_[i];
  }
  column = product(of_columns_, to_cols_.multiply(std::move(weights), pulse));
}

void GridPairs::sweep_log(const std::vector<double>& v, std::vector<double>& u, std::vector<double>& column,
                          Pulse& pulse) {
  std::vector<double> weights = to_rows_.softmin(v, pulse);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double softmin = weights[i];
    const double weight = a_[static_cast<Index>(i)];
    u[i] = damping_ * softmin;
    mass_[i] = weight * (damping_ == 1.0 ? 1.0 : std::exp2(u[i] - softmin));
    weights[i] = weight > 0.0 ? u[i] + std::log2(weight) : -kInfinity;
  }
  column = to_cols_.softmin(weights, pulse);
  for (std::size_t j = 0; j < column.size(); ++j) column[j] = v[j] > -kInfinity ? std::exp2(v[j] - column[j]) : 0.0;
}

std::vector<double> GridPairs::softmin(const std::vector<double>& x, const std::vector<Node>& cols, Pulse& pulse) {
  GridOperator all(axes_, kLog2E / options_.epsilon);
  const std::vector<double> found = all.softmin(x, pulse);
  std::vector<double> some(cols.size());
  for (std::size_t k = 0; k < cols.size(); ++k) some[k] = found[static_cast<std::size_t>(cols[k])];
  return some;
}

std::unique_ptr<ScalingKernel> GridPairs::new_kernel() {
  return is_linear_ ? std::make_unique<GridKernel>(*this) : nullptr;
}

std::unique_ptr<KeptPlan> GridPairs::new_plan(const std::vector<double>&, Pulse&) {
  return std::make_unique<GridPlan>(*this);
}

std::vector<double> GridPairs::start(Monitor& monitor) {
  return cool_down(b_.size, options_, monitor,
                   [this](const Options& level, Monitor& inner) { return solve_on_grid(axes_, a_, b_, level, inner); });
}

/// Each product of a Newton step takes as long as an iteration.
double GridPairs::fast_contraction() const { return 0.999; }

double GridPairs::precision() const { return std::numeric_limits<double>::epsilon(); }

Potentials solve_on_grid(const AxisCosts& axes, VectorView<const double> a, VectorView<const double> b,
                         const Options& options, Monitor& monitor) {
  GridPairs pairs(axes, a, b, options);
  return run_solver(pairs, a, b, options, monitor);
}

namespace {

/// log2(e) f / epsilon + log2(a).
std::vector<double> exponents(VectorView<const double> potentials, VectorView<const double> weights, double epsilon) {
  std::vector<double> scaled(static_cast<std::size_t>(potentials.size));
  for (Index i = 0; i < potentials.size; ++i) {
    scaled[static_cast<std::size_t>(i)] = potentials[i] * (kLog2E / epsilon) + std::log2(weights[i]);
  }
  return scaled;
}

/// The sums of the rows of the plan, and the operator that averages over them.
std::vector<double> row_sums(GridOperator& grid, const PlanFactors& factors, Pulse& pulse) {
  const std::vector<double> u = exponents(factors.f, factors.a, factors.epsilon);
  std::vector<double> sums = grid.softmin(exponents(factors.g, factors.b, factors.epsilon), pulse);
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = u[i] > -kInfinity ? std::exp2(u[i] - sums[i]) : 0.0;
  return sums;
}

}  // namespace

std::vector<double> apply_on_grid(const AxisCosts& axes, const PlanFactors& factors, MatrixView<const double> x,
                                  Monitor& monitor) {
  Pulse pulse(monitor);
  GridOperator grid(axes, kLog2E / factors.epsilon);
  const std::vector<double> sums = row_sums(grid, factors, pulse);
  std::vector<double> out(static_cast<std::size_t>(x.rows * x.cols));
  for (Index k = 0; k < x.cols; ++k) {
    std::vector<double> column(static_cast<std::size_t>(x.rows));
    for (Index j = 0; j < x.rows; ++j) column[static_cast<std::size_t>(j)] = x(j, k);
    const std::vector<double> means = grid.average(std::move(column), false, pulse);
    for (Index i = 0; i < x.rows; ++i) {
      const auto at = static_cast<std::size_t>(i);
      out[static_cast<std::size_t>(i * x.cols + k)] = sums[at] * means[at];
    }
  }
  return out;
}

double linear_value_on_grid(const AxisCosts& axes, const PlanFactors& factors, Monitor& monitor) {
  Pulse pulse(monitor);
  GridOperator grid(axes, kLog2E / factors.epsilon);
  const std::vector<double> sums = row_sums(grid, factors, pulse);
  const std::vector<double> means = grid.average(std::vector<double>(sums.size(), 0.0), true, pulse);
  double total = 0.0;
  for (std::size_t i = 0; i < sums.size(); ++i) total += sums[i] * means[i];
  return total;
}

}  // namespace otfast::entropic
