// What the files of this room share of Eigen.
#pragma once

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <limits>
#include <type_traits>
#include <utility>

#include "otfast/core/views.hpp"

namespace otfast::gaussian {

/// A square matrix whose size the compiler knows, or not (`Eigen::Dynamic`).
template <int dim>
using Square = Eigen::Matrix<double, dim, dim>;
template <int dim>
using Vector = Eigen::Matrix<double, dim, 1>;

/// Variances below this share of the largest, times the dimension, are what rounding leaves of zero.
inline constexpr double kDegenerate = 10.0 * std::numeric_limits<double>::epsilon();

/// Calls work(std::integral_constant<int, ...>) for the dimension: small ones are worth code of their own, which needs
/// no allocation and no loops.
template <class Work>
auto with_dimension(Index dim, const Work& work) {
  switch (dim) {
    case 2: return work(std::integral_constant<int, 2>{});
    case 3: return work(std::integral_constant<int, 3>{});
    default: return work(std::integral_constant<int, Eigen::Dynamic>{});
  }
}

/// Reads a symmetric matrix, for which the order of rows and columns does not matter.
template <int dim>
Square<dim> read_symmetric(MatrixView<const double> from) {
  return Eigen::Map<const Square<dim>, 0, Eigen::OuterStride<>>(from.data, from.rows, from.cols,
                                                                Eigen::OuterStride<>(from.stride));
}

/// Writes one, symmetric to the last bit.
template <int dim>
void write_symmetric(const Square<dim>& matrix, MatrixView<double> to) {
  for (Index i = 0; i < to.rows; ++i) {
    for (Index j = 0; j <= i; ++j) to(i, j) = to(j, i) = matrix(i, j);
  }
}

}  // namespace otfast::gaussian
