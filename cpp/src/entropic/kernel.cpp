#include "otfast/entropic/kernel.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <utility>

#include "chunks.hpp"
#include "column_sums.hpp"
#include "grid_operator.hpp"
#include "isa/kernels.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/math/base2.hpp"
#include "projections.hpp"
#include "rows.hpp"
#include "sweep.hpp"

namespace otfast::entropic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What underflow has taken from a sum above this is less than rounding takes.
template <class Real>
constexpr double kSafe = sizeof(Real) == 4 ? 0x1p-80 : 0x1p-960;

double finite(double exponent) { return std::isfinite(exponent) ? exponent : 0.0; }

}  // namespace

/// K_ij = 2^(r_i - c_ij), r_i = min_j c_ij.
template <class Real>
class Kernel<Real>::Implementation {
 public:
  template <class T>
  Implementation(const Cost<T>& cost, double epsilon, Monitor& monitor)
      : rows_(cost),
        scale_(kLog2E / epsilon),
        offset_(static_cast<std::size_t>(cost.rows())),
        stride_(isa::padded<Real>(cost.cols())),
        kernel_(static_cast<std::size_t>(cost.rows() * stride_)) {
    const isa::Kernels<Real>& kernels = isa::kernels<Real>();
    const Index m = cost.cols();
    const auto factor = static_cast<Real>(scale_);
    const AlignedVector<Real> zeros(static_cast<std::size_t>(m));
    Pulse pulse(monitor);
    Chunks(cost.rows(), m).run([&](Index, Index begin, Index end) {
      typename Rows<Real>::Buffer buffer(rows_);
      Index since = 0;
      for (Index i = begin; i < end; ++i) {
        pulse.beat(m, since);
        const FlushDenormals flush_denormals;
        const Real* c = rows_.row(i, buffer);
        const auto top = static_cast<Real>(finite(kernels.max_exponent(c, factor, zeros.data(), m)));
        offset_[static_cast<std::size_t>(i)] = -top;
        Real* to = kernel_.data() + i * stride_;
        sum_exponentials(kernels, c, factor, zeros.data(), -top, m, to);
        std::fill(to + m, to + stride_, Real{0});
      }
    });
  }

  std::vector<double> log_sums(MatrixView<const double> in, bool transpose, Monitor& monitor) const {
    const Index n = rows_.rows(), m = rows_.cols(), batch = in.rows;
    const Index size = transpose ? m : n;
    const Factors factors(in, transpose ? offset_.data() : nullptr);
    Pulse pulse(monitor);
    const UnfilledVector<Real> sums = transpose ? columns(factors, pulse) : rows(factors, pulse);

    std::vector<double> out(static_cast<std::size_t>(batch * size));
    const isa::Kernels<double>& kernels = isa::kernels<double>();
    for (Index k = 0; k < batch; ++k) {
      double* of_k = out.data() + k * size;
      std::copy_n(sums.begin() + k * isa::padded<Real>(size), size, of_k);
      if (*std::min_element(of_k, of_k + size) < kSafe<Real>) {
        repair(in.row(k), transpose, of_k, pulse);
        continue;
      }
      kernels.logarithms(of_k, size, of_k);
      const double top = factors.top[static_cast<std::size_t>(k)];
      for (Index i = 0; i < size; ++i) {
        of_k[i] += top - (transpose ? 0.0 : offset_[static_cast<std::size_t>(i)]);
      }
    }
    return out;
  }

  std::optional<Scalings> project(MatrixView<const double> b, MatrixView<const double> lambda, std::vector<double> psi,
                                  Index count, Monitor& monitor) const {
    const Index n = rows_.rows(), m = rows_.cols();
    Pulse pulse(monitor);
    const StoredKernel<Real> stored{.entries = {kernel_.data(), n, m, stride_}, .offset = offset_.data()};
    return entropic::project(stored, b, lambda, std::move(psi), count, pulse);
  }

 private:
  /// Powers of two relative to the largest of each function.
  struct Factors {
    Factors(MatrixView<const double> in, const double* offset)
        : batch(in.rows),
          stride(isa::padded<Real>(in.cols)),
          top(static_cast<std::size_t>(in.rows)),
          powers(static_cast<std::size_t>(in.rows * stride)) {
      const Index size = in.cols;
      const isa::Kernels<double>& kernels = isa::kernels<double>();
      const FlushDenormals flush_denormals;
      const AlignedVector<double> none(static_cast<std::size_t>(size));
      const double* c = offset != nullptr ? offset : none.data();
      AlignedVector<double> e(none.size());
      for (Index k = 0; k < batch; ++k) {
        const double largest = finite(kernels.max_exponent(c, 1.0, in.row(k), size));
        top[static_cast<std::size_t>(k)] = largest;
        sum_exponentials(kernels, c, 1.0, in.row(k), -largest, size, e.data());
        std::copy(e.begin(), e.end(), powers.begin() + k * stride);
      }
    }

    Index batch, stride;
    std::vector<double> top;
    AlignedVector<Real> powers;
  };

  /// Rows, or columns, that are worth a beat of the pulse.
  static Index grain(Index size) { return std::max<Index>((Index{1} << 18) / size, 16); }

