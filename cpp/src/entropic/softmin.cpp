#include "otfast/entropic/softmin.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "chunks.hpp"
#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/math/base2.hpp"
#include "rows.hpp"
#include "sweep.hpp"

namespace otfast::entropic {
namespace {

/// Whether a sum of exponentials was shifted well enough to have lost nothing.
template <class Real>
bool is_trusted(Real sum) {
  constexpr Real kLeast = static_cast<Real>(0x1p-40), kMost = static_cast<Real>(0x1p40);
  return sum > kLeast && sum < kMost;
}

/// The soft minima of columns as they come out of one pass, shifted by `guess`; empty if that was too far off.
template <class Real>
std::vector<double> guessed_columns(const Rows<Real>& rows, const std::vector<double>& x, double scale,
                                    VectorView<const double> guess, Pulse& pulse) {
  const Index n = rows.cols();
  AlignedVector<Real> shifts(static_cast<std::size_t>(n));
  for (Index j = 0; j < n; ++j) {
    if (!std::isfinite(guess[j])) return {};
    shifts[static_cast<std::size_t>(j)] = static_cast<Real>(guess[j] * scale);
  }
  const Chunks chunks(rows.rows(), n);
  std::vector<std::vector<double>> sums(static_cast<std::size_t>(chunks.count));
  chunks.run([&](Index chunk, Index begin, Index end) {
    ColumnSums<Real> column(n);
    typename Rows<Real>::Buffer buffer(rows);
    Index since = 0;
    for (Index i = begin; i < end; ++i) {
      const auto shift = static_cast<Real>(x[static_cast<std::size_t>(i)]);
      if (!(shift > -std::numeric_limits<Real>::infinity())) continue;
      pulse.beat(n, since);
      const FlushDenormals flush_denormals;
      column.add_with([&](Real* sums_of_columns) {
        rows.add_exponentials(i, static_cast<Real>(scale), shifts.data(), shift, sums_of_columns, buffer);
      });
    }
    sums[static_cast<std::size_t>(chunk)] = column.total();
  });
  std::vector<double> softmin = add_all(sums);
  for (std::size_t j = 0; j < softmin.size(); ++j) {
    if (!is_trusted(softmin[j])) return {};
    softmin[j] = static_cast<double>(shifts[j]) - std::log2(softmin[j]);
  }
  return softmin;
}

}  // namespace

template <class Real, class T>
std::vector<double> softmin_of_rows(const Cost<T>& cost, VectorView<const double> h, double epsilon, Monitor& monitor,
                                    VectorView<const double> guess) {
  const Rows<Real> rows(cost);
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  const double scale = kLog2E / epsilon;
  const auto factor = static_cast<Real>(scale);
  const Index n = cost.cols();
  AlignedVector<Real> v(static_cast<std::size_t>(n));
  for (Index j = 0; j < n; ++j) v[static_cast<std::size_t>(j)] = static_cast<Real>(h[j] * scale);
  std::vector<double> out(static_cast<std::size_t>(cost.rows()));
  Pulse pulse(monitor);
  Chunks(cost.rows(), n).run([&](Index, Index begin, Index end) {
    typename Rows<Real>::Buffer buffer(rows);
    AlignedVector<Real> e(v.size());
    Index since = 0;
    for (Index i = begin; i < end; ++i) {
      pulse.beat(n, since);
      const FlushDenormals flush_denormals;
      double& potential = out[static_cast<std::size_t>(i)];
      if (guess.size > 0 && std::isfinite(guess[i])) {
        const auto shift = static_cast<Real>(guess[i] * scale);
        const Real sum = rows.exponentials(i, 0, rows.cols(), factor, v.data(), shift, e.data(), buffer);
        if (is_trusted(sum)) {
          potential = (static_cast<double>(shift) - std::log2(static_cast<double>(sum))) / scale;
          continue;
        }
      }
      const Real* c = rows.row(i, buffer);
      const Real top = kernels.max_exponent(c, factor, v.data(), n);
      if (top > -std::numeric_limits<Real>::infinity()) {
        const auto sum = static_cast<double>(sum_exponentials(kernels, c, factor, v.data(), -top, n, e.data()));
        // The largest term is 1: a smaller sum has lost it to rounding.
        potential = -(static_cast<double>(top) + std::log2(std::max(sum, 1.0))) / scale;
      } else {
        potential = std::numeric_limits<double>::infinity();
      }
    }
  });
  return out;
}

template <class Real, class T>
std::vector<double> softmin_of_columns(const Cost<T>& cost, VectorView<const double> h, double epsilon,
                                       Monitor& monitor, VectorView<const double> guess) {
  const double scale = kLog2E / epsilon;
  std::vector<double> x(h.begin(), h.end());
  for (double& exponent : x) exponent *= scale;
  Pulse pulse(monitor);
  const Rows<Real> rows(cost);
  std::vector<double> out;
  if (guess.size > 0) out = guessed_columns(rows, x, scale, guess, pulse);
  if (out.empty()) out = column_softmin(rows, x, scale, pulse);
  for (double& potential : out) potential /= scale;
  return out;
}

#define OTFAST_INSTANTIATE(Real, T)                                                                                 \
  template std::vector<double> softmin_of_rows<Real>(const Cost<T>&, VectorView<const double>, double, Monitor&,    \
                                                     VectorView<const double>);                                     \
  template std::vector<double> softmin_of_columns<Real>(const Cost<T>&, VectorView<const double>, double, Monitor&, \
                                                        VectorView<const double>);
OTFAST_INSTANTIATE(float, float)
OTFAST_INSTANTIATE(double, float)
OTFAST_INSTANTIATE(double, double)
#undef OTFAST_INSTANTIATE

}  // namespace otfast::entropic
