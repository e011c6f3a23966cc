#include "otfast/gaussian/barycenter.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "candidate.hpp"
#include "inputs.hpp"
#include "products.hpp"

namespace otfast::gaussian {
namespace {

/// Newton's method, and steps of the fixed point S <- S^-1/2 (sum_k w_k (S^1/2 S_k S^1/2)^1/2)^2 S^-1/2 where
/// it fails: those never increase the objective (Álvarez-Esteban et al. 2016, proposition 3.3 and theorem 4.2). They
/// converge linearly, Newton's steps quadratically; conjugate gradients are cheap beside the eigenvectors of all inputs
/// that a step of either kind needs.
template <int dim>
class Solver {
 public:
  Solver(const Family& family, Monitor& monitor)
      : monitor_(monitor), inputs_(family, monitor), trace_(inputs_.mean_trace()), here_(start()) {}

  Barycenter run(const BarycenterOptions& options) {
    Barycenter result;
    for (;; ++result.iterations) {
      result.error = here_.error;
      result.value = value();
      const bool is_fixed = options.tolerance > 0.0 && here_.error <= options.tolerance;
      const std::optional<Square<dim>> rising = is_fixed ? rising_directions() : std::nullopt;
      if (is_fixed && !rising) {
        result.status = Status::optimal;
        break;
      }
      if (result.iterations == options.max_iterations) break;
      if (monitor_.due()) monitor_.report({result.iterations, result.error, result.value});
      if (monitor_.stopped()) {
        result.status = Status::stopped;
        break;
      }
      if (rising) {
        lift(*rising);
      } else {
        advance(options.tolerance);
      }
    }
    return result;
  }

  Square<dim> covariance() const {
    const Square<dim>& L = here_.candidate.L;
    Square<dim> result = Square<dim>::Zero(L.rows(), L.cols());
    add_product<dim>(result, L, transpose(L), true);
    return inputs_.scale() * result;
  }

 private:
  /// A candidate, and what the inputs say about it.
  struct Place {
    Candidate<dim> candidate;
    Square<dim> mean;      ///< sum_k w_k H_k
    Square<dim> residual;  ///< mean - L^T L: minus half of the gradient, seen from L
    double error;          ///< norm of the residual relative to that of L^T L, which is that of S
    double objective;      ///< tr S - 2 sum_k w_k tr H_k
  };

  Place look(Candidate<dim> candidate) {
    Square<dim> mean = inputs_.look_from(candidate.L);
    Square<dim> residual = mean;
    residual.diagonal() -= candidate.variances;
    const double norm = candidate.variances.norm();
    const double error = norm > 0.0 ? residual.norm() / norm : 0.0;
    const double objective = candidate.variances.sum() - 2.0 * mean.trace();
    return {std::move(candidate), std::move(mean), std::move(residual), error, objective};
  }

  Place look(const Square<dim>& factor) { return look(Candidate<dim>(factor, here_.candidate.rank)); }

  /// Whatever the weights, this has the range of a barycenter of full rank; it is the barycenter if the inputs commute.
  Place start() { return look(Candidate<dim>(inputs_.mean_root(), inputs_.negligible())); }

  double value() const { return inputs_.scale() * std::max(0.0, trace_ + here_.objective); }

  void advance(double tolerance) {
    if (waiting_ == 0) {
      Place there = look(newton_step(tolerance));
      if (there.objective <= here_.objective + kRounding * trace_) {
        here_ = std::move(there);
        return;
      }
      waiting_ = patience_;
      patience_ = std::min(2 * patience_, kMostPatience);
    }
    --waiting_;
    here_ = look(fixed_point_step());
  }

  /// S is optimal if it is a fixed point and T = sum_k w_k T_k <= I everywhere: with T_k / c for c the largest
  /// eigenvalue of T, duality bounds the objective from below. At a fixed point that has lost a variance which the
  /// barycenter has, c is larger than 1. Returns the projection on eigenvectors of such eigenvalues, L^-1 T L seen as a
  /// symmetric matrix.
  std::optional<Square<dim>> rising_directions() const {
    const Vector<dim> inverse = here_.candidate.inverse.cwiseSqrt();
    const Square<dim> excess = inverse.asDiagonal() * here_.residual * inverse.asDiagonal();
    if (excess.norm() <= kExcess) return std::nullopt;
    const Eigen::SelfAdjointEigenSolver<Square<dim>> eigen(excess);
    const Vector<dim> chosen = eigen.eigenvalues().unaryExpr([](double value) { return value > kExcess ? 1.0 : 0.0; });
    if (chosen.sum() == 0.0) return std::nullopt;
    const Square<dim> vectors = eigen.eigenvectors() * chosen.asDiagonal();
    Square<dim> projection = Square<dim>::Zero(vectors.rows(), vectors.cols());
    add_product<dim>(projection, vectors, transpose(vectors));
    return projection;
  }

