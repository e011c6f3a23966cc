// Potentials to start Newton's method from.
#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "otfast/entropic/sinkhorn.hpp"

namespace otfast::entropic {

/// Listens for another monitor without telling it of the inner work.
class Whisper final : public Monitor {
 public:
  explicit Whisper(Monitor& outer) : Monitor(std::chrono::milliseconds(50)), outer_(outer) {}

 protected:
  bool on_report(const Progress&) override {
    outer_.poll();
    return outer_.stopped();
  }

 private:
  Monitor& outer_;
};

/// Potentials g of the columns. Small problems are solved roughly at falling temperatures; of large ones a sample is,
/// and its potentials are extended to all columns.
template <class Real, class T>
std::vector<double> start_potentials(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b,
                                     const Options& options, Monitor& monitor);

/// The same by falling temperatures alone: `solve(options, monitor)` makes a few iterations at each.
template <class Solve>
std::vector<double> cool_down(Index cols, const Options& options, Monitor& monitor, const Solve& solve) {
  // The temperature at which potentials of zero are a good start, as a share of the range of the costs, and how fast it
  // falls from there.
  constexpr double kHot = 1.0 / 20.0, kCooling = 0.25;
  constexpr Index kIterations = 3;
  std::vector<double> g(static_cast<std::size_t>(cols), 0.0);
  Whisper inner(monitor);
  Options level = options;
  level.method = Method::log;
  level.tolerance = 0.0;
  level.max_iterations = kIterations;
  for (level.epsilon = options.range * kHot; level.epsilon > options.epsilon; level.epsilon *= kCooling) {
    level.g = view(g);
    Potentials found = solve(level, inner);
    if (found.status == Status::infeasible) break;  // whoever asked for a start will see it, too
    g = std::move(found.g);
  }
  return g;
}

}  // namespace otfast::entropic
