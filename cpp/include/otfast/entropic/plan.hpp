// The plan that entropic potentials stand for, without storing it.
#pragma once

#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/views.hpp"

namespace otfast::entropic {

/// What P_ij = a_i b_j exp((f_i + g_j - C_ij) / epsilon) is made of, the cost apart.
struct PlanFactors {
  VectorView<const double> a;
  VectorView<const double> b;
  VectorView<const double> f;
  VectorView<const double> g;
  double epsilon;
};

/// Writes rows `begin` to `end` of P.
template <class Real, class T>
void write_rows(const Cost<T>& cost, const PlanFactors& factors, Index begin, Index end, T* out, Monitor& monitor);

/// out = P x for x (m, k), row-major.
template <class Real, class T>
std::vector<T> apply(const Cost<T>& cost, const PlanFactors& factors, MatrixView<const double> x, Monitor& monitor);

/// out = P^T x for x (n, k), row-major.
template <class Real, class T>
std::vector<T> apply_transpose(const Cost<T>& cost, const PlanFactors& factors, MatrixView<const double> x,
                               Monitor& monitor);

/// <P, C>, where forbidden pairs count nothing.
template <class Real, class T>
double linear_value(const Cost<T>& cost, const PlanFactors& factors, Monitor& monitor);

}  // namespace otfast::entropic