  UnfilledVector<Real> rows(const Factors& factors, Pulse& pulse) const {
    const Index n = rows_.rows(), m = rows_.cols();
    const Index stride = isa::padded<Real>(n);
    UnfilledVector<Real> sums(static_cast<std::size_t>(factors.batch * stride));
    parallel_for(n, grain(m), [&](Index begin, Index end) {
      Index since = 0;
      pulse.beat((end - begin) * m * factors.batch, since);
      const FlushDenormals flush_denormals;
      isa::kernels<Real>().multiply_functions(kernel_.data() + begin * stride_, stride_, factors.powers.data(),
                                              factors.stride, end - begin, m, factors.batch, sums.data() + begin,
                                              stride);
    });
    return sums;
  }

  UnfilledVector<Real> columns(const Factors& factors, Pulse& pulse) const {
    const Index n = rows_.rows(), m = rows_.cols();
    UnfilledVector<Real> sums(static_cast<std::size_t>(factors.batch * stride_));
    std::fill(sums.begin(), sums.end(), Real{0});
    // Threads share the columns, so that each sum has one order of its terms.
    constexpr Index kColumns = 256;
    parallel_for(m, kColumns, [&](Index begin, Index end) {
      Index since = 0;
      const Index step = grain(end - begin);
      for (Index i = 0; i < n; i += step) {
        const Index some = std::min(step, n - i);
        pulse.beat(some * (end - begin) * factors.batch, since);
        const FlushDenormals flush_denormals;
        isa::kernels<Real>().add_transposed(kernel_.data() + i * stride_ + begin, stride_, factors.powers.data() + i,
                                            factors.stride, some, end - begin, factors.batch, sums.data() + begin,
                                            stride_);
      }
    });
    return sums;
  }

  /// Sums of one function that begin anew, term by term.
  void repair(const double* in, bool transpose, double* out, Pulse& pulse) const {
    const Index n = rows_.rows(), m = rows_.cols();
    if (transpose) {
      const std::vector<double> exact = column_softmin(rows_, std::vector<double>(in, in + n), scale_, pulse);
      std::transform(exact.begin(), exact.end(), out, std::negate<>());
      return;
    }
    const isa::Kernels<Real>& kernels = isa::kernels<Real>();
    AlignedVector<Real> v(static_cast<std::size_t>(m));
    for (Index j = 0; j < m; ++j) v[static_cast<std::size_t>(j)] = static_cast<Real>(in[j]);
    const auto factor = static_cast<Real>(scale_);
    Chunks(n, m).run([&](Index, Index begin, Index end) {
      typename Rows<Real>::Buffer buffer(rows_);
      AlignedVector<Real> e(v.size());
      Index since = 0;
      for (Index i = begin; i < end; ++i) {
        pulse.beat(m, since);
        const FlushDenormals flush_denormals;
        const Real* c = rows_.row(i, buffer);
        const Real top = kernels.max_exponent(c, factor, v.data(), m);
        const bool is_reached = top > -std::numeric_limits<Real>::infinity();
        const Real sum = is_reached ? sum_exponentials(kernels, c, factor, v.data(), -top, m, e.data()) : Real{1};
        out[i] = static_cast<double>(top) + std::log2(static_cast<double>(sum));
      }
    });
  }

  Rows<Real> rows_;
  double scale_;
  std::vector<double> offset_;
  Index stride_;
  UnfilledVector<Real> kernel_;
};

template <class Real>
template <class T>
Kernel<Real>::Kernel(const Cost<T>& cost, double epsilon, Monitor& monitor)
    : implementation_(std::make_unique<Implementation>(cost, epsilon, monitor)) {}

template <class Real>
Kernel<Real>::~Kernel() = default;

template <class Real>
Kernel<Real>::Kernel(Kernel&&) noexcept = default;

template <class Real>
std::vector<double> Kernel<Real>::log_sums(MatrixView<const double> in, bool transpose, Monitor& monitor) const {
  return implementation_->log_sums(in, transpose, monitor);
}

template <class Real>
std::optional<Scalings> Kernel<Real>::project(MatrixView<const double> b, MatrixView<const double> lambda,
                                              std::vector<double> psi, Index count, Monitor& monitor) const {
  return implementation_->project(b, lambda, std::move(psi), count, monitor);
}

template class Kernel<float>;
template class Kernel<double>;
template Kernel<float>::Kernel(const Cost<float>&, double, Monitor&);
template Kernel<double>::Kernel(const Cost<float>&, double, Monitor&);
template Kernel<double>::Kernel(const Cost<double>&, double, Monitor&);

class GridKernel::Implementation {
 public:
  Implementation(const AxisCosts& axes, double epsilon) : on_grid(axes, kLog2E / epsilon) {}

  GridOperator on_grid;
};

GridKernel::GridKernel(const AxisCosts& axes, double epsilon)
    : implementation_(std::make_unique<Implementation>(axes, epsilon)) {}

GridKernel::~GridKernel() = default;
GridKernel::GridKernel(GridKernel&&) noexcept = default;

std::vector<double> GridKernel::log_sums(MatrixView<const double> in, Monitor& monitor) {
  Pulse pulse(monitor);
  return implementation_->on_grid.log_sums(std::vector<double>(in.row(0), in.row(in.rows)), pulse);
}

std::optional<Scalings> GridKernel::project(MatrixView<const double> b, VectorView<const double> lambda,
                                            std::vector<double> psi, Index count, Monitor& monitor) {
  Pulse pulse(monitor);
  return entropic::project(implementation_->on_grid, b, lambda, std::move(psi), count, pulse);
}

}  // namespace otfast::entropic
