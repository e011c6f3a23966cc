#include "otfast/entropic/plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "chunks.hpp"
#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/math/base2.hpp"
#include "rows.hpp"

namespace otfast::entropic {
namespace {

/// Goes through the rows of a plan: P_ij = 2^(u_i + v_j - c_ij).
template <class Real>
class PlanRows {
 public:
  PlanRows(const Rows<Real>& rows, const PlanFactors& factors)
      : rows_(rows),
        scale_(static_cast<Real>(kLog2E / factors.epsilon)),
        u_(exponents<Real>(factors.f, factors.a, factors.epsilon)),
        v_(exponents<Real>(factors.g, factors.b, factors.epsilon)) {}

  /// body(chunk, i, c, e) with the row e of P and the row c of C, for begin <= i < end.
  template <class Body>
  void for_each(Index begin, Index end, Monitor& monitor, const Body& body) const {
    Pulse pulse(monitor);
    const Index n = rows_.cols();
    const Chunks chunks(end - begin, n);
    chunks.run([&](Index chunk, Index first, Index last) {
      typename Rows<Real>::Buffer buffer(rows_);
      AlignedVector<Real> e(static_cast<std::size_t>(n));
      Index since = 0;
      for (Index i = begin + first; i < begin + last; ++i) {
        pulse.beat(n, since);
        const FlushDenormals flush_denormals;
        const Real* c = rows_.row(i, buffer);
        const Real u = u_[static_cast<std::size_t>(i)];
        if (std::isfinite(u)) {
          sum_exponentials(isa::kernels<Real>(), c, scale_, v_.data(), u, n, e.data());
        } else {
          std::fill(e.begin(), e.end(), Real{0});
        }
        body(chunk, i, c, static_cast<const Real*>(e.data()));
      }
    });
  }

 private:
  template <class U>
  static AlignedVector<U> exponents(VectorView<const double> potentials, VectorView<const double> weights,
                                    double epsilon) {
    AlignedVector<U> scaled(static_cast<std::size_t>(potentials.size));
    for (Index i = 0; i < potentials.size; ++i) {
      scaled[static_cast<std::size_t>(i)] = static_cast<U>(potentials[i] * (kLog2E / epsilon) + std::log2(weights[i]));
    }
    return scaled;
  }

  const Rows<Real>& rows_;
  Real scale_;
  AlignedVector<Real> u_;
  AlignedVector<Real> v_;
};

/// The columns of a row-major matrix, one after another.
template <class Real>
std::vector<AlignedVector<Real>> columns(MatrixView<const double> x) {
  std::vector<AlignedVector<Real>> out(static_cast<std::size_t>(x.cols));
  for (Index k = 0; k < x.cols; ++k) {
    auto& column = out[static_cast<std::size_t>(k)];
    column.resize(static_cast<std::size_t>(x.rows));
    for (Index j = 0; j < x.rows; ++j) column[static_cast<std::size_t>(j)] = static_cast<Real>(x(j, k));
  }
  return out;
}

}  // namespace

template <class Real, class T>
void write_rows(const Cost<T>& cost, const PlanFactors& factors, Index begin, Index end, T* out, Monitor& monitor) {
  const Rows<Real> rows(cost);
  const Index n = cost.cols();
  PlanRows<Real>(rows, factors).for_each(begin, end, monitor, [&](Index, Index i, const Real*, const Real* e) {
    T* to = out + (i - begin) * n;
    for (Index j = 0; j < n; ++j) to[j] = static_cast<T>(e[j]);
  });
}

template <class Real, class T>
std::vector<T> apply(const Cost<T>& cost, const PlanFactors& factors, MatrixView<const double> x, Monitor& monitor) {
  const Rows<Real> rows(cost);
  const auto factor = columns<Real>(x);
  std::vector<T> out(static_cast<std::size_t>(cost.rows() * x.cols));
  PlanRows<Real>(rows, factors).for_each(0, cost.rows(), monitor, [&](Index, Index i, const Real*, const Real* e) {
    for (Index k = 0; k < x.cols; ++k) {
      const Real* column = factor[static_cast<std::size_t>(k)].data();
      out[static_cast<std::size_t>(i * x.cols + k)] = static_cast<T>(dot(isa::kernels<Real>(), e, column, cost.cols()));
    }
  });
  return out;
}

template <class Real, class T>
std::vector<T> apply_transpose(const Cost<T>& cost, const PlanFactors& factors, MatrixView<const double> x,
                               Monitor& monitor) {
  const Rows<Real> rows(cost);
  const Index n = cost.cols();
  const Chunks chunks(cost.rows(), n);
  using Sums = std::vector<ColumnSums<Real>>;
  std::vector<Sums> parts(static_cast<std::size_t>(chunks.count),
                          Sums(static_cast<std::size_t>(x.cols), ColumnSums<Real>(n)));
  PlanRows<Real>(rows, factors)
      .for_each(0, cost.rows(), monitor, [&](Index chunk, Index i, const Real*, const Real* e) {
        for (Index k = 0; k < x.cols; ++k) {
          const Real weight = static_cast<Real>(x(i, k));
          parts[static_cast<std::size_t>(chunk)][static_cast<std::size_t>(k)].add(e, n, &weight, 1);
        }
      });
  std::vector<T> out(static_cast<std::size_t>(n * x.cols));
  for (Index k = 0; k < x.cols; ++k) {
    for (Index j = 0; j < n; ++j) {
      double total = 0.0;
      for (Sums& part : parts) total += part[static_cast<std::size_t>(k)].total()[static_cast<std::size_t>(j)];
      out[static_cast<std::size_t>(j * x.cols + k)] = static_cast<T>(total);
    }
  }
  return out;
}

template <class Real, class T>
double linear_value(const Cost<T>& cost, const PlanFactors& factors, Monitor& monitor) {
  const Rows<Real> rows(cost);
  const Index n = cost.cols();
  std::vector<double> of_row(static_cast<std::size_t>(cost.rows()));
  PlanRows<Real>(rows, factors).for_each(0, cost.rows(), monitor, [&](Index, Index i, const Real* c, const Real* e) {
    auto total = static_cast<double>(dot(isa::kernels<Real>(), e, c, n));
    if (!std::isfinite(total)) {
      total = 0.0;
      for (Index j = 0; j < n; ++j) {
        if (e[j] > Real{0}) total += static_cast<double>(e[j]) * static_cast<double>(c[j]);
      }
    }
    of_row[static_cast<std::size_t>(i)] = total;
  });
  return std::accumulate(of_row.begin(), of_row.end(), 0.0);
}

#define OTFAST_INSTANTIATE(Real, T)                                                                            \
  template void write_rows<Real>(const Cost<T>&, const PlanFactors&, Index, Index, T*, Monitor&);              \
  template std::vector<T> apply<Real>(const Cost<T>&, const PlanFactors&, MatrixView<const double>, Monitor&); \
  template std::vector<T> apply_transpose<Real>(const Cost<T>&, const PlanFactors&, MatrixView<const double>,  \
                                                Monitor&);                                                     \
  template double linear_value<Real>(const Cost<T>&, const PlanFactors&, Monitor&);
OTFAST_INSTANTIATE(float, float)
OTFAST_INSTANTIATE(double, float)
OTFAST_INSTANTIATE(double, double)
#undef OTFAST_INSTANTIATE

}  // namespace otfast::entropic
