// The passes over all pairs of an interior-point method for transport plans.
#pragma once

#include <vector>

#include "otfast/core/views.hpp"

namespace otfast::barycenter {

/// A plan X and the slacks S of its dual constraints f_i + g_j + S_ij = C_ij, all positive, of shape (n, m) and without
/// gaps between rows. A change df, dg of the potentials lowers S_ij by the share t_ij = (df_i + dg_j) / S_ij.
struct PrimalDual {
  MatrixView<double> plan;
  MatrixView<double> slack;
};

/// A change of the potentials.
struct Direction {
  VectorView<const double> f;  ///< n
  VectorView<const double> g;  ///< m
};

/// Sums of the weights D_ij = X_ij / S_ij of the normal equations, and of X.
struct Scaling {
  std::vector<double> rows;  ///< sum_j D_ij
  std::vector<double> cols;  ///< sum_i D_ij
  std::vector<double> plan_rows;
  std::vector<double> plan_cols;
  double complementarity = 0.0;  ///< <X, S>
};

/// Writes D_ij / sqrt(sum_l D_il) to `scaled` (n, m).
Scaling scale_pairs(const PrimalDual& pairs, MatrixView<double> scaled);

/// What an affine step, dX_ij = X_ij (t_ij - 1), tells about the next one.
struct Prediction {
  double least = 0.0;                ///< of all t_ij: the plan takes 1 / (1 - least) of the step
  double most = 0.0;                 ///< of all t_ij: the slacks take 1 / most of it
  double linear = 0.0;               ///< sum_ij X_ij S_ij t_ij
  double quadratic = 0.0;            ///< sum_ij X_ij S_ij t_ij^2
  std::vector<double> inverse_rows;  ///< sum_j 1 / S_ij
  std::vector<double> inverse_cols;
  std::vector<double> second_rows;  ///< sum_j X_ij t_ij (t_ij - 1): what the product of both changes asks for
  std::vector<double> second_cols;
};

Prediction predict(const PrimalDual& pairs, const Direction& affine);

/// The corrected step dX_ij = X_ij (s / (X_ij S_ij) + t_ij (t_ij - 1) - 1 + u_ij) with t from `affine`, u from `full`
/// and s = `target` (Mehrotra 1992).
struct Correction {
  Direction affine;
  Direction full;
  double target = 0.0;
};

/// Extreme relative changes.
struct Extremes {
  double plan = 0.0;   ///< the least dX_ij / X_ij
  double slack = 0.0;  ///< the largest u_ij
};

Extremes find_extremes(const PrimalDual& pairs, const Correction& correction);

/// Goes so far along the corrected step in X and in S.
void take_step(const PrimalDual& pairs, const Correction& correction, double plan_step, double slack_step);

}  // namespace otfast::barycenter
