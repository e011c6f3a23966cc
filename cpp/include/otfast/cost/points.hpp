// The cost matrix of two point clouds, never stored.
#pragma once

#include <memory>
#include <vector>

#include "otfast/core/aligned.hpp"
#include "otfast/core/cost.hpp"
#include "otfast/cost/metric.hpp"

namespace otfast {

namespace isa {
template <class T>
struct Kernels;
}

/// C[i, j] = c(x_i, y_j), computed when asked for. Owns copies of the points: O((n + m) d) memory.
/// A row reads all of y. Who needs many rows of clouds that do not fit in cache asks for a stretch of columns of one
/// row after another before going on to the next stretch.
template <class T>
class PointCost final : public Cost<T> {
 public:
  /// `x` (n, d) and `y` (m, d), finite.
  PointCost(MatrixView<const T> x, MatrixView<const T> y, const Metric& metric);

  const T* row(Index i, Index begin, Index end, T* buffer) const override;
  std::unique_ptr<Cost<T>> restrict(VectorView<const Node> rows, VectorView<const Node> cols) const override;

  /// The coordinates, or 16 random projections of them (always the same) if there are more than 16.
  typename Cost<T>::Features features(bool of_rows) const override;

  /// From bounding boxes of consecutive points; null for metrics that they tell nothing of, and above 8 dimensions.
  std::unique_ptr<BlockBounds> block_bounds(Index row_block, Index col_block) const override;

 private:
  PointCost(MatrixView<const T> x, MatrixView<const T> y, const Metric& metric, int shift);

  /// Takes row-major points whose coordinates are multiplied by 2^-shift already.
  PointCost(std::vector<T> x, const std::vector<T>& y, Index rows, Index cols, Index dim, const Metric& metric,
            int shift);

  /// Coordinate k of y_j stands at panels_[panel_offset(j) + k * panel_stride(j)].
  Index panel_offset(Index j) const;
  Index panel_stride(Index j) const;

  /// All y_j again, row-major.
  std::vector<T> unpack_y() const;

  Index dim_;
  Metric metric_;
  int shift_;       ///< coordinates are kept times 2^-shift: then no fold overflows where the cost does not
  T scale_;         ///< what takes costs of the kept coordinates back
  T scale_before_;  ///< and their squared distances, before these are raised to a power
  const isa::Kernels<T>* kernels_;  ///< of this processor
  std::vector<T> x_;                ///< row-major
  AlignedVector<T> panels_;         ///< y in panels of consecutive points, each stored coordinate by coordinate
};

extern template class PointCost<float>;
extern template class PointCost<double>;

}  // namespace otfast
