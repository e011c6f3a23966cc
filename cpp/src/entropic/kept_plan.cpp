#include "kept_plan.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "column_sums.hpp"
#include "otfast/core/denormals.hpp"

namespace otfast::entropic {
namespace {

/// Rows that a sweep puts at once.
constexpr Index kMostRows = 4;

/// Entries of a row that are kept, for the pulse.
constexpr Index kTypical = 1024;

/// The length of packed entries.
constexpr Index padded(Index n) { return (n + isa::kPackedRow - 1) / isa::kPackedRow * isa::kPackedRow; }

}  // namespace

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

SparsePlan::SparsePlan(VectorView<const double> b, double tolerance)
    : cols_(b.size),
      negligible_(b.size, tolerance),
      heaviest_(*std::max_element(b.begin(), b.end())),
      of_heaviest_(static_cast<std::size_t>(b.size)) {
  for (Index j = 0; j < b.size; ++j) of_heaviest_[static_cast<std::size_t>(j)] = static_cast<float>(b[j] / heaviest_);
}

void SparsePlan::clear(const Chunks& chunks) {
  parts_.resize(static_cast<std::size_t>(chunks.count));
  for (Part& part : parts_) {
    part.start.assign(1, 0);
    part.masses.clear();
    part.sums.clear();
  }
}

template <class Real>
void SparsePlan::put_rows(Index chunk, const RowGroup<Real>& rows) {
  Part& part = parts_[static_cast<std::size_t>(chunk)];
  for (Index r = 0; r < rows.count; ++r) {
    const RowFacts& row = rows.facts[r];
    const Real* e = rows.e + r * rows.stride;
    const Index begin = part.start.back();
    Index end = begin;
    if (row.sum > 0.0) {
      const auto room = static_cast<std::size_t>(begin + cols_ + isa::kSparseRoom);
      if (part.cols.size() < room) {
        part.cols.resize(room + room / 2);
        part.values.resize(room + room / 2);
      }
      constexpr double kMost = 1e30;
      const double limit = negligible_.share() * row.sum;
      const double of_columns = row.mass > 0.0 ? std::min(limit * (heaviest_ / row.mass), kMost) : limit;
      for (const auto [from, to] : rows.runs) {
        Node* cols = part.cols.data() + end;
        const Index more =
            isa::kernels<Real>().keep_above(e + from, static_cast<float>(limit), static_cast<float>(of_columns),
                                            of_heaviest_.data() + from, to - from, cols, part.values.data() + end);
        if (from > 0) {
          for (Index k = 0; k < more; ++k) cols[k] += static_cast<Node>(from);
        }
        end += more;
      }
    }
    part.start.push_back(end);
    part.masses.push_back(row.mass);
    part.sums.push_back(std::accumulate(part.values.begin() + begin, part.values.begin() + end, 0.0));
  }
}

void SparsePlan::multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const {
  // In double precision: of a column that hardly shares its rows, little is left of the difference to its degree.
  const isa::Kernels<float>& kernels = isa::kernels<float>();
  std::vector<std::vector<double>> sums(parts_.size());
  parallel_for(static_cast<Index>(parts_.size()), 1, [&](Index first, Index last) {
    for (Index p = first; p < last; ++p) {
      const Part& part = parts_[static_cast<std::size_t>(p)];
      std::vector<double>& sum = sums[static_cast<std::size_t>(p)];
      sum.assign(static_cast<std::size_t>(cols_), 0.0);
      Index since = 0;
      for (std::size_t i = 0; i < part.masses.size(); ++i) {
        const Index begin = part.start[i], count = part.start[i + 1] - begin;
        pulse.beat(count, since);
        if (count == 0) continue;
        const Node* cols = part.cols.data() + begin;
        const float* values = part.values.data() + begin;
        const double weight = part.masses[i] / (part.sums[i] * part.sums[i]);
        kernels.add_sparse(cols, values, count, weight * kernels.dot_sparse(cols, values, count, x.data()), sum.data());
      }
    }
  });
  out = add_all(sums);
}

void SparsePlan::diagonal(std::vector<double>& out) const {
  out.assign(static_cast<std::size_t>(cols_), 0.0);
  for (const Part& part : parts_) {
    for (std::size_t i = 0; i < part.masses.size(); ++i) {
      const double weight = part.masses[i] / (part.sums[i] * part.sums[i]);
      for (Index k = part.start[i]; k < part.start[i + 1]; ++k) {
        const auto value = static_cast<double>(part.values[static_cast<std::size_t>(k)]);
        out[static_cast<std::size_t>(part.cols[static_cast<std::size_t>(k)])] += weight * value * value;
      }
    }
  }
}

// --- The blocks that matter.

void BlockPlan::clear(const Chunks& chunks) {
  parts_.resize(static_cast<std::size_t>(chunks.count));
  for (Part& part : parts_) {
    part.groups.clear();
    part.facts.clear();
    part.runs.clear();
    part.entries.clear();
    part.diagonal.assign(static_cast<std::size_t>(cols_), 0.0);
  }
}

template <class Real>
void BlockPlan::put_rows(Index chunk, const RowGroup<Real>& rows) {
  Part& part = parts_[static_cast<std::size_t>(chunk)];
  double shift = -std::numeric_limits<double>::infinity();
  for (Index r = 0; r < rows.count; ++r) {
    if (rows.facts[r].mass > 0.0) shift = std::max(shift, rows.facts[r].softmin);
  }
  rows.active->list(rows.promised, shift, -std::log2(negligible_.share()), part.found);
  Index stride = 0;
  for (const auto [begin, end] : part.found) stride += padded(end - begin);
  const std::size_t first_entry = part.entries.size();
  const auto first_run = static_cast<Index>(part.runs.size());
  part.groups.push_back({.count = rows.count,
                         .stride = stride,
                         .first_fact = static_cast<Index>(part.facts.size()),
                         .first_run = first_run,
                         .end_run = first_run + static_cast<Index>(part.found.size()),
                         .first_entry = first_entry});
  part.facts.insert(part.facts.end(), rows.facts, rows.facts + rows.count);
  part.runs.insert(part.runs.end(), part.found.begin(), part.found.end());
  part.entries.resize(first_entry + static_cast<std::size_t>(rows.count * stride));
  isa::Packed* to = part.entries.data() + first_entry;
  for (Index r = 0; r < rows.count; ++r) {
    const RowFacts& row = rows.facts[r];
    const double weight = row.sum > 0.0 ? row.mass / (row.sum * row.sum) : 0.0;
    const Real* e = rows.e + r * rows.stride;
    for (const auto [begin, end] : part.found) {
      isa::kernels<Real>().pack(e + begin, end - begin, to);
      to += padded(end - begin);
      for (Index j = begin; j < end; ++j) {
        const auto entry = static_cast<double>(e[j]);
        part.diagonal[static_cast<std::size_t>(j)] += weight * entry * entry;
      }
    }
  }
}

void BlockPlan::multiply(const std::vector<double>& x, std::vector<double>& out, Pulse& pulse) const {
  const isa::Kernels<float>& kernels = isa::kernels<float>();
  const double unit = unit_of(x);
  AlignedVector<float> scaled = in_units<float>(x, unit);
  scaled.resize(static_cast<std::size_t>(padded(cols_)), 0.0F);
  std::vector<std::vector<double>> sums(parts_.size());
  parallel_for(static_cast<Index>(parts_.size()), 1, [&](Index first, Index last) {
    for (Index p = first; p < last; ++p) {
      const Part& part = parts_[static_cast<std::size_t>(p)];
      ColumnSums<float> columns(cols_, padded(cols_));
      Index since = 0;
      for_groups(0, static_cast<Index>(part.groups.size()), 1, kMostRows * kTypical, pulse, since, [&](Index g, Index) {
        const Group& group = part.groups[static_cast<std::size_t>(g)];
        const isa::Packed* const entries = part.entries.data() + group.first_entry;
        const auto for_runs = [&](const auto& body) {
          const isa::Packed* from = entries;
          for (Index k = group.first_run; k < group.end_run; ++k) {
            const auto [begin, end] = part.runs[static_cast<std::size_t>(k)];
            for (Index j = begin; j < end; j += kRun) body(from + (j - begin), j, std::min(kRun, end - j));
            from += padded(end - begin);
          }
        };
        float dots[kMostRows] = {}, weights[kMostRows];
        for_runs([&](const isa::Packed* rows, Index j, Index n) {
          float some[kMostRows];
          kernels.dot_packed_rows(rows, group.stride, scaled.data() + j, group.count, n, some);
          for (Index r = 0; r < group.count; ++r) dots[r] += some[r];
        });
        for (Index r = 0; r < group.count; ++r) {
          const RowFacts& row = part.facts[static_cast<std::size_t>(group.first_fact + r)];
          weights[r] =
              row.sum > 0.0 ? static_cast<float>(row.mass / (row.sum * row.sum) * static_cast<double>(dots[r])) : 0.0F;
        }
        for_runs([&](const isa::Packed* rows, Index j, Index n) {
          columns.add_part(rows, group.stride, weights, group.count, j, j + n);
        });
        columns.note(group.count);
      });
      sums[static_cast<std::size_t>(p)] = columns.total();
    }
  });
  out = add_all(sums);
  for (double& value : out) value *= unit;
}

void BlockPlan::diagonal(std::vector<double>& out) const {
  out.assign(static_cast<std::size_t>(cols_), 0.0);
  for (const Part& part : parts_) {
    for (std::size_t j = 0; j < out.size(); ++j) out[j] += part.diagonal[j];
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
    std::vector<Run> runs{{0, n}};
    std::vector<double> promised;
    const auto add_row = [&](Index i, Index) {
      const RowFacts& row = facts_[static_cast<std::size_t>(i)];
      if (row.mass == 0.0) return;
      Real product{0};
      for (const auto [from, to] : runs) {
        rows_.exponentials(i, from, to, scale_, v.data(), static_cast<Real>(row.softmin), e.data(), buffer);
        product += dot(kernels, e.data() + from, scaled.data() + from, to - from);
      }
      const Real weight = static_cast<Real>(row.mass) * product;
      for (const auto [from, to] : runs) sums.add_part(e.data(), n, &weight, 1, from, to);
      sums.note(1);
    };
    Index since = 0;
    for_row_blocks(active_.get(), begin, end, [&](Index first, Index last) {
      if (active_) {
        double shift = -std::numeric_limits<double>::infinity();
        for (Index i = first; i < last; ++i) {
          const RowFacts& row = facts_[static_cast<std::size_t>(i)];
          if (row.mass > 0.0) shift = std::max(shift, row.softmin);
        }
        active_->promise(first / ActiveColumns::kRows, promised);
        active_->list(promised, shift, -std::log2(negligible_.share()), runs);
      }
      for_groups(first, last, 1, n, pulse, since, add_row);
    });
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
