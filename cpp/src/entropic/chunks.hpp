// Loops over rows: those whose parts are summed in a fixed order, and what goes on inside one thread.
#pragma once

#include <algorithm>

#include "otfast/core/denormals.hpp"
#include "otfast/core/pulse.hpp"
#include "otfast/core/threads.hpp"

namespace otfast::entropic {

/// How rows are cut for threads: by the size of the problem alone, so that sums do not depend on the number of threads.
struct Chunks {
  Index rows;   ///< in all
  Index grain;  ///< of each chunk but the last
  Index count;

  Chunks(Index row_count, Index cols) : rows(row_count) {
    constexpr Index kPairs = Index{1} << 18;  // worth a thread
    constexpr Index kMost = 16;
    const Index wanted = std::clamp<Index>(rows * cols / kPairs, 1, kMost);
    grain = (rows + wanted - 1) / wanted;
    count = (rows + grain - 1) / grain;
  }

  /// body(chunk, begin, end).
  template <class Body>
  void run(const Body& body) const {
    parallel_for(rows, grain, [&](Index begin, Index end) { body(begin / grain, begin, end); });
  }
};

/// body(first, count) for groups of rows of `cols` pairs, with denormals flushed. Between runs of groups the pulse
/// beats, with what was done `since` its last beat: setting the floating-point mode for every group would cost a fifth
/// of its time.
template <class Body>
void for_groups(Index begin, Index end, Index group, Index cols, Pulse& pulse, Index& since, const Body& body) {
  constexpr Index kPairs = Index{1} << 16;
  const Index run = std::max<Index>(kPairs / (group * cols), 1) * group;
  for (Index start = begin; start < end; start += run) {
    const Index stop = std::min(start + run, end);
    pulse.beat((stop - start) * cols, since);
    const FlushDenormals flush_denormals;
    for (Index first = start; first < stop; first += group) body(first, std::min(group, stop - first));
  }
}

}  // namespace otfast::entropic
