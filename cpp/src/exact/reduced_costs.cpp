#include "reduced_costs.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <thread>

#include "../isa/kernels.hpp"
#include "otfast/core/threads.hpp"

namespace otfast::exact {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Rows and columns to a block where blocks are skipped: small enough for tight bounds, large enough to pay for the
/// test.
constexpr Index kBoundedRows = 32;
constexpr Index kBoundedCols = 64;

/// Entries of a block that is streamed: it stays in cache between two looks at it.
constexpr Index kStreamed = 1 << 14;

/// Entries that are worth handing to a thread.
constexpr Index kGrain = 1 << 19;

/// Entries that `scale` looks at.
constexpr Index kSample = 1 << 12;

std::vector<double> block_maxima(const std::vector<double>& values, Index block) {
  const auto size = static_cast<Index>(values.size());
  std::vector<double> maxima((size + block - 1) / block, -kInfinity);
  for (Index i = 0; i < size; ++i) maxima[i / block] = std::max(maxima[i / block], values[i]);
  return maxima;
}

/// A block of the other side with the least that it can offer.
struct Offer {
  double bound;
  Index block;
  bool operator<(const Offer& other) const { return bound < other.bound; }
};

}  // namespace

/// What a thread needs for its blocks.
template <class T>
struct ReducedCosts<T>::Scratch {
  Scratch(Index cols, Index rows) : buffer(cols), hits(cols), of_row(rows) {}

  std::vector<T> buffer;
  std::vector<Node> hits;
  std::vector<std::vector<Pair>> of_row;
  std::vector<Offer> offers;
};

template <class T>
ReducedCosts<T>::ReducedCosts(const Cost<T>& cost, Monitor& monitor) : cost_(cost), monitor_(monitor) {
  // Few rows or columns: bounds cost more than they save.
  if (cost.rows() >= 4 * kBoundedRows && cost.cols() >= 4 * kBoundedCols)
    bounds_ = cost.block_bounds(kBoundedRows, kBoundedCols);
  row_block_ = bounds_ ? kBoundedRows : std::clamp<Index>(kStreamed / std::max<Index>(cost.cols(), 1), 1, 64);
  col_block_ = bounds_ ? kBoundedCols : std::max<Index>(cost.cols(), 1);
}

/// Calls `visit(block, chunk, scratch)` for all blocks of rows; blocks that share a number `chunk` run one after
/// another.
template <class T>
template <class Visit>
void ReducedCosts<T>::for_row_blocks(Visit visit) const {
  const Index grain = std::max<Index>(1, kGrain / (row_block_ * std::max<Index>(cost_.cols(), 1)));
  const auto caller = std::this_thread::get_id();
  parallel_for(row_blocks(), grain, [&](Index begin, Index end) {
    Scratch scratch(col_block_, row_block_);
    const bool polls = std::this_thread::get_id() == caller;
    for (Index block = begin; block < end; ++block) {
      visit(block, begin, scratch);
      if (polls) monitor_.poll();
    }
  });
}

/// Gathers what `visit(block, scratch, found)` appends to `found`, in the order of the blocks.
template <class T>
template <class Visit>
std::vector<Pair> ReducedCosts<T>::collect(Visit visit) const {
  std::vector<std::vector<Pair>> found(row_blocks());
  for_row_blocks([&](Index block, Index chunk, Scratch& scratch) { visit(block, scratch, found[chunk]); });
  std::size_t count = 0;
  for (const std::vector<Pair>& some : found) count += some.size();
  std::vector<Pair> all;
  all.reserve(count);
  for (const std::vector<Pair>& some : found) all.insert(all.end(), some.begin(), some.end());
  return all;
}

/// f of the rows of one block. With bounds, column blocks come in the order of what they can offer, until none can
/// improve a row.
template <class T>
void ReducedCosts<T>::transform_block(Index block, const std::vector<double>& g, const std::vector<double>& g_max,
                                      std::vector<double>& f, Scratch& scratch) const {
  const auto& kernels = isa::kernels<T>();
  const Index cols = cost_.cols();
  const Index begin = block * row_block_, end = std::min(begin + row_block_, cost_.rows());
  const auto transform = [&](Index i, Index j, Index j_end) {
    return kernels.min_reduced(cost_.row(i, j, j_end, scratch.buffer.data()), g.data() + j, j_end - j);
  };
  if (!bounds_) {
    for (Index i = begin; i < end; ++i) {
      if (f[i] > -kInfinity) f[i] = transform(i, 0, cols);
    }
    return;
  }
  scratch.offers.clear();
  for (Index k = 0; k < static_cast<Index>(g_max.size()); ++k)
    scratch.offers.push_back({bounds_->lower(block, k) - g_max[k], k});
  std::sort(scratch.offers.begin(), scratch.offers.end());
  for (Index i = begin; i < end; ++i) {
    if (f[i] > -kInfinity) f[i] = kInfinity;
  }
  for (const Offer& offer : scratch.offers) {
    const Index j = offer.block * col_block_, j_end = std::min(j + col_block_, cols);
    bool wanted = false;
    for (Index i = begin; i < end; ++i) {
      if (offer.bound >= f[i]) continue;
      wanted = true;
      f[i] = std::min(f[i], transform(i, j, j_end));
    }
    if (!wanted) break;
  }
}

