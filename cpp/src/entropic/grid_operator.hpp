// Sums over the pairs of a grid, an axis at a time.
#pragma once

#include <vector>

#include "chunks.hpp"
#include "otfast/core/aligned.hpp"
#include "otfast/entropic/grid.hpp"

namespace otfast::entropic {

/// 2^(-c_ij) for the costs c = scale * C of a grid. In the log domain every axis is a softmin, safe for any scale; in
/// the linear domain it is a product with a small matrix.
class GridOperator {
 public:
  GridOperator(const AxisCosts& axes, double scale);

  Index size() const { return size_; }

  /// -log2 sum_j 2^(in_j - c_ij) for all i; no `in` is +inf. Remembers what `average` needs.
  std::vector<double> softmin(const std::vector<double>& in, Pulse& pulse);

  /// sum_j p_ij x_j, where p_ij = 2^(in_j - c_ij + softmin_i) of the last softmin: weights of sum 1. Adds sum_j p_ij
  /// C_ij if `with_cost`.
  std::vector<double> average(std::vector<double> x, bool with_cost, Pulse& pulse) const;

  /// sum_j 2^(-c_ij) x_j.
  std::vector<double> multiply(std::vector<double> x, Pulse& pulse) const;

 private:
  /// The grid as one axis sees it: `before` and `after` are the numbers of points along the axes on both sides.
  struct Axis {
    Index before = 1, length = 1, after = 1;
    AlignedVector<double> cost;    ///< scaled, length x length
    AlignedVector<double> kernel;  ///< 2^-cost
    std::vector<double> in, out;   ///< of the last softmin along this axis
  };

  void softmin_along(Axis& axis, Pulse& pulse) const;
  std::vector<double> average_along(const Axis& axis, const std::vector<double>& x, bool with_cost, Pulse& pulse) const;
  std::vector<double> multiply_along(const Axis& axis, const std::vector<double>& x, Pulse& pulse) const;

  double scale_;
  Index size_ = 1;
  std::vector<Axis> axes_;  ///< in the order in which they are summed: the last first, which lies in memory in a row
};

}  // namespace otfast::entropic
