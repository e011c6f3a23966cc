// Exact transport on the line, for the costs |x - y|^p with p >= 1: mass moves in order.
#pragma once

#include "otfast/core/views.hpp"
#include "otfast/exact/transport.hpp"

namespace otfast::exact {

/// Points in increasing order, and their weights: not negative, with a positive sum.
template <class T>
struct LineMeasure {
  VectorView<const T> points;
  VectorView<const double> weights;
};

/// The Wasserstein distance W_p between measures of equal mass, the p-th root taken. Powers are taken of scaled
/// distances, so that nothing overflows or vanishes on the way to a representable result. O(n + m) time, no memory.
template <class T>
double line_distance(const LineMeasure<T>& mu, const LineMeasure<T>& nu, double p);

extern template double line_distance(const LineMeasure<float>&, const LineMeasure<float>&, double);
extern template double line_distance(const LineMeasure<double>&, const LineMeasure<double>&, double);

/// The monotone plan, with potentials that prove it optimal. `p` and the points must be such that |x_i - y_j|^p is
/// finite. O(n + m) time and memory.
Transport line_plan(const LineMeasure<double>& mu, const LineMeasure<double>& nu, double p);

}  // namespace otfast::exact
