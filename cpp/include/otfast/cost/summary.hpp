// What one pass over a cost matrix tells: its range, and whether it is fit for use.
#pragma once

#include "otfast/core/cost.hpp"

namespace otfast {

struct CostSummary {
  double min = 0.0;      ///< smallest entry, +inf where all are; of no meaning if `first_bad` >= 0
  double max = 0.0;      ///< largest finite entry, -inf where there is none
  double mean = 0.0;     ///< over the finite entries, NaN where there is none
  Index infinite = 0;    ///< number of +inf
  Index first_bad = -1;  ///< i * cols + j of the first NaN or -inf, or -1
};

/// Reads every entry once, in O(threads) rows of memory. The result does not depend on the number of threads.
template <class T>
CostSummary summarize(const Cost<T>& cost);

}  // namespace otfast
