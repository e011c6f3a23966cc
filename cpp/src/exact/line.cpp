#include "otfast/exact/line.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "otfast/math/compensated_sum.hpp"

namespace otfast::exact {
namespace {

using Weights = VectorView<const double>;

/// What is left of an atom's mass. Exact to a unit in the last place of the atom, however many parts are taken.
class Remainder {
 public:
  explicit Remainder(double mass) : value_(mass) {}

  double value() const { return value_; }

  /// Takes `part` <= value(). What is left is never negative.
  void take(double part) {
    const double difference = value_ - part;
    error_ += (value_ - difference) - part;
    value_ = std::max(0.0, difference + error_);
    error_ -= value_ - difference;
  }

 private:
  double value_;
  double error_ = 0.0;
};

Index last_positive(Weights weights) {
  Index i = weights.size - 1;
  while (i > 0 && !(weights[i] > 0.0)) --i;
  return i;
}

double total(Weights weights) {
  CompensatedSum sum;
  for (const double w : weights) sum.add(w);
  return sum.value();
}

/// Calls `visit(i, j, mass)` for the cells of the north-west corner rule: a path from (0, 0) to (n - 1, m - 1) that
/// goes one row or one column at a time, so that it meets all of them. Cells of zero mass are visited too.
template <class Visit>
void walk_staircase(Weights a, Weights b, Visit&& visit) {
  // Two sums of weights that are equal but for rounding end one step after the other and leave a sliver of mass
  // between. It is dropped: it would go to the next point, as far away as that may be.
  const double sliver = 4.0 * std::numeric_limits<double>::epsilon() * total(a);
  constexpr double kSliverOfAtom = 1e-9;

  const Index last_a = last_positive(a);
  const Index last_b = last_positive(b);
  Index i = 0;
  Index j = 0;
  Remainder left_a(a[0]);
  Remainder left_b(b[0]);
  // Of two remainders that should be equal, that of the smaller atom has the smaller rounding error.
  const auto common_rest = [&] { return a[i] <= b[j] ? left_a.value() : left_b.value(); };
  while (i < last_a && j < last_b) {
    const bool row_ends = left_a.value() <= left_b.value();
    const double smaller = row_ends ? left_a.value() : left_b.value();
    const double rest = row_ends ? left_b.value() - smaller : left_a.value() - smaller;
    const bool both_end = rest <= sliver && rest <= kSliverOfAtom * (row_ends ? b[j] : a[i]);
    visit(i, j, both_end ? common_rest() : smaller);
    Remainder& larger = row_ends ? left_b : left_a;
    if (both_end) {
      larger = Remainder(0.0);
    } else {
      larger.take(smaller);
    }
    if (row_ends) {
      left_a = Remainder(a[++i]);
    } else {
      left_b = Remainder(b[++j]);
    }
  }
  // One side is at its last atom, which takes all that the other still has.
  for (; i < last_a; left_a = Remainder(a[++i])) {
    visit(i, j, left_a.value());
    left_b.take(std::min(left_a.value(), left_b.value()));
  }
  for (; j < last_b; left_b = Remainder(b[++j])) {
    visit(i, j, left_b.value());
    left_a.take(std::min(left_a.value(), left_b.value()));
  }
  visit(i, j, common_rest() > 0.0 ? common_rest() : std::max(left_a.value(), left_b.value()));
  while (i < a.size - 1) visit(++i, j, 0.0);
  while (j < b.size - 1) visit(i, ++j, 0.0);
}

double power(double distance, double p) {
  if (p == 1.0) return distance;
  if (p == 2.0) return distance * distance;
  return std::pow(distance, p);
}

/// Sum of mass * distance^p, in units of bound^p, where no distance so far is above the bound.
class PowerSum {
 public:
  explicit PowerSum(double p) : p_(p) {}

  /// `distance` is at most a quarter of the largest number.
  void add(double distance, double mass) {
    if (distance > bound_) raise_bound(distance);
    sum_.add(mass * power(distance / bound_, p_));
  }

  /// (sum of mass * distance^p)^(1/p)
  double root() const {
    const double sum = sum_.value();
    return bound_ * (p_ == 1.0 ? sum : p_ == 2.0 ? std::sqrt(sum) : std::pow(sum, 1.0 / p_));
  }

 private:
  void raise_bound(double distance) {
    // Dividing by a power of two is exact, but to a high power the factor of 2 by which it may be too large matters.
    constexpr double kHighPower = 64.0;
    const double bound = p_ < kHighPower ? std::ldexp(1.0, std::ilogb(distance) + 1) : distance;
    sum_.scale(std::pow(bound_ / bound, p_));
    bound_ = bound;
  }

  double p_;
  double bound_ = std::numeric_limits<double>::denorm_min();
  CompensatedSum sum_;
};

}  // namespace

template <class T>
double line_distance(const LineMeasure<T>& mu, const LineMeasure<T>& nu, double p) {
  PowerSum sum(p);
  walk_staircase(mu.weights, nu.weights, [&](Index i, Index j, double mass) {
    // Quarters: the difference of the largest numbers is out of range.
    const double quarter = 0.25 * static_cast<double>(mu.points[i]) - 0.25 * static_cast<double>(nu.points[j]);
    if (mass > 0.0) sum.add(std::abs(quarter), mass);
  });
  return 4.0 * sum.root();
}

template double line_distance(const LineMeasure<float>&, const LineMeasure<float>&, double);
template double line_distance(const LineMeasure<double>&, const LineMeasure<double>&, double);

Transport line_plan(const LineMeasure<double>& mu, const LineMeasure<double>& nu, double p) {
  const Index n = mu.points.size;
  const Index m = nu.points.size;
  Transport plan;
  plan.f.resize(n);
  plan.g.resize(m);
  CompensatedSum value;
  Index row = -1;  // of the cell before
  walk_staircase(mu.weights, nu.weights, [&](Index i, Index j, double mass) {
    const double cost = power(std::abs(mu.points[i] - nu.points[j]), p);
    // f_i + g_j = C_ij along a path through all rows and columns makes f_i + g_j <= C_ij everywhere, because between
    // sorted points C_ij + C_kl <= C_il + C_kj for i < k and j < l (the Monge property). Zero weights change nothing.
    if (i == row || row < 0) {
      plan.g[j] = cost - plan.f[i];
    } else {
      plan.f[i] = cost - plan.g[j];
    }
    row = i;
    if (!(mass > 0.0)) return;
    value.add(mass * cost);
    plan.rows.push_back(static_cast<Node>(i));
    plan.cols.push_back(static_cast<Node>(j));
    plan.mass.push_back(mass);
  });
  CompensatedSum dual;
  for (Index i = 0; i < n; ++i) dual.add(mu.weights[i] * plan.f[i]);
  for (Index j = 0; j < m; ++j) dual.add(nu.weights[j] * plan.g[j]);
  plan.value = value.value();
  plan.dual_value = dual.value();
  return plan;
}

}  // namespace otfast::exact
