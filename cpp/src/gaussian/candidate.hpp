// A candidate for the barycenter, and a quadratic model of the objective there.
#pragma once

#include "inputs.hpp"
#include "matrices.hpp"
#include "products.hpp"

namespace otfast::gaussian {

/// S = L L^T, with L such that L^T L is diagonal.
///
/// A variance that falls below a share of the largest is lifted to it: the barycenter may have a variance of zero, but
/// on the way there is no telling, and what is zero could never grow again. Only directions in which no input has any
/// variance are without: their columns of L are zero.
template <int dim>
struct Candidate {
  Square<dim> L;
  Vector<dim> variances;  ///< the diagonal of L^T L: the eigenvalues of S, ascending
  Vector<dim> inverse;    ///< 1 over each, or 0
  Eigen::Index rank;      ///< number of variances above zero

  /// The first one, in which variances up to the share `negligible` of the largest are zero.
  Candidate(const Square<dim>& factor, double negligible) {
    diagonalize(factor);
    rank = (variances.array() > negligible * variances.maxCoeff()).count();
    settle();
  }

  /// The next one, of the same rank.
  Candidate(const Square<dim>& factor, Eigen::Index known_rank) : rank(known_rank) {
    diagonalize(factor);
    settle();
  }

 private:
  void diagonalize(const Square<dim>& factor) {
    Square<dim> gram = Square<dim>::Zero(factor.rows(), factor.cols());
    add_product<dim>(gram, transpose(factor), factor, true);
    const Eigen::SelfAdjointEigenSolver<Square<dim>> eigen(gram);
    L = product<dim>(factor, eigen.eigenvectors());
    variances = L.colwise().squaredNorm().transpose();
  }

  void settle() {
    constexpr double kFloor = 1e-12;
    const Eigen::Index null = L.cols() - rank;
    L.leftCols(null).setZero();
    variances.head(null).setZero();
    const double floor = kFloor * variances.maxCoeff();
    for (Eigen::Index j = null; j < L.cols(); ++j) {
      if (variances[j] >= floor || variances[j] == 0.0) continue;
      L.col(j) *= std::sqrt(floor / variances[j]);
      variances[j] = floor;
    }
    inverse = variances.unaryExpr([](double variance) { return variance > 0.0 ? 1.0 / variance : 0.0; });
  }
};

/// A quadratic model of half the objective around a candidate, in the Y of dS = L Y L^T.
template <int dim>
struct Model {
  const Inputs<dim>& inputs;
  const Candidate<dim>& at;
  Square<dim> slope;  ///< semi-definite, adds a curvature (slope Y + Y slope) / 4; zero in the plain model

  Square<dim> curvature(const Square<dim>& Y) const {
    Square<dim> result = inputs.second_derivative(Y);
    const Square<dim> half = product<dim>(slope, Y);
    result += (half + half.transpose()) / 4.0;
    return result;
  }

  /// What the curvature would be, entry by entry, if the inputs were all alike: then H_k = L^T L, which is diagonal.
  Square<dim> scale() const {
    Square<dim> entries(at.L.rows(), at.L.cols());
    for (Eigen::Index j = 0; j < entries.cols(); ++j) {
      for (Eigen::Index i = 0; i < entries.rows(); ++i) {
        const double x = at.variances[i], y = at.variances[j];
        entries(i, j) = x > 0.0 && y > 0.0 ? x * y / (x + y) + (slope(i, i) + slope(j, j)) / 4.0 : 0.0;
      }
    }
    return entries;
  }

  /// Solves curvature(Y) = right by conjugate gradients, preconditioned by the scale, to a residual of `tolerance`
  /// relative to the right side.
  Square<dim> solve(const Square<dim>& right, double tolerance, Index max_steps) const {
    const Square<dim> inverse = scale().unaryExpr([](double entry) { return entry > 0.0 ? 1.0 / entry : 0.0; });
    const auto inner = [](const Square<dim>& x, const Square<dim>& y) { return x.cwiseProduct(y).sum(); };
    Square<dim> Y = Square<dim>::Zero(right.rows(), right.cols());
    Square<dim> residual = right;
    Square<dim> z = inverse.cwiseProduct(residual);
    Square<dim> direction = z;
    double norm = inner(residual, z);
    const double enough = tolerance * tolerance * norm;
    for (Index step = 0; step < max_steps && norm > enough; ++step) {
      const Square<dim> image = curvature(direction);
      const double along = inner(direction, image);
      if (!(along > 0.0)) break;
      const double length = norm / along;
      Y += length * direction;
      residual -= length * image;
      z = inverse.cwiseProduct(residual);
      const double before = norm;
      norm = inner(residual, z);
      direction = z + (norm / before) * direction;
    }
    return (Y + Y.transpose()) / 2.0;
  }
};

}  // namespace otfast::gaussian
