// The rows of a cost in the precision of a computation.
#pragma once

#include <memory>

#include "column_sums.hpp"
#include "isa/kernels.hpp"
#include "otfast/core/aligned.hpp"
#include "otfast/core/cost.hpp"

namespace otfast::entropic {

/// Reads rows of single precision for a computation in double precision, and the other way round.
template <class Real>
class Rows {
 public:
  using Other = typename isa::OtherPrecision<Real>::type;

  explicit Rows(const Cost<Real>& cost) : same_(&cost) {}
  explicit Rows(const Cost<Other>& cost) : other_(&cost) {}

  Index rows() const { return same_ != nullptr ? same_->rows() : other_->rows(); }
  Index cols() const { return same_ != nullptr ? same_->cols() : other_->cols(); }

  /// Room for one row; one for each thread.
  class Buffer {
   public:
    explicit Buffer(const Rows& rows)
        : own_(static_cast<std::size_t>(rows.cols())),
          other_(static_cast<std::size_t>(rows.other_ != nullptr ? rows.cols() : 0)) {}

   private:
    friend class Rows;
    AlignedVector<Real> own_;
    AlignedVector<Other> other_;
  };

  /// e_j = 2^(v_j - scale C_ij + shift) for the columns [begin, end) of a row, in their places; returns the sum.
  Real exponentials(Index i, Index begin, Index end, Real scale, const Real* v, Real shift, Real* e,
                    Buffer& buffer) const {
    const isa::Kernels<Real>& kernels = isa::kernels<Real>();
    const Index count = end - begin;
    if (same_ != nullptr) {
      return sum_exponentials(kernels, row(i, begin, end, buffer), scale, v + begin, shift, count, e + begin);
    }
    const Other* from = other_->row(i, begin, end, buffer.other_.data());
    return sum_exponentials(kernels, from, scale, v + begin, shift, count, e + begin);
  }

  /// sums_j += 2^(v_j - scale C_ij + shift) for a row.
  void add_exponentials(Index i, Real scale, const Real* v, Real shift, Real* sums, Buffer& buffer) const {
    const isa::Kernels<Real>& kernels = isa::kernels<Real>();
    if (same_ != nullptr) {
      kernels.add_exponentials(row(i, buffer), scale, v, shift, cols(), sums);
    } else {
      const Other* from = other_->row(i, 0, cols(), buffer.other_.data());
      kernels.add_exponentials_of_other(from, scale, v, shift, cols(), sums);
    }
  }

  const Real* row(Index i, Index begin, Index end, Buffer& buffer) const {
    if (same_ != nullptr) return same_->row(i, begin, end, buffer.own_.data());
    const Other* from = other_->row(i, begin, end, buffer.other_.data());
    isa::kernels<Real>().convert(from, end - begin, buffer.own_.data());
    return buffer.own_.data();
  }
  const Real* row(Index i, Buffer& buffer) const { return row(i, 0, cols(), buffer); }

  std::unique_ptr<BlockBounds> block_bounds(Index row_block, Index col_block) const {
    return same_ != nullptr ? same_->block_bounds(row_block, col_block) : other_->block_bounds(row_block, col_block);
  }

 private:
  const Cost<Real>* same_ = nullptr;
  const Cost<Other>* other_ = nullptr;
};

}  // namespace otfast::entropic
