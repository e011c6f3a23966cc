// Transport between two Gaussians that are centred: everything that depends on covariances alone.
#pragma once

#include "otfast/core/views.hpp"

namespace otfast::gaussian {

/// Whether S + tolerance * max |S_ij| * I is positive definite (or S = 0), for a symmetric S.
bool is_semidefinite(MatrixView<const double> S, double tolerance);

/// W_2^2 = tr S + tr T - 2 tr (S^1/2 T S^1/2)^1/2, computed without cancellation. Here and below S and T are symmetric
/// and positive semi-definite up to rounding.
double bures_squared(MatrixView<const double> S, MatrixView<const double> T);

/// The symmetric matrix of the optimal map from N(0, S) to N(0, T): A S A = T, as far as the rank of S allows.
void transport_matrix(MatrixView<const double> S, MatrixView<const double> T, MatrixView<double> A);

/// The covariance of (1 - t) x + t y under the optimal plan.
void geodesic_covariance(MatrixView<const double> S, MatrixView<const double> T, double t, MatrixView<double> out);

}  // namespace otfast::gaussian
