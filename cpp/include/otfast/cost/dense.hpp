// A cost matrix that stands in memory.
#pragma once

#include <memory>
#include <vector>

#include "otfast/core/cost.hpp"

namespace otfast {

template <class T>
class DenseCost final : public Cost<T> {
 public:
  /// A view of somebody's array, which must outlive this object and whatever `restrict` makes of it.
  explicit DenseCost(MatrixView<const T> matrix);

  /// Owns its entries, given row after row.
  DenseCost(std::vector<T> entries, Index rows, Index cols);

  const T* row(Index i, Index begin, Index, T*) const override { return matrix_.row(i) + begin; }

  /// Copies the entries if they are few (at most 2^20); else gathers them row by row whenever they are asked for.
  std::unique_ptr<Cost<T>> restrict(VectorView<const Node> rows, VectorView<const Node> cols) const override;

  /// Sixteen columns (rows), spread evenly, on a common scale; a forbidden pair counts as farther than all others.
  typename Cost<T>::Features features(bool of_rows) const override;

 private:
  MatrixView<const T> matrix_;
  std::shared_ptr<const std::vector<T>> owner_;  ///< of the entries; null for views
};

extern template class DenseCost<float>;
extern template class DenseCost<double>;

}  // namespace otfast
