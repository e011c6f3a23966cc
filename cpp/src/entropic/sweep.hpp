// One pass over all pairs: rows are scaled to their marginals, columns are summed.
#pragma once

#include <memory>
#include <vector>

#include "active_columns.hpp"
#include "chunks.hpp"
#include "kept_plan.hpp"
#include "otfast/core/views.hpp"
#include "rows.hpp"

namespace otfast::entropic {

/// `Pairs::sweep` in the precision Real.
template <class Real>
class Sweep {
 public:
  /// Costs are multiplied by `scale`. `damping` = rho / (rho + epsilon) multiplies the potentials of rows; it is 1
  /// where their marginals are exact. `active` is null where all pairs are to be looked at.
  Sweep(const Rows<Real>& rows, VectorView<const double> a, double scale, double damping,
        std::unique_ptr<ActiveColumns> active);

  void run(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep, Pulse& pulse);

  /// Whether pairs that do not matter are passed over.
  bool skips() const { return active_ != nullptr; }

  /// How many of all entries are above a share of the sum of their row, from a few rows.
  double density(const std::vector<double>& v, double share, Pulse& pulse) const;

 private:
  /// Rows that go to the column sums at once.
  static constexpr Index kGroup = 4;

  /// What one thread needs for them.
  struct Scratch;

  /// Returns the column sums of these rows.
  std::vector<double> run_rows(Index begin, Index end, std::vector<double>& u, PlanSink* keep, Index chunk,
                               Pulse& pulse) const;

  /// Finds the exponentials of some rows in all columns, or, of rows of one block, in those that matter; and what is
  /// to be known of them.
  void fill(Index first, Index count, std::vector<double>& u, Scratch& scratch) const;
  void fill_active(Index first, Index count, std::vector<double>& u, Scratch& scratch) const;

  /// Notes the sum of a row, relative to a shift, and sets its potential.
  RowFacts settle(Index i, Real shift, Real sum, std::vector<double>& u) const;

  Rows<Real> rows_;
  VectorView<const double> a_;
  Real scale_;
  double damping_;
  Chunks chunks_;
  std::unique_ptr<ActiveColumns> active_;  ///< null: all pairs are looked at
  AlignedVector<Real> v_;
  std::vector<std::vector<double>> partial_;  ///< column sums of each chunk
};

/// -log2 sum_i 2^(x_i - c_ij) for every column j, safe for any x: two passes. +inf for a column without a way.
template <class Real>
std::vector<double> column_softmin(const Rows<Real>& rows, const std::vector<double>& x, double scale, Pulse& pulse);

}  // namespace otfast::entropic
