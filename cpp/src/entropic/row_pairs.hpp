// Passes over the rows of a cost.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "otfast/entropic/sinkhorn.hpp"
#include "pairs.hpp"
#include "rows.hpp"
#include "sweep.hpp"

namespace otfast::entropic {

/// Arithmetic over pairs is in the precision Real.
template <class Real, class T>
class RowPairs final : public Pairs {
 public:
  /// What is viewed or referred to must outlive this object. `skips` is whether to look for pairs that do not matter,
  /// where the cost has bounds; then neighbours in order must be near.
  RowPairs(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b, const Options& options,
           bool skips);

  void sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
             Pulse& pulse) override;
  void rough_sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
                   Pulse& pulse) override;
  bool has_rough() const override;
  std::vector<double> softmin(const std::vector<double>& x, const std::vector<Node>& cols, Pulse& pulse) override;
  std::unique_ptr<ScalingKernel> new_kernel() override;
  std::unique_ptr<KeptPlan> new_plan(const std::vector<double>& v, Pulse& pulse) override;
  std::vector<double> start(Monitor& monitor) override;
  double fast_contraction() const override;
  double precision() const override;
  double faintest() const override;

 private:
  template <class Any>
  std::unique_ptr<ActiveColumns> active(const Rows<Any>& rows) const {
    return skips_ ? ActiveColumns::find(rows, scale_, a_, b_) : nullptr;
  }

  const Cost<T>& cost_;
  VectorView<const double> a_;
  VectorView<const double> b_;
  const Options& options_;
  double scale_;
  double damping_;
  bool skips_;
  Rows<Real> rows_;
  Sweep<Real> sweep_;
  std::optional<Sweep<float>> rough_;
};

}  // namespace otfast::entropic
