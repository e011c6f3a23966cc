// Passes over the pairs of a grid.
#pragma once

#include <memory>
#include <vector>

#include "grid_operator.hpp"
#include "pairs.hpp"

namespace otfast::entropic {

class GridPairs final : public Pairs {
 public:
  /// What is viewed or referred to must outlive this object.
  GridPairs(const AxisCosts& axes, VectorView<const double> a, VectorView<const double> b, const Options& options);

  void sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
             Pulse& pulse) override;
  void rough_sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
                   Pulse& pulse) override;
  bool has_rough() const override { return false; }
  std::vector<double> softmin(const std::vector<double>& x, const std::vector<Node>& cols, Pulse& pulse) override;
  std::unique_ptr<ScalingKernel> new_kernel() override;
  std::unique_ptr<KeptPlan> new_plan(const std::vector<double>& v, Pulse& pulse) override;
  std::vector<double> start(Monitor& monitor) override;
  double fast_contraction() const override;
  double precision() const override;
  double faintest() const override { return 1e-290; }

 private:
  friend class GridKernel;
  friend class GridPlan;

  void sweep_linear(const std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, Pulse& pulse);
  void sweep_log(const std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, Pulse& pulse);

  const AxisCosts& axes_;
  VectorView<const double> a_;
  VectorView<const double> b_;
  const Options& options_;
  double damping_;
  bool is_linear_;
  GridOperator to_rows_;  ///< sums over columns; in the log domain each direction remembers its own softmins
  GridOperator to_cols_;

  // What the last sweep leaves to products with its plan.
  std::vector<double> mass_;        ///< of the rows
  std::vector<double> column_;      ///< sums
  std::vector<double> of_columns_;  ///< linear: 2^(v_j - shift)
  std::vector<double> of_rows_;     ///< linear: 1 / sum_j 2^(v_j - shift - c_ij)
};

}  // namespace otfast::entropic
