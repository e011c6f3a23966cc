// How a loop that several threads share listens to the monitor.
#pragma once

#include <atomic>
#include <thread>

#include "otfast/core/monitor.hpp"
#include "otfast/core/types.hpp"

namespace otfast {

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

}  // namespace otfast
