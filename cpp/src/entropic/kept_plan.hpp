// The plan of one sweep, kept to be multiplied with.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "active_columns.hpp"
#include "chunks.hpp"
#include "otfast/core/views.hpp"
#include "rows.hpp"
#include "stored_entries.hpp"

namespace otfast::entropic {

/// A row of a plan, as a sweep leaves it.
struct RowFacts {
  double sum;      ///< of the entries that come with it
  double softmin;  ///< p_ij = 2^(v_j - c_ij + softmin)
  double mass;     ///< P_ij = mass p_ij
};

/// Some consecutive rows of a plan.
template <class Real>
struct RowGroup {
  Index first, count;
  const Real* e;  ///< entries in proportion to p_ij, row after row
  Index stride;
  const RowFacts* facts;
  const std::vector<Run>& runs;         ///< outside them is nothing, in `e` neither
  const ActiveColumns* active;          ///< null: the runs are all columns
  const std::vector<double>& promised;  ///< by `active` for these rows
};

/// Where a sweep puts the entries of the plan.
class PlanSink {
 public:
  virtual ~PlanSink() = default;

  /// Forgets the plan before a sweep, which then puts group after group, on several threads but for each chunk in
  /// order.
  virtual void clear(const Chunks& chunks) = 0;
  virtual void put(Index chunk, const RowGroup<float>& rows) = 0;
  virtual void put(Index chunk, const RowGroup<double>& rows) = 0;
};

/// Rows p_i of sum 1 and their masses r_i: P = diag(r) p. The Hessian of the semi-dual is made of them.
class KeptPlan : public PlanSink {
 public:
  /// Before a sweep: the error of the potentials so far. A step that takes off some digits of it needs no more of them
  /// in the Hessian, and most entries are small.
  virtual void follow(double /*error*/) {}

  /// out = p^T diag(r) p x.
  virtual void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const = 0;

  /// The diagonal of p^T diag(r) p, or zeros where it is small beside p^T r.
  virtual void diagonal(std::vector<double>& out) const = 0;
};

/// Times the error and the weights: what Newton's method adds to the diagonal, since Hessians lack it where the plan
/// nearly falls apart.
inline constexpr double kRidge = 3e-2;

/// The share of their row, and of their column, below which a plan leaves entries out: no more than the ridge of a
/// Newton step makes up for, and less where there are so many that together they would matter.
class Negligible {
 public:
  Negligible(Index cols, double tolerance)
      : factor_(kRidge * std::min(1.0, kMany / static_cast<double>(cols))),
        least_(std::clamp(kRidge * tolerance, 1e-12, 1e-7)),
        share_(least_) {}

  void follow(double error) { share_ = std::clamp(factor_ * error, least_, std::max(kMost * factor_, least_)); }

  double share() const { return share_; }
  double least() const { return least_; }

  static constexpr double kTypical = 1e-5;  ///< on the way to the solution

 private:
  static constexpr double kMany = 1000.0;
  static constexpr double kMost = 1.0 / 300.0;  ///< larger errors are taken for this one

  double factor_;
  double least_;
  double share_;
};

/// All of the plan, packed: a Hessian needs no more digits. For costs without bounds of their blocks.
class DensePlan final : public KeptPlan {
 public:
  DensePlan(Index rows, Index cols) : cols_(cols), entries_(rows, cols), facts_(static_cast<std::size_t>(rows)) {}

  void clear(const Chunks&) override {}
  void put(Index, const RowGroup<float>& rows) override { put_rows(rows); }
  void put(Index, const RowGroup<double>& rows) override { put_rows(rows); }
  void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const override;
  void diagonal(std::vector<double>& out) const override;

 private:
  template <class Real>
  void put_rows(const RowGroup<Real>& rows) {
    for (Index r = 0; r < rows.count; ++r) {
      entries_.put(rows.first + r, rows.e + r * rows.stride);
      facts_[static_cast<std::size_t>(rows.first + r)] = rows.facts[r];
    }
  }