/// Pairs below the threshold in the rows of one block.
template <class T>
void ReducedCosts<T>::find_in_block(Index block, const std::vector<double>& f, const std::vector<double>& g,
                                    const std::vector<double>& g_max, double threshold, Index per_row, Scratch& scratch,
                                    std::vector<Pair>& found) const {
  const auto& kernels = isa::kernels<T>();
  const Index begin = block * row_block_, end = std::min(begin + row_block_, cost_.rows());
  const double f_max = *std::max_element(f.begin() + begin, f.begin() + end);
  for (Index k = 0; k < static_cast<Index>(g_max.size()); ++k) {
    if (bounds_ && bounds_->lower(block, k) - f_max - g_max[k] >= threshold) continue;
    const Index j = k * col_block_, j_end = std::min(j + col_block_, cost_.cols());
    for (Index i = begin; i < end; ++i) {
      if (f[i] == -kInfinity) continue;
      const T* c = cost_.row(i, j, j_end, scratch.buffer.data());
      const Index count = kernels.find_below(c, g.data() + j, j_end - j, threshold + f[i], scratch.hits.data());
      for (Index h = 0; h < count; ++h) {
        const double entry = static_cast<double>(c[scratch.hits[h]]);
        const auto col = static_cast<Node>(j + scratch.hits[h]);
        scratch.of_row[i - begin].push_back({static_cast<Node>(i), col, entry, entry - f[i] - g[col]});
      }
    }
  }
  for (std::vector<Pair>& pairs : scratch.of_row) {
    if (static_cast<Index>(pairs.size()) > per_row) {
      std::nth_element(pairs.begin(), pairs.begin() + per_row, pairs.end(),
                       [](const Pair& p, const Pair& q) { return p.reduced < q.reduced; });
      pairs.resize(per_row);
    }
    found.insert(found.end(), pairs.begin(), pairs.end());
    pairs.clear();
  }
}

template <class T>
void ReducedCosts<T>::transform_rows(const std::vector<double>& g, std::vector<double>& f) const {
  const std::vector<double> g_max = block_maxima(g, col_block_);
  for_row_blocks([&](Index block, Index, Scratch& scratch) { transform_block(block, g, g_max, f, scratch); });
}

template <class T>
std::vector<Pair> ReducedCosts<T>::below(const std::vector<double>& f, const std::vector<double>& g, double threshold,
                                         Index per_row) const {
  const std::vector<double> g_max = block_maxima(g, col_block_);
  return collect([&](Index block, Scratch& scratch, std::vector<Pair>& found) {
    find_in_block(block, f, g, g_max, threshold, per_row, scratch, found);
  });
}

template <class T>
std::vector<Pair> ReducedCosts<T>::transform_rows_and_find_below(const std::vector<double>& g, std::vector<double>& f,
                                                                 double threshold, Index per_row) const {
  const std::vector<double> g_max = block_maxima(g, col_block_);
  return collect([&](Index block, Scratch& scratch, std::vector<Pair>& found) {
    transform_block(block, g, g_max, f, scratch);
    find_in_block(block, f, g, g_max, threshold, per_row, scratch, found);
  });
}

/// Lowers g to min_i C_ij - f_i, all rows after one another; `potential(i, row)` says f_i, -inf or +inf to leave a row
/// out.
template <class T>
template <class Potential>
void ReducedCosts<T>::stream_cols(Potential potential, std::vector<double>& g) const {
  const auto& kernels = isa::kernels<T>();
  const Index rows = cost_.rows(), cols = cost_.cols();
  const auto caller = std::this_thread::get_id();
  std::vector<double> least(cols, kInfinity);
  std::mutex merging;
  const Index grain = std::max<Index>(16, kGrain / std::max<Index>(cols, 1));
  parallel_for(rows, grain, [&](Index begin, Index end) {
    std::vector<T> buffer(cols);
    std::vector<double> best(cols, kInfinity);
    for (Index i = begin; i < end; ++i) {
      const T* row = cost_.row(i, 0, cols, buffer.data());
      const double f = potential(i, row);
      if (std::isinf(f)) continue;
      kernels.lower_columns(row, f, best.data(), cols);
      if (std::this_thread::get_id() == caller) monitor_.poll();
    }
    const std::lock_guard lock(merging);
    for (Index j = 0; j < cols; ++j) least[j] = std::min(least[j], best[j]);
  });
  for (Index j = 0; j < cols; ++j) {
    if (g[j] > -kInfinity) g[j] = least[j];
  }
}

