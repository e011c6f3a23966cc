// Lower bounds on distances between groups of points, from the boxes that hold them.
#pragma once

#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/cost/metric.hpp"

namespace otfast {

/// The smallest boxes around consecutive points, `block` in each.
struct Boxes {
  std::vector<double> low;   ///< box b, coordinate k at b * dim + k
  std::vector<double> high;  ///< likewise
};

/// `points` row-major, (count, dim).
template <class T>
Boxes enclose(const std::vector<T>& points, Index count, Index dim, Index block);

/// The metric at the gaps between boxes, less what rounding in type T may take away from a computed entry.
template <class T>
class BoxBounds final : public BlockBounds {
 public:
  /// `scale` multiplies the metric of the coordinates in the boxes. The metric must grow with every |x_k - y_k|.
  BoxBounds(Boxes rows, Boxes cols, Index dim, const Metric& metric, double scale);

  double lower(Index row_block, Index col_block) const override;

 private:
  double fold_gaps(const double* row_low, const double* row_high, const double* col_low, const double* col_high) const;

  Boxes rows_;
  Boxes cols_;
  Index dim_;
  Metric metric_;
  double scale_;
  double kept_;  ///< a computed entry is at least this part of the exact one, where nothing underflows
};

extern template class BoxBounds<float>;
extern template class BoxBounds<double>;

}  // namespace otfast