  /// Lets the variance grow along these directions, as much as lowers the objective.
  void lift(const Square<dim>& directions) {
    const Vector<dim> deviations = here_.candidate.variances.cwiseSqrt();
    const Square<dim> unit = here_.candidate.L * here_.candidate.inverse.cwiseSqrt().asDiagonal();
    for (double factor = kLargestLift; factor > 2.0; factor /= 10.0) {
      Square<dim> stretch = (factor - 1.0) * directions;
      stretch.diagonal().array() += 1.0;
      Place there = look(product<dim>(unit, stretch * deviations.asDiagonal()));
      if (there.objective < here_.objective) {
        here_ = std::move(there);
        return;
      }
    }
    here_ = look(fixed_point_step());
  }

  /// L (I + Y/2), where dS = L Y L^T minimises the model. Variances of the barycenter may be zero, if the inputs are
  /// singular: there the objective falls with slope L^T (I - sum_k w_k T_k) L and has no curvature in S, but as a
  /// function of L it has this slope for its curvature. No variance changes out of proportion in one step: one that
  /// were zero by mistake could never grow again.
  Square<dim> newton_step(double tolerance) const {
    const Model<dim> model{.inputs = inputs_, .at = here_.candidate, .slope = falling_slope()};
    const double forcing = std::min(kLoosest, std::max(here_.error, 0.1 * tolerance / here_.error));
    Square<dim> Y = model.solve(here_.residual, forcing, kSteps);
    if (Y.norm() < kSmallChange) {
      Y *= 0.5;
      Y.diagonal().array() += 1.0;
      return product<dim>(here_.candidate.L, Y);
    }
    const Eigen::SelfAdjointEigenSolver<Square<dim>> change(Y);
    const Vector<dim> stretch =
        change.eigenvalues().unaryExpr([](double y) { return std::clamp(1.0 + y / 2.0, kLeast, kMost); });
    const Square<dim> stretched = change.eigenvectors() * stretch.asDiagonal();
    Square<dim> step = Square<dim>::Zero(stretched.rows(), stretched.cols());
    add_product<dim>(step, stretched, transpose(change.eigenvectors()));
    return product<dim>(here_.candidate.L, step);
  }

  /// The positive part of L^T (I - sum_k w_k T_k) L; zero where no variance falls fast.
  Square<dim> falling_slope() const {
    const Square<dim>& residual = here_.residual;
    Square<dim> result = Square<dim>::Zero(residual.rows(), residual.cols());
    if ((-residual.diagonal()).cwiseProduct(here_.candidate.inverse).maxCoeff() < kSlowFall) return result;
    const Eigen::SelfAdjointEigenSolver<Square<dim>> slope(-residual);
    const Square<dim> falling = slope.eigenvectors() * slope.eigenvalues().cwiseMax(0.0).cwiseSqrt().asDiagonal();
    add_product<dim>(result, falling, transpose(falling));
    return result;
  }

  /// sum_k w_k T_k L = L (L^T L)^-1 sum_k w_k H_k.
  Square<dim> fixed_point_step() const {
    const Square<dim> scaled = here_.candidate.L * here_.candidate.inverse.asDiagonal();
    return product<dim>(scaled, here_.mean);
  }

  static constexpr double kRounding = 1e-13;   ///< of the objective
  static constexpr double kLoosest = 0.1;      ///< relative residual of Newton's equation
  static constexpr double kLeast = 0.01;       ///< factor of a standard deviation in one step
  static constexpr double kMost = 3.0;         ///< the same
  static constexpr Index kMostPatience = 64;   ///< steps of the fixed point after a step of Newton that failed
  static constexpr double kSmallChange = 0.5;  ///< norm of Y below which no factor is out of these bounds
  static constexpr double kSlowFall = 0.05;    ///< relative change of a variance that needs no slope
  static constexpr double kExcess = 1e-2;      ///< by which an eigenvalue of T may be larger than 1
  static constexpr double kLargestLift = 1e5;  ///< factor of a standard deviation
  static constexpr Index kSteps = 50;          ///< of conjugate gradients

  Monitor& monitor_;
  Inputs<dim> inputs_;
  double trace_;  ///< sum_k w_k tr S_k
  Place here_;
  Index waiting_ = 0;   ///< steps of the fixed point before the next one of Newton
  Index patience_ = 1;  ///< how many after the next failure
};

}  // namespace

Barycenter find_barycenter(const Family& family, const BarycenterOptions& options, MatrixView<double> covariance,
                           Monitor& monitor) {
  return with_dimension(family.dim, [&](auto size) {
    constexpr int dim = decltype(size)::value;
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    monitor.report({0, kUnknown, kUnknown});  // said again until there is something to tell
    Solver<dim> solver(family, monitor);
    const Barycenter result = solver.run(options);
    write_symmetric<dim>(solver.covariance(), covariance);
    return result;
  });
}

}  // namespace otfast::gaussian