/// The same by blocks of columns: blocks of rows come in the order of what they can offer, until none can lower a
/// column.
template <class T>
void ReducedCosts<T>::search_cols(const std::vector<double>& f, std::vector<double>& g) const {
  const auto& kernels = isa::kernels<T>();
  const Index rows = cost_.rows(), cols = cost_.cols();
  const auto caller = std::this_thread::get_id();
  const std::vector<double> f_max = block_maxima(f, row_block_);
  parallel_for((cols + col_block_ - 1) / col_block_, 8, [&](Index begin, Index end) {
    std::vector<T> buffer(col_block_);
    std::vector<double> least(col_block_);
    std::vector<Offer> offers;
    for (Index block = begin; block < end; ++block) {
      offers.clear();
      for (Index k = 0; k < row_blocks(); ++k) offers.push_back({bounds_->lower(k, block) - f_max[k], k});
      std::sort(offers.begin(), offers.end());
      const Index j = block * col_block_, j_end = std::min(j + col_block_, cols);
      least.assign(j_end - j, kInfinity);
      for (const Offer& offer : offers) {
        if (offer.bound >= *std::max_element(least.begin(), least.end())) break;
        const Index i_end = std::min((offer.block + 1) * row_block_, rows);
        for (Index i = offer.block * row_block_; i < i_end; ++i) {
          if (std::isinf(f[i])) continue;
          kernels.lower_columns(cost_.row(i, j, j_end, buffer.data()), f[i], least.data(), j_end - j);
        }
      }
      for (Index k = j; k < j_end; ++k) {
        if (g[k] > -kInfinity) g[k] = least[k - j];
      }
      if (std::this_thread::get_id() == caller) monitor_.poll();
    }
  });
}

template <class T>
void ReducedCosts<T>::transform_cols(const std::vector<double>& f, std::vector<double>& g) const {
  if (bounds_) {
    search_cols(f, g);
  } else {
    stream_cols([&](Index i, const T*) { return f[i]; }, g);
  }
}

template <class T>
void ReducedCosts<T>::transform_both(std::vector<double>& f, std::vector<double>& g) const {
  if (bounds_) {
    transform_rows(g, f);
    search_cols(f, g);
    return;
  }
  const auto& kernels = isa::kernels<T>();
  const std::vector<double> old_g = g;
  const auto potential = [&](Index i, const T* row) {
    if (f[i] > -kInfinity) f[i] = kernels.min_reduced(row, old_g.data(), cost_.cols());
    return f[i];
  };
  stream_cols(potential, g);
}

template <class T>
typename ReducedCosts<T>::Scale ReducedCosts<T>::scale(const std::vector<double>& f, const std::vector<double>& g,
                                                       Index per_row) const {
  const auto& kernels = isa::kernels<T>();
  const Index rows = cost_.rows(), cols = cost_.cols();
  const Index sampled = std::min(rows, std::max<Index>(8, kSample / cols));
  std::vector<double> values;
  std::vector<T> buffer(cols);
  Index used = 0;
  double size = 0.0;  // of the numbers whose rounding must not decide
  for (Index k = 0; k < sampled; ++k) {
    const Index i = k * rows / sampled;
    if (f[i] == -kInfinity) continue;
    const T* c = cost_.row(i, 0, cols, buffer.data());
    const double least = kernels.min_reduced(c, g.data(), cols);
    if (least == kInfinity) continue;
    ++used;
    double at_least = kInfinity;  // |g| where the least is attained
    for (Index j = 0; j < cols; ++j) {
      const double reduced = static_cast<double>(c[j]) - g[j] - least;
      if (reduced < kInfinity) values.push_back(reduced);
      if (reduced == 0.0) at_least = std::min(at_least, std::abs(g[j]));
    }
    size += std::abs(least) + at_least;
  }
  if (values.empty()) return {kInfinity, kInfinity};
  const double rounding = 0x1p-46 * size / static_cast<double>(used);
  const auto quantile = [&](Index rank) {
    const auto position = values.begin() + std::min(rank, static_cast<Index>(values.size()) - 1);
    std::nth_element(values.begin(), position, values.end());
    return *position + rounding;
  };
  // Where all pairs of a row are near, the largest of them are not typical.
  const auto count = static_cast<Index>(values.size());
  const Index typical = std::max(std::min(used * per_row, count / 4), count / 16);
  return {quantile(used * per_row), quantile(typical)};
}

template class ReducedCosts<float>;
template class ReducedCosts<double>;

}  // namespace otfast::exact
