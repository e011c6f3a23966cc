// Sums over the pairs of a grid, an axis at a time.
#pragma once

#include <vector>

#include "chunks.hpp"
#include "otfast/core/aligned.hpp"
#include "otfast/entropic/grid.hpp"

namespace otfast::entropic {

/// 2^(-c_ij) for the costs c = scale * C of a grid. In the log domain every axis is a softmin, safe for any scale; in
/// the linear domain it is a product with a small matrix, and so it is in the log domain where nothing underflows.
class GridOperator {
 public:
  GridOperator(const AxisCosts& axes, double scale);

  Index size() const { return size_; }

  // Vectors hold a function on the grid, or several, one after another.

  /// -log2 sum_j 2^(in_j - c_ij) for all i; no `in` is +inf. Remembers what `average` needs.
  std::vector<double> softmin(std::vector<double> in, Pulse& pulse);

  /// log2 sum_j 2^(in_j - c_ij): the same with the other sign, remembering nothing, and all axes in one go where double
  /// precision spans the sums.
  std::vector<double> log_sums(std::vector<double> in, Pulse& pulse);

  /// sum_j p_ij x_j, where p_ij = 2^(in_j - c_ij + softmin_i) of the last softmin: weights of sum 1. Adds sum_j p_ij
  /// C_ij if `with_cost`.
  std::vector<double> average(std::vector<double> x, bool with_cost, Pulse& pulse) const;

  /// sum_j 2^(-c_ij) x_j.
  std::vector<double> multiply(const std::vector<double>& x, Pulse& pulse) const;

  /// The same in memory that is there.
  void multiply(const std::vector<double>& x, std::vector<double>& out, std::vector<double>& scratch,
                Pulse& pulse) const;

 private:
  /// The grid as one axis sees it: `after` is the number of points along the axes behind it.
  struct Axis {
    Index length = 1, after = 1;
    AlignedVector<double> cost;          ///< scaled, length x length
    AlignedVector<double> kernel;        ///< 2^-cost
    AlignedVector<double> block_maxima;  ///< of the kernel
    std::vector<double> in, out;         ///< of the last softmin along this axis
  };

  /// Some lines along an axis: the entry j of line q stands at first + q * across + j * along.
  struct Lines {
    Index first, count, across, along;
  };

  /// Calls body(lines) until all lines of a vector along an axis are visited; threads share them.
  template <class Body>
  static void for_blocks(std::size_t size, const Axis& axis, Pulse& pulse, const Body& body);

  void softmin_along(Axis& axis, Pulse& pulse) const;
  static void softmin_of_lines(Axis& axis, const Lines& lines);
  std::vector<double> average_along(const Axis& axis, const std::vector<double>& x, bool with_cost, Pulse& pulse) const;
  static void multiply_lines(const Axis& axis, const double* in, Index along, Index count, double* out);

  double scale_;
  Index size_ = 1;
  std::vector<Axis> axes_;  ///< in the order in which they are summed: the last first, which lies in memory in a row
};

}  // namespace otfast::entropic
