// Incremental ascent on the semi-dual of entropic transport: a few rows of the cost at a time.
#pragma once

#include <memory>
#include <vector>

#include "otfast/core/aligned.hpp"
#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/types.hpp"
#include "otfast/core/views.hpp"

namespace otfast::entropic {

template <class Real>
class ColumnSums;

enum class Increment {
  sag,   ///< stochastic averaged gradient: the last gradient of every row is kept, n * m numbers of type Real
  asgd,  ///< averaged stochastic gradient: nothing but potentials and their mean is kept
};

struct AscentOptions {
  Increment method = Increment::asgd;
  double epsilon = 1.0;
  double step = 1.0;  ///< in units of the cost, as the potentials; asgd divides it by the root of the iteration
  Index batch = 1;    ///< rows to an iteration
  VectorView<const double> a{};  ///< sag: weights of the rows, of total 1
};

/// Maximises sum_j b_j g_j - epsilon sum_i a_i log sum_j b_j exp((g_j - C_ij) / epsilon) over g, where `b` has total 1.
/// The gradient is the mean of b - p_i, p_ij in proportion to b_j exp((g_j - C_ij) / epsilon).
template <class Real>
class Ascent {
 public:
  Ascent(VectorView<const double> b, const AscentOptions& options);
  ~Ascent();

  /// One iteration for each `batch` of `rows`, which are to be drawn at random; asgd: in proportion to their weights.
  /// Returns false if the monitor asks to stop. sag must get the same cost every time.
  template <class T>
  bool run(const Cost<T>& cost, VectorView<const Index> rows, Monitor& monitor);

  /// The potentials g, of asgd their mean over the iterations, later ones weighing more; 0 where b is.
  std::vector<double> potentials();

  /// sag: the L1 norm of the gradient, as far as the kept gradients tell; else NaN.
  double error() const;

  Index iterations() const { return iterations_; }

 private:
  struct Workspace;

  /// Brings the slope up to date with some rows, which are sorted if they are kept.
  void update_slope(std::vector<Workspace>& work, VectorView<const Index> rows, Monitor& monitor);

  /// Adds to the slope what the row i changes in it.
  void update_row(Workspace& work, Index i, double weight, Real* slope);

  /// Goes along the slope.
  void move();

  Index cols_;
  Increment method_;
  double scale_;  ///< from costs to exponents of base 2
  double step_;   ///< in base 2
  Index batch_;
  std::vector<double> a_;
  std::vector<double> log_b_;
  AlignedVector<Real> b_;
  AlignedVector<Real> v_;                    ///< g in base 2 plus log2 b: minus infinity where b is 0
  AlignedVector<Real> slope_;                ///< the gradient; sag: `seen_` times it
  UnfilledVector<Real> kept_;                ///< sag: e_ij = a_i p_ij / kept_weight_i, row after row
  std::vector<Real> kept_weight_;            ///< negative for rows that were not drawn yet
  double seen_ = 0.0;                        ///< sag: the weight of the rows drawn so far
  std::unique_ptr<ColumnSums<Real>> moves_;  ///< sum of all steps: in single precision v forgets the smallest
  std::unique_ptr<ColumnSums<Real>> mean_;   ///< asgd: sum of k v over the iterations k
  Index iterations_ = 0;
};

}  // namespace otfast::entropic
