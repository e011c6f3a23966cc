#include <algorithm>
#include <atomic>
#include <cmath>

#include "isa/kernels.hpp"
#include "otfast/core/aligned.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/core/threads.hpp"
#include "projections.hpp"

namespace otfast::entropic {
namespace {

/// Entries of a kernel that stay in the cache of one thread, and those that are worth the start of many.
constexpr Index kCached = Index{1} << 16;
constexpr Index kShared = Index{1} << 20;

/// Columns of a product for one thread.
constexpr Index kColumns = 256;

void to_powers(AlignedVector<double>& x) {
  const FlushDenormals flush_denormals;
  const AlignedVector<double> zeros(x.size());
  isa::kernels<double>().exponentials(zeros.data(), 0.0, x.data(), 0.0, static_cast<Index>(x.size()), x.data());
}

/// Functions on the measures' supports are (L, K, m). Those on the barycenter's are never kept: rows of the kernel that
/// have found their part of w are in the cache still when they are added to the columns, so that the kernel is read
/// from memory once.
template <class Real>
class StoredProjections {
 public:
  StoredProjections(StoredKernel<Real> kernel, MatrixView<const double> b, MatrixView<const double> lambda)
      : kernel_(kernel),
        lambda_(lambda),
        n_(kernel.entries.rows),
        m_(kernel.entries.cols),
        stride_(kernel.entries.stride),
        measures_(b.rows),
        functions_(lambda.rows * b.rows),
        b_(b.row(0), b.row(b.rows)),
        psi_(static_cast<std::size_t>(functions_ * m_)),
        quotients_(psi_.size()),
        v_(static_cast<std::size_t>(functions_ * stride_)),
        sums_(v_.size()) {}

  /// Takes psi, in logarithms; false if it is out of range.
  bool start(const std::vector<double>& psi) {
    const double top = *std::max_element(psi.begin(), psi.end());
    if (!std::isfinite(top)) return false;
    // A factor of psi is one of w, and leaves u as it is.
    std::transform(psi.begin(), psi.end(), psi_.begin(), [&](double value) { return value - top; });
    to_powers(psi_);
    return true;
  }

  /// One projection, with what it finds in `to` if it is the last. False if numbers leave the range.
  bool project(Pulse& pulse, Index& since, Scalings* to) {
    if (!divide()) return false;
    std::fill(sums_.begin(), sums_.end(), Real{0});
    const Index step = rows_of(num_threads() == 1 ? kCached : kShared);
    std::atomic<bool> is_safe{true};
    u_.resize(static_cast<std::size_t>(functions_ * step));
    for (Index begin = 0; begin < n_; begin += step) {
      const Index some = std::min(step, n_ - begin);
      parallel_for(some, rows_of(kCached), [&](Index from, Index end) {
        if (!scale_rows(begin + from, end - from, u_.data() + from, step, to)) is_safe = false;
      });
      if (!is_safe) return false;
      parallel_for(m_, kColumns, [&](Index from, Index end) {
        const FlushDenormals flush_denormals;
        isa::kernels<Real>().add_transposed(kernel_.entries.row(begin) + from, stride_, u_.data(), step, some,
                                            end - from, functions_, sums_.data() + from, stride_);
      });
      pulse.beat(some * m_ * functions_, since);
    }
    for (Index f = 0; f < functions_; ++f) std::copy_n(sums_.begin() + f * stride_, m_, psi_.begin() + f * m_);
    return true;
  }

  /// Writes beta and psi; false if psi is out of range.
  bool finish(Scalings& to) const {
    if (*std::min_element(psi_.begin(), psi_.end()) < kRange<Real>.least) return false;
    const auto size = static_cast<Index>(psi_.size());
    isa::kernels<double>().logarithms(quotients_.data(), size, to.beta.data());
    isa::kernels<double>().logarithms(psi_.data(), size, to.psi.data());
    return true;
  }

 private:
  Index rows_of(Index entries) const { return std::clamp<Index>(entries / m_, 8, n_ < 8 ? 8 : n_); }

