// What the solver knows of a cost: passes over all pairs, however they are made.
#pragma once

#include <memory>
#include <vector>

#include "chunks.hpp"
#include "kept_plan.hpp"
#include "otfast/core/views.hpp"

namespace otfast::entropic {

/// Sinkhorn's iterations on scalings instead of potentials.
class ScalingKernel {
 public:
  virtual ~ScalingKernel() = default;

  /// Rows are scaled to `a` against the scalings y of the columns; returns the sum of each column over y_j.
  virtual std::vector<double> scale_rows(const std::vector<double>& y, Pulse& pulse) const = 0;

  /// Where the sweeps before iterations on this kernel leave their entries; null if it needs none.
  virtual PlanSink* sink() = 0;

  /// The L1 error that its rounding may hide.
  virtual double rounding() const = 0;
};

/// Everything in base 2, and costs in units of epsilon ln 2: c = C log2(e) / epsilon. The plan is
///   P_ij = a_i 2^(u_i + v_j - c_ij),   u_i = f_i log2(e) / epsilon,   v_j = g_j log2(e) / epsilon + log2(b_j).
class Pairs {
 public:
  virtual ~Pairs() = default;

  /// Sets u_i = -damping log2 sum_j 2^(v_j - c_ij), +inf for a row without a way, and column_j = sum_i P_ij. Potentials
  /// v are rounded to the precision in use; what u holds before is a guess. The plan goes to `keep` unless it is null.
  virtual void sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
                     Pulse& pulse) = 0;

  /// The same in single precision, where `has_rough()`: for those who want no more than an error of 1e-3.
  virtual void rough_sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
                           Pulse& pulse) = 0;
  virtual bool has_rough() const = 0;

  /// -log2 sum_i 2^(x_i - c_ij) for some columns, safe for any x; +inf for a column without a way.
  virtual std::vector<double> softmin(const std::vector<double>& x, const std::vector<Node>& cols, Pulse& pulse) = 0;

  /// A kernel for iterations in memory, null where none is to be had.
  virtual std::unique_ptr<ScalingKernel> new_kernel() = 0;

  /// A plan that keeps what sweeps near v leave: the cheapest to multiply with that memory allows. It may refer to v.
  virtual std::unique_ptr<KeptPlan> new_plan(const std::vector<double>& v, Pulse& pulse) = 0;

  /// Potentials g, in units of the cost, for Newton's method to start from.
  virtual std::vector<double> start(Monitor& monitor) = 0;

  /// Where marginals are cheap, iterations contract by a factor whatever the cost; up to this one they are faster than
  /// Newton's method.
  virtual double fast_contraction() const = 0;

  virtual double precision() const = 0;  ///< the rounding unit of a sweep
  virtual double faintest() const = 0;   ///< shares of the mass below which column sums mean nothing
};

}  // namespace otfast::entropic
