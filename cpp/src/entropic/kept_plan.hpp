// The plan of one sweep, kept to be multiplied with.
#pragma once

#include <vector>

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

/// Where a sweep puts the entries of the plan.
class PlanSink {
 public:
  virtual ~PlanSink() = default;

  /// Forgets the plan before a sweep, which then puts row after row: entries e_j in proportion to p_ij, on several
  /// threads but for each chunk in order.
  virtual void clear(const Chunks& chunks) = 0;
  virtual void put(Index chunk, Index i, const float* e, const RowFacts& row) = 0;
  virtual void put(Index chunk, Index i, const double* e, const RowFacts& row) = 0;
};

/// Rows p_i of sum 1 and their masses r_i: P = diag(r) p. The Hessian of the semi-dual is made of them.
class KeptPlan : public PlanSink {
 public:
  /// out = p^T diag(r) p x.
  virtual void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const = 0;

  /// The diagonal of p^T diag(r) p, or zeros where it is small beside p^T r.
  virtual void diagonal(std::vector<double>& out) const = 0;
};

/// All of the plan, packed: a Hessian needs no more digits.
class DensePlan final : public KeptPlan {
 public:
  DensePlan(Index rows, Index cols) : cols_(cols), entries_(rows, cols), facts_(static_cast<std::size_t>(rows)) {}

  void clear(const Chunks&) override {}
  void put(Index, Index i, const float* e, const RowFacts& row) override { put_row(i, e, row); }
  void put(Index, Index i, const double* e, const RowFacts& row) override { put_row(i, e, row); }
  void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const override;
  void diagonal(std::vector<double>& out) const override;

 private:
  template <class Real>
  void put_row(Index i, const Real* e, const RowFacts& row) {
    entries_.put(i, e);
    facts_[static_cast<std::size_t>(i)] = row;
  }

  Index cols_;
  StoredEntries<isa::Packed> entries_;
  std::vector<RowFacts> facts_;
};

/// The entries that matter: those above 1e-7 of their row.
class SparsePlan final : public KeptPlan {
 public:
  explicit SparsePlan(Index cols) : cols_(cols) {}

  void clear(const Chunks& chunks) override;
  void put(Index chunk, Index, const float* e, const RowFacts& row) override { put_row(chunk, e, row); }
  void put(Index chunk, Index, const double* e, const RowFacts& row) override { put_row(chunk, e, row); }
  void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const override;
  void diagonal(std::vector<double>& out) const override;

 private:
  struct Part {
    std::vector<Index> start;  ///< of each row, and the end of the last
    std::vector<Node> cols;
    std::vector<float> values;  ///< of sum 1 in each row
    std::vector<double> masses;
    std::vector<Node> found;  ///< scratch
  };

  template <class Real>
  void put_row(Index chunk, const Real* e, const RowFacts& row);

  Index cols_;
  std::vector<Part> parts_;
};

/// Computes the entries anew for each product: O(n + m) memory.
template <class Real>
class RecomputedPlan final : public KeptPlan {
 public:
  /// Potentials v as `Sweep` has them; they must stay what they are between a sweep and the products.
  RecomputedPlan(const Rows<Real>& rows, double scale, const std::vector<double>& v)
      : rows_(rows), scale_(static_cast<Real>(scale)), v_(v), facts_(static_cast<std::size_t>(rows.rows())) {}

  void clear(const Chunks&) override {}
  void put(Index, Index i, const float*, const RowFacts& row) override { facts_[static_cast<std::size_t>(i)] = row; }
  void put(Index, Index i, const double*, const RowFacts& row) override { facts_[static_cast<std::size_t>(i)] = row; }
  void multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const override;
  void diagonal(std::vector<double>& out) const override;

 private:
  const Rows<Real>& rows_;
  Real scale_;
  const std::vector<double>& v_;
  std::vector<RowFacts> facts_;
};

/// Entries above this share of their row matter to a Hessian.
inline constexpr double kNegligible = 1e-7;

}  // namespace otfast::entropic