  Index cols_;
  StoredEntries<isa::Packed> entries_;
  std::vector<RowFacts> facts_;
};

/// The entries that matter: those above a share of their row or of their column, which may be far lighter.
class SparsePlan final : public KeptPlan {
 public:
  SparsePlan(VectorView<const double> b, double tolerance);

  void follow(double error) override { negligible_.follow(error); }
  void clear(const Chunks& chunks) override;
  void put(Index chunk, const RowGroup<float>& rows) override { put_rows(chunk, rows); }
  void put(Index chunk, const RowGroup<double>& rows) override { put_rows(chunk, rows); }
  void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const override;
  void diagonal(std::vector<double>& out) const override;

 private:
  struct Part {
    std::vector<Index> start;   ///< of each row, and the end of the last
    UnfilledVector<Node> cols;  ///< longer than what is kept
    UnfilledVector<float> values;
    std::vector<double> masses;
    std::vector<double> sums;  ///< of the values of each row
  };

  template <class Real>
  void put_rows(Index chunk, const RowGroup<Real>& rows);

  Index cols_;
  Negligible negligible_;
  double heaviest_;                   ///< of the columns
  AlignedVector<float> of_heaviest_;  ///< what each weighs beside it
  std::vector<Part> parts_;
};

/// The blocks of columns that matter, packed, where the cost tells which.
class BlockPlan final : public KeptPlan {
 public:
  BlockPlan(Index cols, double tolerance) : cols_(cols), negligible_(cols, tolerance) {}

  void follow(double error) override { negligible_.follow(error); }
  void clear(const Chunks& chunks) override;
  void put(Index chunk, const RowGroup<float>& rows) override { put_rows(chunk, rows); }
  void put(Index chunk, const RowGroup<double>& rows) override { put_rows(chunk, rows); }
  void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const override;
  void diagonal(std::vector<double>& out) const override;

 private:
  /// A few rows with the same runs, which follow each other in each row.
  struct Group {
    Index count, stride;
    Index first_fact, first_run, end_run;
    std::size_t first_entry;
  };
  struct Part {
    std::vector<Group> groups;
    std::vector<RowFacts> facts;
    std::vector<Run> runs;
    std::vector<isa::Packed> entries;
    std::vector<double> diagonal;
    std::vector<Run> found;  ///< scratch
  };

  template <class Real>
  void put_rows(Index chunk, const RowGroup<Real>& rows);

  Index cols_;
  Negligible negligible_;
  std::vector<Part> parts_;
};

/// Computes the entries anew for each product: O(n + m) memory.
template <class Real>
class RecomputedPlan final : public KeptPlan {
 public:
  /// Potentials v as `Sweep` has them; they must stay what they are between a sweep and the products.
  RecomputedPlan(const Rows<Real>& rows, double scale, const std::vector<double>& v,
                 std::unique_ptr<ActiveColumns> active, double tolerance)
      : rows_(rows),
        scale_(static_cast<Real>(scale)),
        v_(v),
        active_(std::move(active)),
        negligible_(rows.cols(), tolerance),
        facts_(static_cast<std::size_t>(rows.rows())) {}

  void follow(double error) override { negligible_.follow(error); }
  void clear(const Chunks&) override {
    if (active_) active_->update(v_.data());
  }
  void put(Index, const RowGroup<float>& rows) override { put_facts(rows.first, rows.count, rows.facts); }
  void put(Index, const RowGroup<double>& rows) override { put_facts(rows.first, rows.count, rows.facts); }
  void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const override;
  void diagonal(std::vector<double>& out) const override;

 private:
  void put_facts(Index first, Index count, const RowFacts* facts) { std::copy_n(facts, count, facts_.begin() + first); }

  Rows<Real> rows_;
  Real scale_;
  const std::vector<double>& v_;
  std::unique_ptr<ActiveColumns> active_;  ///< null: all pairs are looked at
  Negligible negligible_;
  std::vector<RowFacts> facts_;
};

}  // namespace otfast::entropic
