// A loop over rows whose parts are summed in a fixed order.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>

#include "otfast/core/monitor.hpp"
#include "otfast/core/threads.hpp"

namespace otfast::entropic {

/// Lets a loop over rows listen to the monitor, on whichever of its threads may.
class Pulse {
 public:
  explicit Pulse(Monitor& monitor) : monitor_(monitor), caller_(std::this_thread::get_id()) {}

  /// Throws `Aborted` if the work has been given up. `work` is what was done since the last beat, in pairs.
  void beat(Index work, Index& since) {
    since += work;
    if (since < kPairs) return;
    since = 0;
    if (aborted_.load(std::memory_order_relaxed)) throw Aborted{};
    if (std::this_thread::get_id() != caller_) return;
    try {
      monitor_.poll();
    } catch (...) {
      aborted_.store(true, std::memory_order_relaxed);
      throw;
    }
  }

 private:
  static constexpr Index kPairs = Index{1} << 20;  // a millisecond

  Monitor& monitor_;
  std::thread::id caller_;
  std::atomic<bool> aborted_{false};
};

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
