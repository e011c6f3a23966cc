// The columns that matter to a few rows: at low temperature most pairs do not.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "otfast/core/cost.hpp"
#include "rows.hpp"

namespace otfast::entropic {

/// Columns [begin, end).
struct Run {
  Index begin, end;
};

/// Blocks of pairs whose exponents v_j - c_ij are bounded from above, where a cost has bounds of its blocks. Points
/// must come in an order in which neighbours are near.
class ActiveColumns {
 public:
  /// Rows that share their runs.
  static constexpr Index kRows = 32;

  /// Null if the cost has no bounds.
  template <class Real>
  static std::unique_ptr<ActiveColumns> find(const Rows<Real>& rows, double scale) {
    auto bounds = rows.block_bounds(kRows, kCols);
    if (!bounds) return nullptr;
    return std::unique_ptr<ActiveColumns>(new ActiveColumns(std::move(bounds), rows.cols(), scale));
  }

  /// Takes the potentials of the columns.
  template <class Real>
  void update(const Real* v) {
    for (Index k = 0; k < static_cast<Index>(highest_.size()); ++k) {
      double top = -std::numeric_limits<double>::infinity();
      for (Index j = k * kCols; j < end_of(k); ++j) top = std::max(top, static_cast<double>(v[j]));
      highest_[static_cast<std::size_t>(k)] = top;
    }
  }

  /// The largest exponents v_j - c_ij that the blocks of columns may have with the rows of a block.
  void promise(Index row_block, std::vector<double>& promised) const {
    promised.resize(highest_.size());
    for (std::size_t k = 0; k < highest_.size(); ++k) {
      promised[k] = highest_[k] - scale_ * bounds_->lower(row_block, static_cast<Index>(k));
    }
  }

  /// The block that promises most.
  Run best(const std::vector<double>& promised) const {
    const auto k = std::max_element(promised.begin(), promised.end()) - promised.begin();
    return {k * kCols, end_of(k)};
  }

  /// The runs outside which v_j - c_ij + shift < -depth.
  void list(const std::vector<double>& promised, double shift, double depth, std::vector<Run>& runs) const {
    runs.clear();
    const double least = -depth - shift;
    for (Index k = 0; k < static_cast<Index>(promised.size()); ++k) {
      if (!(promised[static_cast<std::size_t>(k)] >= least)) continue;
      if (!runs.empty() && runs.back().end == k * kCols) {
        runs.back().end = end_of(k);
      } else {
        runs.push_back({k * kCols, end_of(k)});
      }
    }
  }

  /// How far below the sum of a row, in base 2, all that is left out of it is lost in the rounding of Real.
  template <class Real>
  double depth() const {
    return std::numeric_limits<Real>::digits + std::log2(static_cast<double>(cols_));
  }

 private:
  static constexpr Index kCols = 64;

  ActiveColumns(std::unique_ptr<BlockBounds> bounds, Index cols, double scale)
      : bounds_(std::move(bounds)),
        cols_(cols),
        scale_(scale),
        highest_(static_cast<std::size_t>((cols + kCols - 1) / kCols)) {}

  Index end_of(Index block) const { return std::min((block + 1) * kCols, cols_); }
  std::unique_ptr<BlockBounds> bounds_;
  Index cols_;
  double scale_;
  std::vector<double> highest_;  ///< potential of a block of columns
};

}  // namespace otfast::entropic
