#include "otfast/entropic/stochastic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "chunks.hpp"
#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/math/base2.hpp"
#include "rows.hpp"

namespace otfast::entropic {
namespace {

constexpr Index kPrecise = 64;  ///< iterations after which v is taken from the sum of all steps

/// e_j in proportion to 2^(v_j - scale c_j), the largest near 1; returns their sum, 0 for a row without a way.
template <class Real>
Real row_exponentials(const Real* c, Real scale, const AlignedVector<Real>& v, Real* e) {
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  const auto n = static_cast<Index>(v.size());
  const Real top = kernels.max_exponent(c, scale, v.data(), n);
  if (!(top > -std::numeric_limits<Real>::infinity())) {
    std::fill_n(e, n, Real{0});
    return Real{0};
  }
  return sum_exponentials(kernels, c, scale, v.data(), -top, n, e);
}

}  // namespace

/// What a thread needs for itself.
template <class Real>
struct Ascent<Real>::Workspace {
  explicit Workspace(const Rows<Real>& of_cost) : costs(of_cost), buffer(of_cost) {}

  Rows<Real> costs;
  typename Rows<Real>::Buffer buffer;
  AlignedVector<Real> entries;  ///< of a row that is not kept
  AlignedVector<Real> slope;    ///< what this part of a batch adds to it
};

template <class Real>
Ascent<Real>::Ascent(VectorView<const double> b, const AscentOptions& options)
    : cols_(b.size),
      method_(options.method),
      scale_(kLog2E / options.epsilon),
      step_(options.step * scale_),
      batch_(options.batch),
      a_(options.a.begin(), options.a.end()),
      log_b_(static_cast<std::size_t>(b.size)),
      b_(log_b_.size()),
      v_(log_b_.size()),
      slope_(log_b_.size()) {
  moves_ = std::make_unique<ColumnSums<Real>>(cols_);
  for (std::size_t j = 0; j < log_b_.size(); ++j) {
    log_b_[j] = std::log2(b[static_cast<Index>(j)]);
    b_[j] = static_cast<Real>(b[static_cast<Index>(j)]);
    v_[j] = static_cast<Real>(log_b_[j]);
  }
  if (method_ == Increment::sag) {
    // Rows that are never drawn are never touched.
    kept_.resize(a_.size() * log_b_.size());
    kept_weight_.assign(a_.size(), Real{-1});
  } else {
    mean_ = std::make_unique<ColumnSums<Real>>(cols_);
  }
}

template <class Real>
Ascent<Real>::~Ascent() = default;

template <class Real>
template <class T>
bool Ascent<Real>::run(const Cost<T>& cost, VectorView<const Index> rows, Monitor& monitor) {
  std::vector<Workspace> work(static_cast<std::size_t>(Chunks(batch_, cols_).count), Workspace(Rows<Real>(cost)));
  std::vector<Index> batch;
  for (Index first = 0; first < rows.size; first += batch_) {
    batch.assign(rows.begin() + first, rows.begin() + std::min(first + batch_, rows.size));
    if (method_ == Increment::sag) {
      // A row twice in a batch has the same gradient twice, and only one place for it.
      std::sort(batch.begin(), batch.end());
      batch.erase(std::unique(batch.begin(), batch.end()), batch.end());
    }
    update_slope(work, view(batch), monitor);
    move();
    if (monitor.due() && monitor.report({iterations_, error(), std::nan("")})) return false;
  }
  return true;
}

template <class Real>
void Ascent<Real>::update_slope(std::vector<Workspace>& work, VectorView<const Index> rows, Monitor& monitor) {
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  if (method_ == Increment::asgd) {
    slope_ = b_;
  } else {
    for (const Index i : rows) {
      if (kept_weight_[static_cast<std::size_t>(i)] >= Real{0}) continue;
      seen_ += a_[static_cast<std::size_t>(i)];
      const auto weight = static_cast<Real>(a_[static_cast<std::size_t>(i)]);
      kernels.add_rows(b_.data(), cols_, &weight, 1, cols_, slope_.data());
    }
  }
  const Chunks chunks(rows.size, cols_);
  Pulse pulse(monitor);
  chunks.run([&](Index chunk, Index begin, Index end) {
    Workspace& own = work[static_cast<std::size_t>(chunk)];
    // The first part of a batch, often all of it, needs no vector of its own.
    if (chunk > 0) own.slope.assign(slope_.size(), Real{0});
    Real* slope = chunk > 0 ? own.slope.data() : slope_.data();
    Index since = 0;
    for (Index r = begin; r < end; ++r) {
      pulse.beat(cols_, since);
      const double share = 1.0 / static_cast<double>(rows.size);
      update_row(own, rows[r], method_ == Increment::sag ? a_[static_cast<std::size_t>(rows[r])] : share, slope);
    }
  });
  const Real one{1};
  for (Index chunk = 1; chunk < chunks.count; ++chunk) {
    kernels.add_rows(work[static_cast<std::size_t>(chunk)].slope.data(), cols_, &one, 1, cols_, slope_.data());
  }
}

template <class Real>
void Ascent<Real>::update_row(Workspace& work, Index i, double weight, Real* slope) {
  const FlushDenormals flush_denormals;
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  const auto at = static_cast<std::size_t>(i);
  const bool keeps = method_ == Increment::sag;
  if (keeps && kept_weight_[at] > Real{0}) {
    kernels.add_rows(kept_.data() + i * cols_, cols_, &kept_weight_[at], 1, cols_, slope);
  }
  if (!keeps) work.entries.resize(v_.size());
  Real* e = keeps ? kept_.data() + i * cols_ : work.entries.data();
  const Real sum = row_exponentials(work.costs.row(i, work.buffer), static_cast<Real>(scale_), v_, e);
  const Real factor = sum > Real{0} ? static_cast<Real>(weight / static_cast<double>(sum)) : Real{0};
  const Real negative = -factor;
  kernels.add_rows(e, cols_, &negative, 1, cols_, slope);
  if (keeps) kept_weight_[at] = factor;
}

template <class Real>
void Ascent<Real>::move() {
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  ++iterations_;
  const auto k = static_cast<double>(iterations_);
  const auto length = static_cast<Real>(method_ == Increment::sag ? step_ / seen_ : step_ / std::sqrt(k));
  kernels.add_rows(slope_.data(), cols_, &length, 1, cols_, v_.data());
  moves_->add(slope_.data(), cols_, &length, 1);
  if (iterations_ % kPrecise == 0) {
    const std::vector<double>& moved = moves_->total();
    for (std::size_t j = 0; j < v_.size(); ++j) v_[j] = static_cast<Real>(log_b_[j] + moved[j]);
  }
  if (method_ == Increment::sag) return;
  const auto weight = static_cast<Real>(k);
  mean_->add(v_.data(), cols_, &weight, 1);
}

template <class Real>
std::vector<double> Ascent<Real>::potentials() {
  std::vector<double> g(log_b_.size(), 0.0);
  const auto k = static_cast<double>(iterations_);
  const bool averages = method_ == Increment::asgd && iterations_ > 0;
  const std::vector<double>& sum = averages ? mean_->total() : moves_->total();
  for (std::size_t j = 0; j < g.size(); ++j) {
    if (!std::isfinite(log_b_[j])) continue;
    g[j] = (averages ? sum[j] / (0.5 * k * (k + 1.0)) - log_b_[j] : sum[j]) / scale_;
  }
  return g;
}

template <class Real>
double Ascent<Real>::error() const {
  if (method_ == Increment::asgd) return std::nan("");
  double total = 0.0;
  for (const Real slope : slope_) total += std::abs(static_cast<double>(slope));
  return total / seen_;
}

template class Ascent<float>;
template class Ascent<double>;
template bool Ascent<float>::run(const Cost<float>&, VectorView<const Index>, Monitor&);
template bool Ascent<double>::run(const Cost<float>&, VectorView<const Index>, Monitor&);
template bool Ascent<double>::run(const Cost<double>&, VectorView<const Index>, Monitor&);

}  // namespace otfast::entropic
