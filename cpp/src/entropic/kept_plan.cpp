#include "kept_plan.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"

namespace otfast::entropic {
namespace {

constexpr Index kGroup = 4;  ///< rows that are in cache together

/// The unit in which a vector is kept in Real, so that its numbers are in range.
double unit_of(const std::vector<double>& x) {
  double unit = 0.0;
  for (const double value : x) unit = std::max(unit, std::abs(value));
  return unit > 0.0 ? unit : 1.0;
}

template <class Real>
AlignedVector<Real> in_units(const std::vector<double>& x, double unit) {
  AlignedVector<Real> scaled(x.size());
  for (std::size_t j = 0; j < x.size(); ++j) scaled[j] = static_cast<Real>(x[j] / unit);
  return scaled;
}

}  // namespace

// --- All entries.

template <class Entry>
StoredEntries<Entry>::StoredEntries(Index rows, Index cols)
    : rows_(rows),
      cols_(cols),
      stride_((cols + isa::kPackedRow - 1) / isa::kPackedRow * isa::kPackedRow),
      entries_(static_cast<std::size_t>(rows * stride_)) {}

template <class Entry>
void StoredEntries<Entry>::put(Index i, const float* e) {
  Entry* to = entries_.data() + i * stride_;
  if constexpr (std::is_same_v<Entry, float>) {
    std::copy_n(e, cols_, to);
  } else {
    isa::kernels<float>().pack(e, cols_, to);
  }
}

template <class Entry>
void StoredEntries<Entry>::put(Index i, const double* e) {
  Entry* to = entries_.data() + i * stride_;
  if constexpr (std::is_same_v<Entry, float>) {
    isa::kernels<float>().convert(e, cols_, to);
  } else {
    isa::kernels<double>().pack(e, cols_, to);
  }
}

template <class Entry>
template <class Weight>
std::vector<double> StoredEntries<Entry>::pass(const std::vector<double>& x, const Weight& weight, Pulse& pulse) const {
  const isa::Kernels<float>& kernels = isa::kernels<float>();
  const auto dot_rows = [&](const Entry* rows, const float* v, Index count, Index n, float* dots) {
    if constexpr (std::is_same_v<Entry, float>) {
      kernels.dot_rows(rows, stride_, v, count, n, dots);
    } else {
      kernels.dot_packed_rows(rows, stride_, v, count, n, dots);
    }
  };
  const double unit = unit_of(x);
  AlignedVector<float> scaled = in_units<float>(x, unit);
  scaled.resize(static_cast<std::size_t>(stride_), 0.0F);
  const Chunks chunks(rows_, cols_);
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(chunks.count));
  chunks.run([&](Index chunk, Index begin, Index end) {
    ColumnSums<float> sums(cols_, stride_);
    Index since = 0;
    for (Index first = begin; first < end; first += kGroup) {
      const Index count = std::min(kGroup, end - first);
      pulse.beat(count * cols_, since);
      const FlushDenormals flush_denormals;
      const Entry* rows = entries_.data() + first * stride_;
      float dots[kGroup] = {}, weights[kGroup];
      for (Index j = 0; j < cols_; j += kRun) {
        float part[kGroup];
        dot_rows(rows + j, scaled.data() + j, count, std::min(kRun, cols_ - j), part);
        for (Index r = 0; r < count; ++r) dots[r] += part[r];
      }
      for (Index r = 0; r < count; ++r) {
        weights[r] = static_cast<float>(weight(first + r, static_cast<double>(dots[r]), unit));
      }
      sums.add(rows, stride_, weights, count);
    }
    parts[static_cast<std::size_t>(chunk)] = sums.total();
  });
  return add_all(parts);
}

void DensePlan::multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const {
  const auto weight = [this](Index i, double dot, double) {
    const RowFacts& row = facts_[static_cast<std::size_t>(i)];
    return row.sum > 0.0 ? row.mass / (row.sum * row.sum) * dot : 0.0;
  };
  out = entries_.pass(x, weight, pulse);
  const double unit = unit_of(x);
  for (double& value : out) value *= unit;
}

void DensePlan::diagonal(std::vector<double>& out) const { out.assign(static_cast<std::size_t>(cols_), 0.0); }

std::vector<double> Kernel::scale_rows(const std::vector<double>& y, Pulse& pulse) const {
  const auto weight = [this](Index i, double dot, double unit) { return dot > 0.0 ? a_[i] / (dot * unit) : 0.0; };
  return entries_.pass(y, weight, pulse);
}

// --- The entries that matter.

