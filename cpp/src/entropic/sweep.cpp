#include "sweep.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"

namespace otfast::entropic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

template <class Real>
Sweep<Real>::Sweep(const Rows<Real>& rows, VectorView<const double> a, double scale, double damping)
    : rows_(rows),
      a_(a),
      scale_(static_cast<Real>(scale)),
      damping_(damping),
      chunks_(rows.rows(), rows.cols()),
      v_(static_cast<std::size_t>(rows.cols())),
      partial_(static_cast<std::size_t>(chunks_.count)) {}

template <class Real>
void Sweep<Real>::run(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
                      Pulse& pulse) {
  for (std::size_t j = 0; j < v.size(); ++j) v[j] = static_cast<double>(v_[j] = static_cast<Real>(v[j]));
  if (keep != nullptr) keep->clear(chunks_);
  chunks_.run([&](Index chunk, Index begin, Index end) {
    partial_[static_cast<std::size_t>(chunk)] = run_rows(begin, end, u, keep, chunk, pulse);
  });
  column = add_all(partial_);
}

template <class Real>
std::vector<double> Sweep<Real>::run_rows(Index begin, Index end, std::vector<double>& u, PlanSink* keep, Index chunk,
                                          Pulse& pulse) const {
  // A sum beyond these was shifted too badly to be trusted: then the row is shifted by its largest exponent.
  constexpr Real kLeast = static_cast<Real>(0x1p-40), kMost = static_cast<Real>(0x1p40);
  constexpr Index kGroup = 4;
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  const Index n = rows_.cols();
  // A few rows at a time go to the column sums, if they stay in cache until then.
  const Index group = n * static_cast<Index>(sizeof(Real)) <= (Index{1} << 16) ? kGroup : 1;
  typename Rows<Real>::Buffer buffer(rows_);
  AlignedVector<Real> entries(static_cast<std::size_t>(n * group));
  ColumnSums<Real> sums(n);
  Real weight[kGroup] = {};
  for_groups(begin, end, group, n, pulse, [&](Index first, Index count) {
    for (Index r = 0; r < count; ++r) {
      const Index i = first + r;
      Real* e = entries.data() + r * n;
      auto& potential = u[static_cast<std::size_t>(i)];
      Real shift = std::isfinite(potential) ? static_cast<Real>(potential) : Real{0};
      Real sum = rows_.exponentials(i, scale_, v_.data(), shift, e, buffer);
      if (!(sum > kLeast && sum < kMost)) {
        const Real* c = rows_.row(i, buffer);
        const Real top = kernels.max_exponent(c, scale_, v_.data(), n);
        const bool has_way = top > -std::numeric_limits<Real>::infinity();
        shift = has_way ? -top : Real{0};
        sum = sum_exponentials(kernels, c, scale_, v_.data(), shift, n, e);
        // Of exponents beyond all precision nothing is left; the row is not forbidden for that.
        if (has_way && !(sum > Real{0})) sum = Real{1};
      }
      const double softmin = static_cast<double>(shift) - std::log2(static_cast<double>(sum));
      potential = sum > Real{0} ? damping_ * softmin : kInfinity;
      const double mass = sum > Real{0} ? a_[i] * (damping_ == 1.0 ? 1.0 : std::exp2(potential - softmin)) : 0.0;
      weight[r] = mass > 0.0 ? static_cast<Real>(mass / static_cast<double>(sum)) : Real{0};
      if (keep != nullptr) keep->put(chunk, i, e, {static_cast<double>(sum), softmin, mass});
    }
    sums.add(entries.data(), n, weight, count);
  });
  return sums.total();
}

