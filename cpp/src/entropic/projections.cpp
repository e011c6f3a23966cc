#include "projections.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "isa/kernels.hpp"
#include "otfast/core/denormals.hpp"

namespace otfast::entropic {
namespace {

constexpr double kLeast = kRange<double>.least, kLargest = kRange<double>.largest;

/// out_k = a_k / b_k; false if there are products b out of range, or quotients. One row of a serves all, or each has
/// its own.
bool divide(const double* a, Index stride, const std::vector<double>& b, Index rows, std::vector<double>& out) {
  const FlushDenormals flush_denormals;
  const Index n = static_cast<Index>(b.size()) / rows;
  bool is_safe = true;
  for (Index k = 0; k < rows; ++k) {
    const auto [least, largest] =
        isa::kernels<double>().divide(a + k * stride, b.data() + k * n, n, out.data() + k * n);
    is_safe = is_safe && least >= kLeast && largest <= kLargest;
  }
  return is_safe;
}

/// x = 2^x; false if it leaves the range.
bool to_powers(std::vector<double>& x) {
  if (!(*std::max_element(x.begin(), x.end()) <= std::log2(kLargest))) return false;
  const FlushDenormals flush_denormals;
  const AlignedVector<double> zeros(x.size());
  isa::kernels<double>().exponentials(zeros.data(), 0.0, x.data(), 0.0, static_cast<Index>(x.size()), x.data());
  return true;
}

void to_logarithms(std::vector<double>& x) {
  isa::kernels<double>().logarithms(x.data(), static_cast<Index>(x.size()), x.data());
}

}  // namespace

std::optional<Scalings> project(const GridOperator& kernel, MatrixView<const double> b, VectorView<const double> lambda,
                                std::vector<double> psi, Index count, Pulse& pulse) {
  const isa::Kernels<double>& kernels = isa::kernels<double>();
  const Index n = b.cols;
  std::vector<double> sums = std::move(psi), v(sums.size()), u(sums.size());
  std::vector<double> logs(u.size()), mean(static_cast<std::size_t>(n)), scratch;
  // A factor of psi is one of w, and leaves u as it is.
  const double top = *std::max_element(sums.begin(), sums.end());
  for (double& value : sums) value -= top;
  if (!to_powers(sums)) return std::nullopt;
  Index since = 0;
  for (Index iteration = 0; iteration < count; ++iteration) {
    pulse.beat(b.rows * n, since);  // products on a small grid are too short for a beat of their own
    if (!divide(b.data, n, sums, b.rows, v)) return std::nullopt;
    kernel.multiply(v, sums, scratch, pulse);
    kernels.logarithms(sums.data(), b.rows * n, logs.data());
    std::fill(mean.begin(), mean.end(), 0.0);
    kernels.add_rows(logs.data(), n, lambda.data, b.rows, n, mean.data());
    std::vector<double> w = mean;
    if (!to_powers(w) || !divide(w.data(), 0, sums, b.rows, u)) return std::nullopt;
    kernel.multiply(u, sums, scratch, pulse);
  }
  if (*std::min_element(sums.begin(), sums.end()) < kLeast) return std::nullopt;
  Scalings to{.alpha = std::move(u), .beta = std::move(v), .psi = std::move(sums), .log_w = mean};
  to_logarithms(to.beta);
  to_logarithms(to.psi);
  for (Index k = 0; k < b.rows; ++k) {
    for (Index i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(k * n + i);
      to.alpha[at] = mean[static_cast<std::size_t>(i)] - logs[at];
    }
  }
  return to;
}

}  // namespace otfast::entropic
