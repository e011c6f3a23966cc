// A loop over rows whose parts are summed in a fixed order.
#pragma once

#include <algorithm>

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

}  // namespace otfast::entropic
