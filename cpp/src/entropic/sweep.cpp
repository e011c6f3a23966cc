#include "sweep.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"

namespace otfast::entropic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// A sum beyond these was shifted too badly to be trusted.
template <class Real>
constexpr Real kLeast = static_cast<Real>(0x1p-40);
template <class Real>
constexpr Real kMost = static_cast<Real>(0x1p40);

}  // namespace

template <class Real>
Sweep<Real>::Sweep(const Rows<Real>& rows, VectorView<const double> a, double scale, double damping,
                   std::unique_ptr<ActiveColumns> active)
    : rows_(rows),
      a_(a),
      scale_(static_cast<Real>(scale)),
      damping_(damping),
      chunks_(rows.rows(), rows.cols()),
      active_(std::move(active)),
      v_(static_cast<std::size_t>(rows.cols())),
      partial_(static_cast<std::size_t>(chunks_.count)) {}

template <class Real>
void Sweep<Real>::run(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column, PlanSink* keep,
                      Pulse& pulse) {
  for (std::size_t j = 0; j < v.size(); ++j) v[j] = static_cast<double>(v_[j] = static_cast<Real>(v[j]));
  if (active_) active_->update(v_.data());
  if (keep != nullptr) keep->clear(chunks_);
  chunks_.run([&](Index chunk, Index begin, Index end) {
    partial_[static_cast<std::size_t>(chunk)] = run_rows(begin, end, u, keep, chunk, pulse);
  });
  column = add_all(partial_);
}

template <class Real>
struct Sweep<Real>::Scratch {
  Scratch(const Rows<Real>& rows, Index group) : buffer(rows), entries(static_cast<std::size_t>(rows.cols() * group)) {}

  typename Rows<Real>::Buffer buffer;
  AlignedVector<Real> entries;  ///< row after row
  RowFacts facts[kGroup];
  std::vector<Run> runs;  ///< columns that are filled
  Index block = -1;       ///< of the rows to which the promises belong
  std::vector<double> promised;
  Run best{};
};

template <class Real>
std::vector<double> Sweep<Real>::run_rows(Index begin, Index end, std::vector<double>& u, PlanSink* keep, Index chunk,
                                          Pulse& pulse) const {
  const Index n = rows_.cols();
  // A few rows at a time go to the column sums, if they stay in cache until then.
  const Index group = n * static_cast<Index>(sizeof(Real)) <= (Index{1} << 16) || active_ ? kGroup : 1;
  Scratch scratch(rows_, group);
  ColumnSums<Real> sums(n);
  const auto sweep = [&](Index first, Index count) {
    active_ ? fill_active(first, count, u, scratch) : fill(first, count, u, scratch);
    Real weight[kGroup] = {};
    for (Index r = 0; r < count; ++r) {
      const RowFacts& row = scratch.facts[r];
      weight[r] = row.mass > 0.0 ? static_cast<Real>(row.mass / row.sum) : Real{0};
    }
    if (keep != nullptr) {
      keep->put(chunk, RowGroup<Real>{first, count, scratch.entries.data(), n, scratch.facts, scratch.runs,
                                      active_.get(), scratch.promised});
    }
    for (const Run& run : scratch.runs) {
      sums.add_part(scratch.entries.data(), n, weight, count, run.begin, run.end);
    }
    sums.note(count);
  };
  Index since = 0;
  for_row_blocks(active_.get(), begin, end,
                 [&](Index first, Index last) { for_groups(first, last, group, n, pulse, since, sweep); });
  return sums.total();
}

template <class Real>
void Sweep<Real>::fill(Index first, Index count, std::vector<double>& u, Scratch& scratch) const {
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  const Index n = rows_.cols();
  scratch.runs.assign(1, {0, n});
  for (Index r = 0; r < count; ++r) {
    const Index i = first + r;
    Real* e = scratch.entries.data() + r * n;
    const double potential = u[static_cast<std::size_t>(i)];
    Real shift = std::isfinite(potential) ? static_cast<Real>(potential) : Real{0};
    Real sum = rows_.exponentials(i, 0, n, scale_, v_.data(), shift, e, scratch.buffer);
    if (!(sum > kLeast<Real> && sum < kMost<Real>)) {
      const Real* c = rows_.row(i, scratch.buffer);
      const Real top = kernels.max_exponent(c, scale_, v_.data(), n);
      const bool has_way = top > -std::numeric_limits<Real>::infinity();
      shift = has_way ? -top : Real{0};
      sum = sum_exponentials(kernels, c, scale_, v_.data(), shift, n, e);
      // Of exponents beyond all precision nothing is left; the row is not forbidden for that.
      if (has_way && !(sum > Real{0})) sum = Real{1};
    }
    scratch.facts[r] = settle(i, shift, sum, u);
  }
}

