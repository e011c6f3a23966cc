// What a solver knows about a cost matrix: its rows. Dense arrays, point clouds, grids and low-rank products differ
// only here.
#pragma once

#include <memory>
#include <vector>

#include "otfast/core/types.hpp"
#include "otfast/core/views.hpp"

namespace otfast {

/// What `Cost::block_bounds` returns.
class BlockBounds {
 public:
  virtual ~BlockBounds() = default;

  /// No entry of C in row block I and column block J is below this number (rounding included).
  virtual double lower(Index row_block, Index col_block) const = 0;
};

/// A cost matrix C of `rows() x cols()` entries of type T (float or double), stored or not. Immutable, so any thread
/// may read it.
template <class T>
class Cost {
 public:
  virtual ~Cost() = default;

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

  /// The entries C[i, begin:end]: a pointer into stored memory, or `buffer` (room for end - begin) after filling it.
  virtual const T* row(Index i, Index begin, Index end, T* buffer) const = 0;

  /// One entry. Goes through `row`, so that both round alike.
  T entry(Index i, Index j) const {
    T buffer;
    return *row(i, j, j + 1, &buffer);
  }

  /// The matrix C[rows, cols] as a cost of its own, in that order. Never larger in memory than O(rows + cols), or a
  /// small constant.
  virtual std::unique_ptr<Cost<T>> restrict(VectorView<const Node> rows, VectorView<const Node> cols) const = 0;

  /// Coordinates that tell near rows from far ones (same for columns when `of_rows` is false): rows x dim, row-major.
  /// Point clouds give their points, matrices a few of their own columns (rows).
  struct Features {
    std::vector<float> values;
    Index dim = 0;
  };
  virtual Features features(bool of_rows) const = 0;

  /// Lower bounds for blocks of `row_block` consecutive rows times `col_block` consecutive columns, with which a search
  /// for small reduced costs skips most of the matrix; null where nothing cheap is known. Useful only if neighbours in
  /// order are near.
  virtual std::unique_ptr<BlockBounds> block_bounds(Index row_block, Index col_block) const {
    static_cast<void>(row_block);
    static_cast<void>(col_block);
    return nullptr;
  }

 protected:
  Cost(Index rows, Index cols) : rows_(rows), cols_(cols) {}

 private:
  Index rows_;
  Index cols_;
};

}  // namespace otfast
