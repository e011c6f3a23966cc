// Ground costs c(x, y) between points.
#pragma once

#include "otfast/core/types.hpp"

namespace otfast {

/// A ground cost in the form in which it is computed: a fold over the coordinates of d = x - y, raised to a power. Made
/// by the functions below, which know the cheapest form.
struct Metric {
  enum class Fold {
    squares,   ///< sum_k d_k^2
    absolute,  ///< sum_k |d_k|
    maximum,   ///< max_k |d_k|
    powers,    ///< sum_k |d_k|^p
    norm,      ///< (sum_k |d_k|^p)^(1/p)
    dot,       ///< offset - sum_k x_k y_k
  };

  Fold fold = Fold::squares;
  double p = 2.0;         ///< for `powers` and `norm`
  double exponent = 1.0;  ///< c = fold^exponent; 1 for `powers` and `dot`
  double offset = 0.0;    ///< for `dot`
  Index negative = 0;     ///< for `squares` with exponent 1: so many last coordinates count with negative sign

  static Metric sqeuclidean(Index negative = 0);
  static Metric euclidean();
  static Metric cityblock();
  static Metric chebyshev();
  /// ||x - y||_p ^ q for p in (0, inf] and q > 0.
  static Metric power(double p, double q);
  static Metric dot(double offset);
};

}  // namespace otfast