void SparsePlan::clear(const Chunks& chunks) {
  parts_.resize(static_cast<std::size_t>(chunks.count));
  for (Part& part : parts_) {
    part.start.assign(1, 0);
    part.cols.clear();
    part.values.clear();
    part.masses.clear();
    part.found.resize(static_cast<std::size_t>(cols_));
  }
}

template <class Real>
void SparsePlan::put_row(Index chunk, const Real* e, const RowFacts& row) {
  Part& part = parts_[static_cast<std::size_t>(chunk)];
  const auto threshold = static_cast<Real>(kNegligible * row.sum);
  const Index count = row.sum > 0.0 ? isa::kernels<Real>().find_above(e, threshold, cols_, part.found.data()) : 0;
  double kept = 0.0;
  for (Index k = 0; k < count; ++k) kept += static_cast<double>(e[part.found[static_cast<std::size_t>(k)]]);
  for (Index k = 0; k < count; ++k) {
    const Node j = part.found[static_cast<std::size_t>(k)];
    part.cols.push_back(j);
    part.values.push_back(static_cast<float>(static_cast<double>(e[j]) / kept));
  }
  part.start.push_back(static_cast<Index>(part.cols.size()));
  part.masses.push_back(row.mass);
}

void SparsePlan::multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const {
  out.assign(static_cast<std::size_t>(cols_), 0.0);
  Index since = 0;
  for (const Part& part : parts_) {
    for (std::size_t i = 0; i < part.masses.size(); ++i) {
      const Index begin = part.start[i], end = part.start[i + 1];
      double dot = 0.0;
      for (Index k = begin; k < end; ++k) {
        dot += static_cast<double>(part.values[static_cast<std::size_t>(k)]) *
               x[static_cast<std::size_t>(part.cols[static_cast<std::size_t>(k)])];
      }
      const double weighted = part.masses[i] * dot;
      for (Index k = begin; k < end; ++k) {
        out[static_cast<std::size_t>(part.cols[static_cast<std::size_t>(k)])] +=
            static_cast<double>(part.values[static_cast<std::size_t>(k)]) * weighted;
      }
    }
    pulse.beat(static_cast<Index>(part.cols.size()), since);
  }
}

void SparsePlan::diagonal(std::vector<double>& out) const {
  out.assign(static_cast<std::size_t>(cols_), 0.0);
  for (const Part& part : parts_) {
    for (std::size_t i = 0; i < part.masses.size(); ++i) {
      for (Index k = part.start[i]; k < part.start[i + 1]; ++k) {
        const auto value = static_cast<double>(part.values[static_cast<std::size_t>(k)]);
        out[static_cast<std::size_t>(part.cols[static_cast<std::size_t>(k)])] += part.masses[i] * value * value;
      }
    }
  }
}

// --- No entries.

template <class Real>
void RecomputedPlan<Real>::multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const {
  const Index n = rows_.cols();
  const double unit = unit_of(x);
  const AlignedVector<Real> scaled = in_units<Real>(x, unit);
  const AlignedVector<Real> v = in_units<Real>(v_, 1.0);
  const Chunks chunks(rows_.rows(), n);
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(chunks.count));
  chunks.run([&](Index chunk, Index begin, Index end) {
    const isa::Kernels<Real>& kernels = isa::kernels<Real>();
    ColumnSums<Real> sums(n);
    typename Rows<Real>::Buffer buffer(rows_);
    AlignedVector<Real> e(static_cast<std::size_t>(n));
    Index since = 0;
    for (Index i = begin; i < end; ++i) {
      pulse.beat(n, since);
      const RowFacts& row = facts_[static_cast<std::size_t>(i)];
      if (row.mass == 0.0) continue;
      const FlushDenormals flush_denormals;
      const Real* c = rows_.row(i, buffer);
      sum_exponentials(kernels, c, scale_, v.data(), static_cast<Real>(row.softmin), n, e.data());
      const Real weight = static_cast<Real>(row.mass) * dot(kernels, e.data(), scaled.data(), n);
      sums.add(e.data(), n, &weight, 1);
    }
    parts[static_cast<std::size_t>(chunk)] = sums.total();
  });
  out = add_all(parts);
  for (double& value : out) value *= unit;
}

template <class Real>
void RecomputedPlan<Real>::diagonal(std::vector<double>& out) const {
  out.assign(static_cast<std::size_t>(rows_.cols()), 0.0);
}

template class StoredEntries<float>;
template class StoredEntries<isa::Packed>;
template class RecomputedPlan<float>;
template class RecomputedPlan<double>;

}  // namespace otfast::entropic
