#include "kept_plan.hpp"

#include <algorithm>
#include <cmath>

#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"

namespace otfast::entropic {

// --- All entries.

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

template class RecomputedPlan<float>;
template class RecomputedPlan<double>;

}  // namespace otfast::entropic
