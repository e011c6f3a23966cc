// Many problems of one size at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <thread>

#include "common.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/cost/dense.hpp"

namespace otfast::bindings {

/// Costs (k, n, m), or (1, n, m) for all problems, and weights (k, n) and (k, m).
template <class T>
struct ProblemStack {
  Index count, n, m;

  ProblemStack(const py::array_t<T, py::array::c_style>& C, const Array<double>& A, const Array<double>& B)
      : a_(matrix_view(A, "A")), b_(matrix_view(B, "B")), costs_(C.data()) {
    if (C.ndim() != 3) throw py::value_error("C must have three dimensions");
    check_aligned(C, "C");
    count = a_.rows;
    n = a_.cols;
    m = b_.cols;
    if (b_.rows != count || C.shape(1) != n || C.shape(2) != m || (C.shape(0) != 1 && C.shape(0) != count)) {
      throw py::value_error("weights do not fit the costs");
    }
    stride_ = C.shape(0) == 1 ? 0 : n * m;
  }

  DenseCost<T> cost(Index k) const { return DenseCost<T>(MatrixView<const T>{costs_ + k * stride_, n, m, m}); }
  VectorView<const double> a(Index k) const { return {a_.row(k), n}; }
  VectorView<const double> b(Index k) const { return {b_.row(k), m}; }

 private:
  MatrixView<const double> a_, b_;
  const T* costs_;
  Index stride_;
};

/// What a problem of a batch reports to. The caller hears how many are solved, not how one of them stands; and as only
/// the calling thread may ask Python whether to go on, the others learn of it through `stop`.
class ProblemMonitor final : public Monitor {
 public:
  ProblemMonitor(Monitor* asked, const std::atomic<Index>& done, std::atomic<bool>& stop)
      : Monitor(std::chrono::milliseconds(20)), asked_(asked), done_(done), stop_(stop) {}

 protected:
  bool on_report(const Progress&) override {
    if (asked_ != nullptr && asked_->due() && asked_->report({done_, 0.0, 0.0})) stop_ = true;
    return stop_;
  }

 private:
  Monitor* asked_;  ///< null on all threads but the calling one
  const std::atomic<Index>& done_;
  std::atomic<bool>& stop_;
};

/// Calls solve(k, monitor) for every problem k, without the GIL and on all threads.
template <class Solve>
void run_batch(Index count, PythonMonitor& watched, const Solve& solve) {
  watched.run([&] {
    std::atomic<bool> stop = false;
    std::atomic<Index> done = 0;
    const auto caller = std::this_thread::get_id();
    ProblemMonitor of_caller(&watched, done, stop);
    const Index grain = std::clamp<Index>(count / (8 * num_threads()), 1, 64);
    parallel_for(count, grain, [&](Index begin, Index end) {
      ProblemMonitor of_others(nullptr, done, stop);
      Monitor& inner = std::this_thread::get_id() == caller ? of_caller : of_others;
      for (Index k = begin; k < end; ++k) {
        solve(k, inner);
        ++done;
        inner.poll();
      }
    });
    return 0;
  });
}

}  // namespace otfast::bindings
