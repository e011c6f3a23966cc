#include "otfast/cost/metric.hpp"

#include <cmath>

namespace otfast {

Metric Metric::sqeuclidean(Index negative) { return {.fold = Fold::squares, .negative = negative}; }

Metric Metric::euclidean() { return power(2.0, 1.0); }

Metric Metric::cityblock() { return power(1.0, 1.0); }

Metric Metric::chebyshev() { return {.fold = Fold::maximum}; }

Metric Metric::power(double p, double q) {
  if (p == 2.0) return {.fold = Fold::squares, .exponent = 0.5 * q};
  if (p == 1.0) return {.fold = Fold::absolute, .exponent = q};
  if (std::isinf(p)) return {.fold = Fold::maximum, .exponent = q};
  if (p == q) return {.fold = Fold::powers, .p = p};
  return {.fold = Fold::norm, .p = p, .exponent = q};
}

Metric Metric::dot(double offset) { return {.fold = Fold::dot, .offset = offset}; }

}  // namespace otfast
