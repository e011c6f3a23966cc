#include "otfast/cost/summary.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "isa/kernels.hpp"
#include "otfast/core/threads.hpp"

namespace otfast {
namespace {

using isa::RunSummary;

/// Adds the summary of a run whose first entry has the flat index `offset`.
void join(RunSummary& all, const RunSummary& run, Index offset) {
  all.min = std::min(all.min, run.min);
  all.max = std::max(all.max, run.max);
  all.sum += run.sum;
  all.infinite += run.infinite;
  if (run.first_bad >= 0) {
    const Index at = offset + run.first_bad;
    all.first_bad = all.first_bad < 0 ? at : std::min(all.first_bad, at);
  }
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr RunSummary kEmpty{.min = kInfinity, .max = -kInfinity};

}  // namespace

template <class T>
CostSummary summarize(const Cost<T>& cost) {
  // Entries are summed up in runs, runs in tiles, tiles at the end: errors stay far below those of one long sum.
  constexpr Index kRun = 4096;
  constexpr Index kTile = 1 << 17;
  const auto& kernels = isa::kernels<T>();
  const Index tile_cols = std::min(cost.cols(), kTile);
  const Index tile_rows = tile_cols > 0 ? std::max<Index>(1, kTile / tile_cols) : 1;
  const Index across = tile_cols > 0 ? (cost.cols() - 1) / tile_cols + 1 : 0;
  const Index down = (cost.rows() + tile_rows - 1) / tile_rows;

  std::vector<RunSummary> tiles(static_cast<std::size_t>(across * down), kEmpty);
  parallel_for(across * down, 1, [&](Index tile, Index) {
    RunSummary& summary = tiles[static_cast<std::size_t>(tile)];
    const Index col_begin = tile % across * tile_cols;
    const Index col_end = std::min(cost.cols(), col_begin + tile_cols);
    const Index row_begin = tile / across * tile_rows;
    const Index row_end = std::min(cost.rows(), row_begin + tile_rows);
    T buffer[kRun];
    for (Index i = row_begin; i < row_end; ++i) {
      for (Index j = col_begin; j < col_end; j += kRun) {
        const Index end = std::min(col_end, j + kRun);
        join(summary, kernels.summarize(cost.row(i, j, end, buffer), end - j), i * cost.cols() + j);
      }
    }
  });

  RunSummary all = kEmpty;
  for (const RunSummary& tile : tiles) join(all, tile, 0);
  const Index finite = cost.rows() * cost.cols() - all.infinite;
  const double mean = finite > 0 ? all.sum / static_cast<double>(finite) : std::numeric_limits<double>::quiet_NaN();
  return {all.min, all.max, mean, all.infinite, all.first_bad};
}

template CostSummary summarize(const Cost<float>&);
template CostSummary summarize(const Cost<double>&);

}  // namespace otfast
