// Sums of costs on overlapping sets of points, from which one point is summed out: a step of variable elimination.
#pragma once

#include <vector>

#include "otfast/core/monitor.hpp"
#include "otfast/core/types.hpp"

namespace otfast::multimarginal {

/// A cost of some of the points. Axes of size 1 stand for points on which it does not depend.
struct Table {
  const double* data;
  std::vector<Index> shape;  ///< of the points that stay, in C order; the point x that goes follows, contiguous
};

/// out(i) = -epsilon log sum_x exp(-sum_t tables[t](i, x) / epsilon) for all i in `shape`, in C order; `size` values of
/// x. Entries are finite or +inf; +inf comes out where no x has a way. All tables depend on x, and have as many axes as
/// `shape`.
///
/// Where no table has both of the last two axes, this is a product of matrices of exponentials, each row relative to
/// its largest; entries that leave the range of doubles there are summed in the log domain. Elsewhere all are.
std::vector<double> sum_out(const std::vector<Table>& tables, const std::vector<Index>& shape, Index size,
                            double epsilon, Monitor& monitor);

}  // namespace otfast::multimarginal
