// Products of exp(-C / epsilon) with many functions, in the log domain at the price of matrix products: from x_kj to
// log2 sum_j 2^(x_kj - c_ij), where c = C log2(e) / epsilon, for the functions k of a batch.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/views.hpp"
#include "otfast/entropic/grid.hpp"

namespace otfast::entropic {

/// Scalings u = 2^alpha, v = 2^beta of the plans between measures b_k and their barycenter w, for each of L problems:
/// all in C order.
struct Scalings {
  std::vector<double> alpha;  ///< (L, K, n)
  std::vector<double> beta;   ///< (L, K, m)
  std::vector<double> psi;    ///< (L, K, m), log2 of the products of the kernel with u
  std::vector<double> log_w;  ///< (L, n), as is: sum_k lambda_k log2 of the products of the kernel with v_k
};

/// The kernel of any cost, kept in the precision Real: n m numbers.
template <class Real>
class Kernel {
 public:
  /// The cost must live as long.
  template <class T>
  Kernel(const Cost<T>& cost, double epsilon, Monitor& monitor);
  ~Kernel();
  Kernel(Kernel&&) noexcept;

  /// A row of results for each row of `in`, whose entries may be -inf: sums over columns j for all rows i or, if
  /// `transpose`, over rows for all columns. -inf where there is no way.
  std::vector<double> log_sums(MatrixView<const double> in, bool transpose, Monitor& monitor) const;

  /// Does `count` Bregman projections on the barycenter of the rows of b (K, m), for each row of lambda (L, K), from
  /// psi (L, K, m): v_k = b_k / psi_k, w = prod_k (K v_k)^lambda_k, u_k = w / K v_k, psi_k = K^T u_k. Nothing comes out
  /// if the arithmetic does not span the numbers.
  std::optional<Scalings> project(MatrixView<const double> b, MatrixView<const double> lambda, std::vector<double> psi,
                                  Index count, Monitor& monitor) const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

/// The same on a grid, axis by axis; symmetric.
class GridKernel {
 public:
  GridKernel(const AxisCosts& axes, double epsilon);
  ~GridKernel();
  GridKernel(GridKernel&&) noexcept;

  /// log2 sum_j 2^(in_kj - c_ij), a row of results for each row of `in`.
  std::vector<double> log_sums(MatrixView<const double> in, Monitor& monitor);

  /// `Kernel::project`, for one lambda.
  std::optional<Scalings> project(MatrixView<const double> b, VectorView<const double> lambda, std::vector<double> psi,
                                  Index count, Monitor& monitor);

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace otfast::entropic