template <class Real>
void Sweep<Real>::fill_active(Index first, Index count, std::vector<double>& u, Scratch& scratch) const {
  // Above this, a sum has lost nothing that its rounding would have kept.
  constexpr Real kComplete = static_cast<Real>(0x1p-4);
  const Index n = rows_.cols(), block = first / ActiveColumns::kRows;
  if (scratch.block != block) {
    scratch.block = block;
    scratch.best = active_->promise(block, scratch.promised);
  }
  Real top[kGroup], shift[kGroup], sum[kGroup];
  const auto [begin, end] = scratch.best;
  for (Index r = 0; r < count; ++r) {
    const Real* c = rows_.row(first + r, begin, end, scratch.buffer);
    top[r] = isa::kernels<Real>().max_exponent(c, scale_, v_.data() + begin, end - begin);
    const double potential = u[static_cast<std::size_t>(first + r)];
    const bool is_known = std::isfinite(potential) && static_cast<Real>(potential) + top[r] < Real{4};
    shift[r] = is_known ? static_cast<Real>(potential) : -top[r];
  }
  // A potential that turns out too low is replaced by what the best block tells.
  for (Index attempt = 0; attempt < 2; ++attempt) {
    const Real highest = *std::max_element(shift, shift + count);
    if (!std::isfinite(highest)) break;
    active_->list(scratch.promised, static_cast<double>(highest), active_->template depth<Real>(), scratch.runs);
    bool is_complete = true;
    for (Index r = 0; r < count; ++r) {
      sum[r] = Real{0};
      for (const Run& run : scratch.runs) {
        sum[r] += rows_.exponentials(first + r, run.begin, run.end, scale_, v_.data(), shift[r],
                                     scratch.entries.data() + r * n, scratch.buffer);
      }
      if (sum[r] > kComplete && sum[r] < kMost<Real>) continue;
      is_complete = false;
      shift[r] = -top[r];
    }
    if (!is_complete) continue;
    for (Index r = 0; r < count; ++r) scratch.facts[r] = settle(first + r, shift[r], sum[r], u);
    return;
  }
  fill(first, count, u, scratch);
}

template <class Real>
RowFacts Sweep<Real>::settle(Index i, Real shift, Real sum, std::vector<double>& u) const {
  const double softmin = static_cast<double>(shift) - std::log2(static_cast<double>(sum));
  double& potential = u[static_cast<std::size_t>(i)];
  potential = sum > Real{0} ? damping_ * softmin : kInfinity;
  const double mass = sum > Real{0} ? a_[i] * (damping_ == 1.0 ? 1.0 : std::exp2(potential - softmin)) : 0.0;
  return {static_cast<double>(sum), softmin, mass};
}

template <class Real>
double Sweep<Real>::density(const std::vector<double>& v, double share, Pulse& pulse) const {
  constexpr Index kSample = 16;
  const isa::Kernels<Real>& kernels = isa::kernels<Real>();
  const Index n = rows_.cols();
  typename Rows<Real>::Buffer buffer(rows_);
  AlignedVector<Real> exponents(v.size()), e(v.size());
  for (std::size_t j = 0; j < v.size(); ++j) exponents[j] = static_cast<Real>(v[j]);
  std::vector<Node> cols(v.size() + static_cast<std::size_t>(isa::kSparseRoom));
  std::vector<float> values(cols.size());
  const std::vector<float> ones(v.size(), 1.0F);
  Index above = 0, since = 0;
  const Index sample = std::min(kSample, rows_.rows());
  for (Index k = 0; k < sample; ++k) {
    pulse.beat(n, since);
    const FlushDenormals flush_denormals;
    const Real* c = rows_.row(k * rows_.rows() / sample, buffer);
    const Real top = kernels.max_exponent(c, scale_, exponents.data(), n);
    if (!(top > -std::numeric_limits<Real>::infinity())) continue;
    const Real sum = sum_exponentials(kernels, c, scale_, exponents.data(), -top, n, e.data());
    const auto limit = static_cast<float>(share * static_cast<double>(sum));
    above += kernels.keep_above(e.data(), limit, limit, ones.data(), n, cols.data(), values.data());
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
