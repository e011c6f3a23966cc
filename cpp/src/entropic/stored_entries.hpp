// n * m numbers in memory, and the pass that multiplies with them.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "chunks.hpp"
#include "column_sums.hpp"
#include "isa/kernels.hpp"
#include "otfast/core/aligned.hpp"

namespace otfast::entropic {

/// The unit in which a vector is kept in Real, so that its numbers are in range.
inline double unit_of(const std::vector<double>& x) {
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

/// All entries, in single precision or packed.
template <class Entry>
class StoredEntries {
 public:
  StoredEntries(Index rows, Index cols)
      : rows_(rows),
        cols_(cols),
        stride_((cols + isa::kPackedRow - 1) / isa::kPackedRow * isa::kPackedRow),
        entries_(static_cast<std::size_t>(rows * stride_)) {}

  void put(Index i, const float* e);
  void put(Index i, const double* e);

  /// out = entries^T w, where w_i = weight(i, entries_i . x).
  template <class Weight>
  std::vector<double> pass(const std::vector<double>& x, const Weight& weight, Pulse& pulse) const;

 private:
  Index rows_;
  Index cols_;
  Index stride_;
  UnfilledVector<Entry> entries_;

  /// Rows that are in the first cache together: at least so many as the kernels take at once, more where they are
  /// short.
  static constexpr Index kFewest = 4, kMost = 16;
  static constexpr Index kTogether = 4096;  ///< entries
};

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
  const Index group = std::clamp(kTogether / cols_, kFewest, kMost);
  const Chunks chunks(rows_, cols_);
  std::vector<std::vector<double>> parts(static_cast<std::size_t>(chunks.count));
  chunks.run([&](Index chunk, Index begin, Index end) {
    ColumnSums<float> sums(cols_, stride_);
    Index since = 0;
    for_groups(begin, end, group, cols_, pulse, since, [&](Index first, Index count) {
      const Entry* rows = entries_.data() + first * stride_;
      float dots[kMost] = {}, weights[kMost];
      for (Index j = 0; j < cols_; j += kRun) {
        float part[kMost];
        dot_rows(rows + j, scaled.data() + j, count, std::min(kRun, cols_ - j), part);
        for (Index r = 0; r < count; ++r) dots[r] += part[r];
      }
      for (Index r = 0; r < count; ++r) {
        weights[r] = static_cast<float>(weight(first + r, static_cast<double>(dots[r]), unit));
      }
      sums.add(rows, stride_, weights, count);
    });
    parts[static_cast<std::size_t>(chunk)] = sums.total();
  });
  return add_all(parts);
}

}  // namespace otfast::entropic
