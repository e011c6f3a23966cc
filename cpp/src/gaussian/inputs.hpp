// The inputs of a barycenter, as they look from a candidate.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "matrices.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/gaussian/barycenter.hpp"
#include "products.hpp"

namespace otfast::gaussian {

/// A candidate is S = L L^T. From there, input k is H_k = (L^T S_k L)^1/2 = L^T T_k L, with T_k the matrix of the
/// optimal map to S_k; S is the barycenter where sum_k w_k T_k = I, which is sum_k w_k H_k = L^T L. In this form
/// nothing is inverted, and S and S_k may be singular.
///
/// Kept is H_k = Q diag(s) Q^T. The singular values s are those of R_k L, with R_k = S_k^1/2; their squares alone, the
/// eigenvalues of L^T S_k L, would lose half of the digits of small ones.
template <int dim>
class Inputs {
 public:
  Inputs(const Family& family, Monitor& monitor)
      : weights_(family.weights), size_(family.dim), monitor_(monitor), caller_(std::this_thread::get_id()) {
    const auto count = static_cast<std::size_t>(family.count());
    roots_.resize(count);
    bases_.resize(count);
    values_.resize(count);
    for (Index k = 0; k < family.count(); ++k) scale_ = std::max(scale_, covariance(family, k).trace());
    if (scale_ == 0.0) scale_ = 1.0;
    mean_root_ = sum([&](Index k, Square<dim>& total) {
      const Eigen::SelfAdjointEigenSolver<Square<dim>> eigen(covariance(family, k) / scale_);
      const double least = std::max(0.0, negligible() * eigen.eigenvalues().maxCoeff());
      const Vector<dim> roots = eigen.eigenvalues().unaryExpr([&](double w) { return w > least ? std::sqrt(w) : 0.0; });
      const Square<dim> scaled = eigen.eigenvectors() * roots.cwiseSqrt().asDiagonal();
      Square<dim>& root = roots_[place(k)];
      root = Square<dim>::Zero(size_, size_);
      add_product<dim>(root, scaled, transpose(scaled), true);
      make_symmetric<dim>(root);
      total += weights_[k] * root;
    });
  }

  Index count() const { return weights_.size; }
  Eigen::Index size() const { return size_; }
  double weight(Index k) const { return weights_[k]; }

  /// The covariances are divided by this, so that products of them stay in range.
  double scale() const { return scale_; }

  /// The share of the largest variance that is taken for zero.
  double negligible() const { return kDegenerate * static_cast<double>(size_); }

  /// sum_k w_k S_k^1/2: the root of the barycenter if the S_k commute, and of its range in any case.
  const Square<dim>& mean_root() const { return mean_root_; }

  /// sum_k w_k tr S_k.
  double mean_trace() const {
    double trace = 0.0;
    for (Index k = 0; k < count(); ++k) trace += weights_[k] * root(k).squaredNorm();
    return trace;
  }

  /// Takes all H_k from a candidate, and returns sum_k w_k H_k.
  Square<dim> look_from(const Square<dim>& L) {
    Square<dim> mean = sum([&](Index k, Square<dim>& total) {
      const Square<dim> seen = product<dim>(root(k), L);
      Square<dim> gram = Square<dim>::Zero(size_, size_);
      add_product<dim>(gram, transpose(seen), seen, true);
      const Eigen::SelfAdjointEigenSolver<Square<dim>> eigen(gram);
      Square<dim>& Q = bases_[place(k)];
      Q = eigen.eigenvectors();
      Vector<dim>& s = values_[place(k)];
      s = product<dim>(seen, Q).colwise().norm().transpose();
      const Square<dim> scaled = Q * (weights_[k] * s).cwiseSqrt().asDiagonal();
      add_product<dim>(total, scaled, transpose(scaled), true);
    });
    make_symmetric<dim>(mean);
    return mean;
  }

  /// The second derivative of S -> sum_k w_k W_2^2(S, S_k), halved and seen from L: for dS = L Y L^T, with Y
  /// symmetric, it is
  /// -sum_k w_k L^T dT_k L = sum_k w_k Q [s_i s_j / (s_i + s_j) (Q^T Y Q)_ij] Q^T, positive semi-definite.
  Square<dim> second_derivative(const Square<dim>& Y) const {
    Square<dim> result = sum([&](Index k, Square<dim>& total) {
      const Square<dim>& Q = basis(k);
      const Vector<dim>& s = values(k);
      Square<dim> turned = Square<dim>::Zero(size_, size_);
      add_product<dim>(turned, transpose(Q), product<dim>(Y, Q), true);
      for (Eigen::Index j = 0; j < size_; ++j) {
        for (Eigen::Index i = j; i < size_; ++i) {
          const double both = s[i] + s[j];
          turned(i, j) = both > 0.0 ? weights_[k] * s[i] * s[j] / both * turned(i, j) : 0.0;
        }
      }
      make_symmetric<dim>(turned);
      add_product<dim>(total, product<dim>(Q, turned), transpose(Q), true);
    });
    make_symmetric<dim>(result);
    return result;
  }

  const Square<dim>& basis(Index k) const { return bases_[place(k)]; }
  const Vector<dim>& values(Index k) const { return values_[place(k)]; }

  /// term(k, total) for every input, in parallel; terms are added in an order that depends on their number alone.
  template <class Term>
  Square<dim> sum(const Term& term) const {
    // A loop worth threads is cut into so many parts, each with a total of its own.
    constexpr Index kParts = 16;
    constexpr Index kWork = Index{1} << 18;
    const Index work = count() * size_ * size_ * size_;
    const Index grain = work < kWork ? count() : (count() + kParts - 1) / kParts;
    std::vector<Square<dim>> totals(static_cast<std::size_t>((count() + grain - 1) / grain),
                                    Square<dim>::Zero(size_, size_));
    std::atomic<bool> aborted{false};
    parallel_for(count(), grain, [&](Index begin, Index end) {
      for (Index k = begin; k < end; ++k) {
        listen(aborted);
        term(k, totals[static_cast<std::size_t>(begin / grain)]);
      }
    });
    for (std::size_t part = 1; part < totals.size(); ++part) totals[0] += totals[part];
    return std::move(totals[0]);
  }

 private:
  Eigen::Map<const Square<dim>> covariance(const Family& family, Index k) const {
    return {family.covariance(k), size_, size_};
  }

  const Square<dim>& root(Index k) const { return roots_[place(k)]; }

  static std::size_t place(Index k) { return static_cast<std::size_t>(k); }

  /// Only the calling thread may ask the monitor; the others learn from `aborted` that the work has been given up.
  void listen(std::atomic<bool>& aborted) const {
    if (aborted.load(std::memory_order_relaxed)) throw Aborted{};
    if (std::this_thread::get_id() != caller_) return;
    try {
      monitor_.poll();
    } catch (...) {
      aborted.store(true, std::memory_order_relaxed);
      throw;
    }
  }

  VectorView<const double> weights_;
  Eigen::Index size_;
  Monitor& monitor_;
  std::thread::id caller_;
  double scale_ = 0.0;
  std::vector<Square<dim>> roots_;   ///< R_k
  std::vector<Square<dim>> bases_;   ///< Q
  std::vector<Vector<dim>> values_;  ///< s
  Square<dim> mean_root_;
};

}  // namespace otfast::gaussian
