// Sums of rows that stay good in single precision.
#pragma once

#include <algorithm>
#include <vector>

#include "isa/kernels.hpp"
#include "otfast/core/aligned.hpp"

namespace otfast::entropic {

/// Runs of columns whose sum is still good in single precision.
inline constexpr Index kRun = 4096;

/// e_j = 2^(v_j - scale c_j + shift); returns the sum.
template <class Real>
Real sum_exponentials(const isa::Kernels<Real>& kernels, const Real* c, Real scale, const Real* v, Real shift, Index n,
                      Real* e) {
  Real sum{0};
  for (Index j = 0; j < n; j += kRun) {
    sum += kernels.exponentials(c + j, scale, v + j, shift, std::min(kRun, n - j), e + j);
  }
  return sum;
}

/// The same for costs in the other precision.
template <class Real>
Real sum_exponentials(const isa::Kernels<Real>& kernels, const typename isa::OtherPrecision<Real>::type* c, Real scale,
                      const Real* v, Real shift, Index n, Real* e) {
  Real sum{0};
  for (Index j = 0; j < n; j += kRun) {
    sum += kernels.exponentials_of_other(c + j, scale, v + j, shift, std::min(kRun, n - j), e + j);
  }
  return sum;
}

/// sum_j row_j x_j.
template <class Real>
Real dot(const isa::Kernels<Real>& kernels, const Real* row, const Real* x, Index n) {
  Real sum{0};
  for (Index j = 0; j < n; j += kRun) {
    Real part;
    kernels.dot_rows(row + j, n, x + j, 1, std::min(kRun, n - j), &part);
    sum += part;
  }
  return sum;
}

/// Column sums in Real that move to double before they lose digits.
template <class Real>
class ColumnSums {
 public:
  explicit ColumnSums(Index n, Index room = 0)  ///< `room`: of rows that are padded to whole vectors
      : n_(n), recent_(static_cast<std::size_t>(std::max(n, room))), total_(static_cast<std::size_t>(n)) {}

  /// Adds weighted rows; `stride` separates them.
  void add(const Real* rows, Index stride, const Real* weights, Index count) {
    isa::kernels<Real>().add_rows(rows, stride, weights, count, n_, recent_.data());
    note(count);
  }

  void add(const isa::Packed* rows, Index stride, const float* weights, Index count) {
    isa::kernels<float>().add_packed_rows(rows, stride, weights, count, n_, recent_.data());
    note(count);
  }

  /// The same for some columns of rows, in their places or, packed, from the first of them on; `note` follows when all
  /// have been added.
  void add_part(const Real* rows, Index stride, const Real* weights, Index count, Index begin, Index end) {
    isa::kernels<Real>().add_rows(rows + begin, stride, weights, count, end - begin, recent_.data() + begin);
  }

  void add_part(const isa::Packed* rows, Index stride, const float* weights, Index count, Index begin, Index end) {
    isa::kernels<float>().add_packed_rows(rows, stride, weights, count, end - begin, recent_.data() + begin);
  }

  /// Adds what `add_one(sums)` adds of one more row.
  template <class AddOne>
  void add_with(const AddOne& add_one) {
    add_one(recent_.data());
    note(1);
  }

  /// So many more rows are in the sums.
  void note(Index count) {
    pending_ += count;
    if (pending_ >= kPending) flush();
  }

  const std::vector<double>& total() {
    flush();
    return total_;
  }

 private:
  static constexpr Index kPending = 64;

  void flush() {
    for (std::size_t j = 0; j < total_.size(); ++j) {
      total_[j] += static_cast<double>(recent_[j]);
      recent_[j] = Real{0};
    }
    pending_ = 0;
  }

  Index n_;
  Index pending_ = 0;  ///< rows in `recent_`
  AlignedVector<Real> recent_;
  std::vector<double> total_;
};

/// The sum of the sums of all chunks, in their order.
inline std::vector<double> add_all(const std::vector<std::vector<double>>& parts) {
  std::vector<double> total = parts.front();
  for (std::size_t part = 1; part < parts.size(); ++part) {
    for (std::size_t j = 0; j < total.size(); ++j) total[j] += parts[part][j];
  }
  return total;
}

}  // namespace otfast::entropic