template <class Real>
double Sweep<Real>::density(const std::vector<double>& v, double negligible, Pulse& pulse) const {
  constexpr Index kSample = 16;
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  const Index n = rows_.cols();
  typename Rows<Real>::Buffer buffer(rows_);
  AlignedVector<Real> exponents(v.size()), e(v.size());
  for (std::size_t j = 0; j < v.size(); ++j) exponents[j] = static_cast<Real>(v[j]);
  std::vector<Node> found(v.size());
  Index above = 0, since = 0;
  const Index sample = std::min(kSample, rows_.rows());
  for (Index k = 0; k < sample; ++k) {
    pulse.beat(n, since);
    const FlushDenormals flush_denormals;
    const Real* c = rows_.row(k * rows_.rows() / sample, buffer);
    const Real top = kernels.max_exponent(c, scale_, exponents.data(), n);
    if (!(top > -std::numeric_limits<Real>::infinity())) continue;
    const Real sum = sum_exponentials(kernels, c, scale_, exponents.data(), -top, n, e.data());
    above += kernels.find_above(e.data(), static_cast<Real>(negligible) * sum, n, found.data());
  }
  return static_cast<double>(above) / static_cast<double>(sample * n);
}

template <class Real>
std::vector<double> column_softmin(const Rows<Real>& rows, const std::vector<double>& x, double scale, Pulse& pulse) {
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  const Index n = rows.cols();
  const auto size = static_cast<std::size_t>(n);
  const auto factor = static_cast<Real>(scale);
  const Chunks chunks(rows.rows(), n);
  const auto count = static_cast<std::size_t>(chunks.count);
  constexpr Real kNone = -std::numeric_limits<Real>::infinity();

  std::vector<AlignedVector<Real>> tops(count);
  chunks.run([&](Index chunk, Index begin, Index end) {
    auto& top = tops[static_cast<std::size_t>(chunk)];
    top.assign(size, kNone);
    typename Rows<Real>::Buffer buffer(rows);
    Index since = 0;
    for (Index i = begin; i < end; ++i) {
      const auto shift = static_cast<Real>(x[static_cast<std::size_t>(i)]);
      if (shift > kNone) kernels.raise_columns(rows.row(i, buffer), factor, shift, n, top.data());
      pulse.beat(n, since);
    }
  });
  AlignedVector<Real> negative(size);  // of the largest exponent, -inf where there is none
  for (std::size_t j = 0; j < size; ++j) {
    Real top = kNone;
    for (const auto& of_chunk : tops) top = std::max(top, of_chunk[j]);
    negative[j] = top > kNone ? -top : kNone;
  }

  std::vector<std::vector<double>> sums(count);
  chunks.run([&](Index chunk, Index begin, Index end) {
    ColumnSums<Real> column(n);
    typename Rows<Real>::Buffer buffer(rows);
    AlignedVector<Real> e(size);
    const Real one{1};
    Index since = 0;
    for (Index i = begin; i < end; ++i) {
      const auto shift = static_cast<Real>(x[static_cast<std::size_t>(i)]);
      if (!(shift > kNone)) continue;
      pulse.beat(n, since);
      const FlushDenormals flush_denormals;
      sum_exponentials(kernels, rows.row(i, buffer), factor, negative.data(), shift, n, e.data());
      column.add(e.data(), n, &one, 1);
    }
    sums[static_cast<std::size_t>(chunk)] = column.total();
  });
  const std::vector<double> total = add_all(sums);
  std::vector<double> softmin(size);
  for (std::size_t j = 0; j < size; ++j) {
    // The largest term is 1: a smaller sum has lost it to rounding.
    const bool has_way = negative[j] > kNone;
    softmin[j] = has_way ? static_cast<double>(negative[j]) - std::log2(std::max(total[j], 1.0)) : kInfinity;
  }
  return softmin;
}

template class Sweep<float>;
template class Sweep<double>;
template std::vector<double> column_softmin(const Rows<float>&, const std::vector<double>&, double, Pulse&);
template std::vector<double> column_softmin(const Rows<double>&, const std::vector<double>&, double, Pulse&);

}  // namespace otfast::entropic
