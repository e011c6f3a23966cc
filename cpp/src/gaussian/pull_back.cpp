#include "candidate.hpp"
#include "inputs.hpp"
#include "otfast/gaussian/barycenter.hpp"
#include "products.hpp"

namespace otfast::gaussian {
namespace {

/// Implicit differentiation of sum_k w_k T_k = I, seen from L: the second derivative D of the objective has
/// D(Y) = L^T (sum_k dw_k T_k + w_k dT_k) L for the change dS = L Y L^T, and with D(X) = L^T U L a loss changes by
/// <U, dS> = sum_k dw_k <X, H_k> + w_k <X, L^T dT_k L>, where H_k (L^T dT_k L) + (L^T dT_k L) H_k = L^T dS_k L.
template <int dim>
void pull_back_in(const Family& family, MatrixView<const double> covariance, MatrixView<const double> u,
                  double* of_covariances, VectorView<double> of_weights, Monitor& monitor) {
  Inputs<dim> inputs(family, monitor);
  const Eigen::SelfAdjointEigenSolver<Square<dim>> eigen(read_symmetric<dim>(covariance) / inputs.scale());
  const Candidate<dim> at(eigen.eigenvectors() * eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt().asDiagonal(),
                          inputs.negligible());
  const Square<dim>& L = at.L;
  inputs.look_from(L);
  const Square<dim> U = read_symmetric<dim>(u);
  const Square<dim> right = transposed_product<dim>(L, product<dim>(U, L));
  const Model<dim> model{.inputs = inputs, .at = at, .slope = Square<dim>::Zero(L.rows(), L.cols())};
  const Square<dim> X = model.solve(right, 1e-13, 1000);
  inputs.sum([&](Index k, Square<dim>&) {
    const Square<dim>& Q = inputs.basis(k);
    const Vector<dim>& s = inputs.values(k);
    Square<dim> turned = transposed_product<dim>(Q, product<dim>(X, Q));
    of_weights[k] = inputs.scale() * turned.diagonal().dot(s);
    const double least = inputs.negligible() * s.maxCoeff();
    for (Eigen::Index j = 0; j < inputs.size(); ++j) {
      for (Eigen::Index i = 0; i < inputs.size(); ++i) {
        const double both = s[i] + s[j];
        turned(i, j) *= both > least ? inputs.weight(k) / both : 0.0;
      }
    }
    const Square<dim> LQ = product<dim>(L, Q);
    Square<dim> gradient = Square<dim>::Zero(L.rows(), L.cols());
    add_product<dim>(gradient, product<dim>(LQ, turned), transpose(LQ), true);
    const Index d = family.dim;
    write_symmetric<dim>(gradient, {of_covariances + k * d * d, d, d, d});
  });
}

}  // namespace

void pull_back(const Family& family, MatrixView<const double> covariance, MatrixView<const double> u,
               double* of_covariances, VectorView<double> of_weights, Monitor& monitor) {
  with_dimension(family.dim, [&](auto size) {
    pull_back_in<decltype(size)::value>(family, covariance, u, of_covariances, of_weights, monitor);
  });
}

}  // namespace otfast::gaussian
