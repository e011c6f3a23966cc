// The barycenter of centred Gaussians: the covariance S that minimises sum_k w_k W_2^2(S, S_k).
#pragma once

#include "otfast/core/monitor.hpp"
#include "otfast/core/status.hpp"
#include "otfast/core/views.hpp"

namespace otfast::gaussian {

/// Covariances S_k, one after the other, each dim x dim, symmetric and positive semi-definite; weights are not negative
/// and of sum 1.
struct Family {
  const double* covariances = nullptr;
  VectorView<const double> weights;
  Index dim = 0;

  Index count() const { return weights.size; }
  const double* covariance(Index k) const { return covariances + k * dim * dim; }
};

struct BarycenterOptions {
  double tolerance = 1e-10;     ///< where the error is at most this, the work is done; with 0 it never is
  Index max_iterations = 1000;  ///< steps of the fixed point or of Newton's method
};

struct Barycenter {
  Status status = Status::iteration_limit;
  double value = 0.0;    ///< sum_k w_k W_2^2(S, S_k)
  double error = 0.0;    ///< |sum_k w_k (S^1/2 S_k S^1/2)^1/2 - S| / |S|, Frobenius norms
  Index iterations = 0;  ///< steps made
};

/// Writes the barycenter to `covariance`. Uses memory of twice that of the family.
Barycenter find_barycenter(const Family& family, const BarycenterOptions& options, MatrixView<double> covariance,
                           Monitor& monitor);

/// The derivative of the barycenter, transposed. For `u`, the symmetric gradient of a loss in the barycenter
/// `covariance`, writes the gradients in the S_k, one after the other, and in the weights, up to a common constant.
void pull_back(const Family& family, MatrixView<const double> covariance, MatrixView<const double> u,
               double* of_covariances, VectorView<double> of_weights, Monitor& monitor);

}  // namespace otfast::gaussian
