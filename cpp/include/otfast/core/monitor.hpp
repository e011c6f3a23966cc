// The one way in which long work talks to the outside: progress out, interruption in.
#pragma once

#include <chrono>

#include "otfast/core/types.hpp"

namespace otfast {

/// Where a solver stands.
struct Progress {
  Index iteration = 0;  ///< pivots, sweeps, ...: what the solver's `n_iter` counts
  double error = 0.0;   ///< the solver's `error` at this point, or a bound on it
  double value = 0.0;   ///< the objective at this point
};

/// Thrown by a monitor to give the whole call up: nobody wants its result any more.
struct Aborted {};

/// Solvers report where they stand whenever `due()`, which only reads a clock, and poll in between, all on the thread
/// that called them. The base class is the silent monitor: never due, never stops.
class Monitor {
 public:
  virtual ~Monitor() = default;

  /// True when it is time for a report.
  bool due() const { return listening_ && Clock::now() - last_report_ >= period_; }

  /// Passes on where the solver stands; true means: stop now and return what you have. May throw `Aborted`.
  bool report(const Progress& progress) {
    if (!listening_) return false;
    progress_ = progress;
    last_report_ = Clock::now();
    stopped_ = on_report(progress) || stopped_;
    return stopped_;
  }

  /// For work between two reports: says again what was said last, if it is time. A wish to stop waits for the next
  /// report.
  void poll() {
    if (due()) report(progress_);
  }

  bool stopped() const { return stopped_; }

 protected:
  using Clock = std::chrono::steady_clock;

  Monitor() = default;
  explicit Monitor(Clock::duration period) : listening_(true), period_(period), last_report_(Clock::now()) {}

  /// Returns true to stop the solver, throws `Aborted` to give up.
  virtual bool on_report(const Progress&) { return false; }

 private:
  bool listening_ = false;
  bool stopped_ = false;
  Clock::duration period_{};
  Clock::time_point last_report_{};
  Progress progress_;
};

/// For calls nobody watches: small problems, the inside of a batch, tests.
class SilentMonitor final : public Monitor {};

}  // namespace otfast