  /// v = b / psi.
  bool divide() {
    const FlushDenormals flush_denormals;
    bool is_safe = true;
    const Index size = measures_ * m_;
    for (Index begin = 0; begin < functions_ * m_; begin += size) {
      const auto [least, largest] =
          isa::kernels<double>().divide(b_.data(), psi_.data() + begin, size, quotients_.data() + begin);
      is_safe = is_safe && least >= kRange<Real>.least && largest <= kRange<Real>.largest;
    }
    for (Index f = 0; f < functions_; ++f) std::copy_n(quotients_.begin() + f * m_, m_, v_.begin() + f * stride_);
    return is_safe;
  }

  /// Finds u, `stride` between functions, of rows that begin somewhere.
  bool scale_rows(Index begin, Index rows, Real* u, Index stride, Scalings* to) const {
    const isa::Kernels<double>& kernels = isa::kernels<double>();
    AlignedVector<Real> products(static_cast<std::size_t>(functions_ * rows));
    {
      const FlushDenormals flush_denormals;
      isa::kernels<Real>().multiply_functions(kernel_.entries.row(begin), stride_, v_.data(), stride_, rows, m_,
                                              functions_, products.data(), rows);
    }
    AlignedVector<double> sums(products.begin(), products.end()), logs(sums.size()),
        mean(static_cast<std::size_t>(rows));
    kernels.logarithms(sums.data(), functions_ * rows, logs.data());
    if (*std::min_element(logs.begin(), logs.end()) < std::log2(kRange<Real>.least)) return false;
    const double* offset = kernel_.offset + begin;
    AlignedVector<double>& exponents = sums;
    for (Index problem = 0; problem < lambda_.rows; ++problem) {
      std::fill(mean.begin(), mean.end(), 0.0);
      kernels.add_rows(logs.data() + problem * measures_ * rows, rows, lambda_.row(problem), measures_, rows,
                       mean.data());
      for (Index f = problem * measures_; f < (problem + 1) * measures_; ++f) {
        for (Index i = 0; i < rows; ++i) {
          const double alpha = mean[static_cast<std::size_t>(i)] - logs[static_cast<std::size_t>(f * rows + i)];
          // The kernel has one offset, which alpha lacks, since w and K v_k cancel it.
          exponents[static_cast<std::size_t>(f * rows + i)] = alpha - offset[i];
          if (to != nullptr) to->alpha[static_cast<std::size_t>(f * n_ + begin + i)] = alpha;
        }
      }
      if (to == nullptr) continue;
      for (Index i = 0; i < rows; ++i) {
        to->log_w[static_cast<std::size_t>(problem * n_ + begin + i)] = mean[static_cast<std::size_t>(i)] - offset[i];
      }
    }
    if (*std::max_element(exponents.begin(), exponents.end()) > std::log2(kRange<Real>.largest)) return false;
    to_powers(exponents);
    for (Index f = 0; f < functions_; ++f) {
      const auto from = exponents.begin() + f * rows;
      std::copy(from, from + rows, u + f * stride);
    }
    return true;
  }

  StoredKernel<Real> kernel_;
  MatrixView<const double> lambda_;
  Index n_, m_, stride_, measures_, functions_;
  AlignedVector<double> b_, psi_, quotients_;
  AlignedVector<Real> v_, u_, sums_;
};

}  // namespace

template <class Real>
std::optional<Scalings> project(StoredKernel<Real> kernel, MatrixView<const double> b, MatrixView<const double> lambda,
                                std::vector<double> psi, Index count, Pulse& pulse) {
  const Index n = kernel.entries.rows;
  StoredProjections<Real> state(kernel, b, lambda);
  if (!state.start(psi)) return std::nullopt;
  Scalings to{.alpha = std::vector<double>(static_cast<std::size_t>(lambda.rows * b.rows * n)),
              .beta = std::vector<double>(psi.size()),
              .psi = std::vector<double>(psi.size()),
              .log_w = std::vector<double>(static_cast<std::size_t>(lambda.rows * n))};
  Index since = 0;
  for (Index iteration = 0; iteration < count; ++iteration) {
    if (!state.project(pulse, since, iteration + 1 == count ? &to : nullptr)) return std::nullopt;
  }
  if (!state.finish(to)) return std::nullopt;
  return to;
}

template std::optional<Scalings> project(StoredKernel<float>, MatrixView<const double>, MatrixView<const double>,
                                         std::vector<double>, Index, Pulse&);
template std::optional<Scalings> project(StoredKernel<double>, MatrixView<const double>, MatrixView<const double>,
                                         std::vector<double>, Index, Pulse&);

}  // namespace otfast::entropic
