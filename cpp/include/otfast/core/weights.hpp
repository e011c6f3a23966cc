// Whether weights are fit for use, and their sum.
#pragma once

#include <limits>

#include "otfast/core/types.hpp"
#include "otfast/core/views.hpp"
#include "otfast/math/compensated_sum.hpp"

namespace otfast {

struct WeightSummary {
  double total = 0.0;    ///< rounded once; NaN where the sum overflows, of no meaning if `first_bad` >= 0
  Index first_bad = -1;  ///< of the first weight that is negative, infinite or NaN, or -1
};

inline WeightSummary summarize(VectorView<const double> weights) {
  CompensatedSum sum;
  for (Index i = 0; i < weights.size; ++i) {
    if (!(weights[i] >= 0.0 && weights[i] <= std::numeric_limits<double>::max())) return {sum.value(), i};
    sum.add(weights[i]);
  }
  return {sum.value(), -1};
}

}  // namespace otfast
