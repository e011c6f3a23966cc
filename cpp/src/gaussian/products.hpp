// Products of square matrices: those of unknown size with the kernels of this processor.
#pragma once

#include "isa/kernels.hpp"
#include "matrices.hpp"
#include "otfast/core/aligned.hpp"

namespace otfast::gaussian {

/// A factor of a product, which may be transposed.
template <int dim>
struct Factor {
  Factor(const Square<dim>& factor) : matrix(factor) {}
  Factor(const Square<dim>& factor, bool is_transposed) : matrix(factor), transposed(is_transposed) {}

  const Square<dim>& matrix;
  bool transposed = false;
};

/// A^T, as a factor.
template <class Matrix>
Factor<Matrix::RowsAtCompileTime> transpose(const Matrix& matrix) {
  return {matrix, true};
}

/// total += A B; of a product that is symmetric, `triangle` computes the lower half alone.
template <int dim>
void add_product(Square<dim>& total, Factor<dim> A, Factor<dim> B, bool triangle = false) {
  if constexpr (dim != Eigen::Dynamic) {
    const auto as_given = [](const Factor<dim>& factor) -> Square<dim> {
      return factor.transposed ? Square<dim>(factor.matrix.transpose()) : factor.matrix;
    };
    total.noalias() += as_given(A) * as_given(B);
  } else {
    const auto strided = [](const Factor<dim>& factor) {
      const Index step = factor.matrix.rows();
      return isa::Strided<double>{factor.matrix.data(), factor.transposed ? step : 1, factor.transposed ? 1 : step};
    };
    thread_local AlignedVector<double> scratch(static_cast<std::size_t>(isa::kProductScratch));
    const Index size = total.rows();
    isa::kernels<double>().multiply(strided(A), strided(B), size, size, size, triangle, total.data(), size,
                                    scratch.data());
  }
}

/// A B.
template <int dim>
Square<dim> product(const Square<dim>& A, const Square<dim>& B) {
  Square<dim> result = Square<dim>::Zero(A.rows(), A.cols());
  add_product<dim>(result, A, B);
  return result;
}

/// A^T B.
template <int dim>
Square<dim> transposed_product(const Square<dim>& A, const Square<dim>& B) {
  Square<dim> result = Square<dim>::Zero(A.rows(), A.cols());
  add_product<dim>(result, transpose(A), B);
  return result;
}

/// Copies the lower half to the upper one.
template <int dim>
void make_symmetric(Square<dim>& matrix) {
  matrix.template triangularView<Eigen::StrictlyUpper>() = matrix.transpose();
}

}  // namespace otfast::gaussian
