// The one loop that uses threads does every chunk once, whatever happens in it.
#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "otfast/core/threads.hpp"

namespace {

using namespace otfast;

/// Every index is visited exactly once, in chunks that start at multiples of the grain.
void test_cover() {
  for (const int threads : {1, 2, 7}) {
    set_num_threads(threads);
    CHECK(num_threads() == threads);
    for (const Index size : {0, 1, 2, 9, 10, 11, 1000}) {
      for (const Index grain : {0, 1, 3, 10, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<std::size_t>(size));
        std::atomic<bool> chunked{true};
        parallel_for(size, grain, [&](Index begin, Index end) {
          if (begin >= end || (grain > 0 && (begin % grain != 0 || end - begin > grain))) chunked = false;
          for (Index i = begin; i < end; ++i) visits[static_cast<std::size_t>(i)].fetch_add(1);
        });
        CHECK(chunked.load());
        for (const auto& count : visits) CHECK(count.load() == 1);
      }
    }
  }
}

/// The first exception comes out, the others are dropped, and the loop can be used again.
void test_exception() {
  for (const int threads : {1, 4}) {
    set_num_threads(threads);
    std::atomic<Index> started{0};
    std::string message;
    try {
      parallel_for(100000, 1, [&](Index begin, Index) {
        started.fetch_add(1);
        if (begin >= 10) throw std::runtime_error("at ten");
      });
    } catch (const std::runtime_error& error) {
      message = error.what();
    }
    CHECK(message == "at ten");
    CHECK(started.load() < 100000);
    Index sum = 0;
    parallel_for(1, 1, [&](Index, Index) { sum += 1; });
    CHECK(sum == 1);
  }
}

/// A loop in a loop runs on the thread it is met on.
void test_nested() {
  set_num_threads(4);
  std::atomic<Index> sum{0};
  std::atomic<bool> stayed{true};
  parallel_for(8, 1, [&](Index, Index) {
    const std::thread::id outer = std::this_thread::get_id();
    parallel_for(100, 7, [&](Index begin, Index end) {
      if (std::this_thread::get_id() != outer) stayed = false;
      for (Index i = begin; i < end; ++i) sum.fetch_add(i);
    });
  });
  CHECK(stayed.load());
  CHECK(sum.load() == 8 * 4950);
}

/// Loops of several callers do not meet.
void test_concurrent_callers() {
  set_num_threads(3);
  std::vector<Index> sums(6, 0);
  std::vector<std::thread> callers;
  for (Index& sum : sums) {
    callers.emplace_back([&sum] {
      std::atomic<Index> own{0};
      parallel_for(1000, 10, [&](Index begin, Index end) { own.fetch_add(end - begin); });
      sum = own.load();
    });
  }
  for (std::thread& caller : callers) caller.join();
  for (const Index sum : sums) CHECK(sum == 1000);
}

}  // namespace

int main() {
  // Before anybody has set a number, the environment's holds.
  setenv("OTFAST_NUM_THREADS", "3", 1);
  CHECK(num_threads() == 3);
  test_cover();
  test_exception();
  test_nested();
  test_concurrent_callers();
  return otfast::test::report();
}
