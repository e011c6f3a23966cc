// The columns that matter to a few rows: at low temperature most pairs do not.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/core/views.hpp"
#include "rows.hpp"

namespace otfast::entropic {

/// Columns [begin, end).
struct Run {
  Index begin, end;
};

/// Blocks of pairs whose exponents are bounded from above, where a cost has bounds of its blocks. Points must come in
/// an order in which neighbours are near.
///
/// The entry P_ij = a_i 2^(u_i + v_j - c_ij) is a share 2^(u_i + v_j - c_ij) of its row, and of its column, of which
/// b_j is wanted, a share 2^(u_i + log2(a_i) + v_j - log2(b_j) - c_ij): a light column lives of entries that its rows
/// do not feel. A block matters if one of the two may be more than rounding.
class ActiveColumns {
 public:
  /// Rows that share their runs.
  static constexpr Index kRows = 32;

  /// Null if the cost has no bounds.
  template <class Real>
  static std::unique_ptr<ActiveColumns> find(const Rows<Real>& rows, double scale, VectorView<const double> a,
                                             VectorView<const double> b) {
    auto bounds = rows.block_bounds(kRows, kCols);
    if (!bounds) return nullptr;
    return std::unique_ptr<ActiveColumns>(new ActiveColumns(std::move(bounds), scale, a, b));
  }

  /// Takes the potentials of the columns.
  template <class Real>
  void update(const Real* v) {
    for (std::size_t k = 0; k < of_rows_.size(); ++k) {
      double of_row = kNone, of_column = kNone;
      const auto [begin, end] = block(static_cast<Index>(k));
      for (Index j = begin; j < end; ++j) {
        const double log_b = log_b_[static_cast<std::size_t>(j)];
        if (log_b == kNone) continue;
        const auto potential = static_cast<double>(v[j]);
        of_row = std::max(of_row, potential);
        of_column = std::max(of_column, potential - log_b);
      }
      of_rows_[k] = of_row;
      of_columns_[k] = of_column;
    }
  }

  /// The largest exponents, but for u_i, that the blocks of columns may have with a block of rows. Returns the block
  /// that may have the largest share of a row.
  Run promise(Index row_block, std::vector<double>& promised) const {
    promised.resize(of_rows_.size());
    const double heaviest = log_a_[static_cast<std::size_t>(row_block)];
    Index best = 0;
    double most = kNone;
    for (std::size_t k = 0; k < promised.size(); ++k) {
      const double cost = scale_ * bounds_->lower(row_block, static_cast<Index>(k));
      promised[k] = std::max(of_rows_[k], of_columns_[k] + heaviest) - cost;
      if (!(of_rows_[k] - cost > most)) continue;
      most = of_rows_[k] - cost;
      best = static_cast<Index>(k);
    }
    return block(best);
  }

  /// The runs outside which no exponent with u_i = `shift` is as large as -`depth`.
  void list(const std::vector<double>& promised, double shift, double depth, std::vector<Run>& runs) const {
    runs.clear();
    const double least = -depth - shift;
    for (Index k = 0; k < static_cast<Index>(promised.size()); ++k) {
      if (!(promised[static_cast<std::size_t>(k)] >= least)) continue;
      const Run next = block(k);
      if (!runs.empty() && runs.back().end == next.begin) {
        runs.back().end = next.end;
      } else {
        runs.push_back(next);
      }
    }
  }

  /// How far below the sum of a row, in base 2, entries must be that all of them are lost in its rounding.
  template <class Real>
  double depth() const {
    return std::numeric_limits<Real>::digits + std::log2(static_cast<double>(log_b_.size()));
  }

 private:
  static constexpr Index kCols = 64;
  static constexpr double kNone = -std::numeric_limits<double>::infinity();

  ActiveColumns(std::unique_ptr<BlockBounds> bounds, double scale, VectorView<const double> a,
                VectorView<const double> b)
      : bounds_(std::move(bounds)),
        scale_(scale),
        log_a_(static_cast<std::size_t>((a.size + kRows - 1) / kRows), kNone),
        log_b_(static_cast<std::size_t>(b.size)),
        of_rows_(static_cast<std::size_t>((b.size + kCols - 1) / kCols)),
        of_columns_(of_rows_.size()) {
    for (Index i = 0; i < a.size; ++i) {
      double& heaviest = log_a_[static_cast<std::size_t>(i / kRows)];
      heaviest = std::max(heaviest, std::log2(a[i]));
    }
    std::transform(b.begin(), b.end(), log_b_.begin(), [](double weight) { return std::log2(weight); });
  }

  Run block(Index k) const { return {k * kCols, std::min((k + 1) * kCols, static_cast<Index>(log_b_.size()))}; }

  std::unique_ptr<BlockBounds> bounds_;
  double scale_;
  std::vector<double> log_a_;  ///< of the heaviest row of a block
  std::vector<double> log_b_;
  std::vector<double> of_rows_;     ///< by block of columns: the largest v_j
  std::vector<double> of_columns_;  ///< and the largest v_j - log2(b_j)
};

/// body(first, last) for the rows of one block after the other, or for all rows where there are no blocks.
template <class Body>
void for_row_blocks(const ActiveColumns* active, Index begin, Index end, const Body& body) {
  const Index block = active != nullptr ? ActiveColumns::kRows : std::max<Index>(end, 1);
  for (Index first = begin; first < end;) {
    const Index last = std::min((first / block + 1) * block, end);
    body(first, last);
    first = last;
  }
}

}  // namespace otfast::entropic
