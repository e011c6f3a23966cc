#include "otfast/entropic/softmin.hpp"

#include <cmath>
#include <limits>

#include "chunks.hpp"
#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/math/base2.hpp"
#include "rows.hpp"
#include "sweep.hpp"

namespace otfast::entropic {
template <class Real, class T>
std::vector<double> softmin_of_rows(const Cost<T>& cost, VectorView<const double> h, double epsilon, Monitor& monitor) {
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
      const Real* c = rows.row(i, buffer);
      const Real top = kernels.max_exponent(c, factor, v.data(), n);
      double& potential = out[static_cast<std::size_t>(i)];
      if (top > -std::numeric_limits<Real>::infinity()) {
        const auto sum = static_cast<double>(sum_exponentials(kernels, c, factor, v.data(), -top, n, e.data()));
        potential = -(static_cast<double>(top) + std::log2(sum)) / scale;
      } else {
        potential = std::numeric_limits<double>::infinity();
      }
    }
  });
  return out;
}

template <class Real, class T>
std::vector<double> softmin_of_columns(const Cost<T>& cost, VectorView<const double> h, double epsilon,
                                       Monitor& monitor) {
  const double scale = kLog2E / epsilon;
  std::vector<double> x(h.begin(), h.end());
  for (double& exponent : x) exponent *= scale;
  Pulse pulse(monitor);
  std::vector<double> out = column_softmin(Rows<Real>(cost), x, scale, pulse);
  for (double& potential : out) potential /= scale;
  return out;
}

#define OTFAST_INSTANTIATE(Real, T)                                                                               \
  template std::vector<double> softmin_of_rows<Real>(const Cost<T>&, VectorView<const double>, double, Monitor&); \
  template std::vector<double> softmin_of_columns<Real>(const Cost<T>&, VectorView<const double>, double, Monitor&);
OTFAST_INSTANTIATE(float, float)
OTFAST_INSTANTIATE(double, float)
OTFAST_INSTANTIATE(double, double)
#undef OTFAST_INSTANTIATE

}  // namespace otfast::entropic
