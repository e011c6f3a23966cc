#include "otfast/gaussian/bures.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "matrices.hpp"

namespace otfast::gaussian {
namespace {

/// F with F F^T = S. Variances up to the share `negligible` of the largest are taken for zero, and so are what rounding
/// made negative: columns of F that are zero.
template <int dim>
Square<dim> factor(const Square<dim>& S, double negligible) {
  const Eigen::LDLT<Square<dim>> cholesky(S);
  const Vector<dim> pivots = cholesky.vectorD();
  const double least = std::max(0.0, negligible * pivots.maxCoeff());
  Square<dim> F = cholesky.matrixL();
  for (Eigen::Index j = 0; j < F.cols(); ++j) {
    if (pivots[j] > least) {
      F.col(j) *= std::sqrt(pivots[j]);
    } else {
      F.col(j).setZero();
    }
  }
  return cholesky.transpositionsP().transpose() * F;
}

/// S = F F^T, T = G G^T, and F^T G = P diag(s) Q^T. Then x = F z and y = G Q P^T z, for z standard normal, are coupled
/// as well as can be: E<x, y> = tr(F^T G Q P^T) is the sum of the s (Peyré and Cuturi 2019, remark 2.31).
template <int dim>
struct Coupling {
  Square<dim> F, G, P, Q;
  Vector<dim> s;

  Coupling(MatrixView<const double> S, MatrixView<const double> T, double negligible)
      : F(factor<dim>(read_symmetric<dim>(S), negligible)), G(factor<dim>(read_symmetric<dim>(T), negligible)) {
    const Square<dim> product = F.transpose() * G;
    // Jacobi's rotations serve small matrices faster, large ones not at all.
    constexpr Eigen::Index kSmall = 16;
    if (dim != Eigen::Dynamic || product.rows() <= kSmall) {
      decompose(Eigen::JacobiSVD<Square<dim>>(product, Eigen::ComputeFullU | Eigen::ComputeFullV));
    } else {
      decompose(Eigen::BDCSVD<Square<dim>>(product, Eigen::ComputeFullU | Eigen::ComputeFullV));
    }
  }

  /// What G becomes when z is that of F.
  Square<dim> aligned() const {
    const Square<dim> rotation = Q * P.transpose();
    return G * rotation;
  }

 private:
  template <class Decomposition>
  void decompose(const Decomposition& svd) {
    if (svd.info() != Eigen::Success) throw std::overflow_error("covariances out of range");
    P = svd.matrixU();
    Q = svd.matrixV();
    s = svd.singularValues();
  }
};

}  // namespace

bool is_semidefinite(MatrixView<const double> S, double tolerance) {
  return with_dimension(S.rows, [&](auto size) {
    constexpr int dim = decltype(size)::value;
    Square<dim> shifted = read_symmetric<dim>(S);
    const double scale = shifted.cwiseAbs().maxCoeff();
    if (scale == 0.0) return true;
    shifted /= scale;
    shifted.diagonal().array() += tolerance;
    return Eigen::LLT<Square<dim>>(shifted).info() == Eigen::Success;
  });
}

double bures_squared(MatrixView<const double> S, MatrixView<const double> T) {
  return with_dimension(S.rows, [&](auto size) {
    const Coupling<decltype(size)::value> coupling(S, T, 0.0);
    // E|x - y|^2 is a sum of squares: nothing cancels where S and T are alike.
    return (coupling.F - coupling.aligned()).squaredNorm();
  });
}

void transport_matrix(MatrixView<const double> S, MatrixView<const double> T, MatrixView<double> A) {
  with_dimension(S.rows, [&](auto size) {
    constexpr int dim = decltype(size)::value;
    const double negligible = kDegenerate * static_cast<double>(S.rows);
    const Coupling<dim> coupling(S, T, negligible);
    // T^1/2 (T^1/2 S T^1/2)^-1/2 T^1/2 with any G for T^1/2, and a pseudo-inverse: no inverse of S is needed.
    Square<dim> half = coupling.G * coupling.Q;
    const double least = negligible * coupling.s.maxCoeff();
    for (Eigen::Index j = 0; j < half.cols(); ++j) {
      half.col(j) *= coupling.s[j] > least ? 1.0 / std::sqrt(coupling.s[j]) : 0.0;
    }
    const Square<dim> matrix = half * half.transpose();
    write_symmetric<dim>(matrix, A);
  });
}

void geodesic_covariance(MatrixView<const double> S, MatrixView<const double> T, double t, MatrixView<double> out) {
  with_dimension(S.rows, [&](auto size) {
    constexpr int dim = decltype(size)::value;
    const Coupling<dim> coupling(S, T, 0.0);
    const Square<dim> between = (1.0 - t) * coupling.F + t * coupling.aligned();
    const Square<dim> matrix = between * between.transpose();
    write_symmetric<dim>(matrix, out);
  });
}

}  // namespace otfast::gaussian
