#include "otfast/core/threads.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#ifdef __linux__
#include <sched.h>
#endif

namespace otfast {
namespace {

/// The processors that this process may run on: fewer than the machine has under taskset or a batch system.
int available_processors() {
#ifdef __linux__
  // Machines with more processors than cpu_set_t has bits (1024) make the call fail until the set is large enough.
  for (int bits = CPU_SETSIZE; bits <= (1 << 20); bits *= 2) {
    cpu_set_t* set = CPU_ALLOC(bits);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(bits);
    const int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

/// OTFAST_NUM_THREADS if it is a positive integer and nothing else, else 0.
int threads_from_environment() {
  const char* text = std::getenv("OTFAST_NUM_THREADS");
  if (text == nullptr) return 0;
  const std::string_view all(text);
  int count = 0;
  const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), count);
  return error == std::errc{} && end == all.data() + all.size() && count > 0 ? count : 0;
}

/// 0 until it is first asked for or set.
std::atomic<int> thread_count{0};

/// True while this thread runs a body of `parallel_for`: a loop inside it stays here, the other threads are busy.
thread_local bool inside_loop = false;

class InsideLoop {
 public:
  InsideLoop() : before_(inside_loop) { inside_loop = true; }
  ~InsideLoop() { inside_loop = before_; }
  InsideLoop(const InsideLoop&) = delete;
  InsideLoop& operator=(const InsideLoop&) = delete;

 private:
  bool before_;
};

}  // namespace

int num_threads() {
  int count = thread_count.load(std::memory_order_relaxed);
  if (count == 0) {
    const int asked = threads_from_environment();
    const int initial = asked > 0 ? asked : available_processors();
    // Another thread may have set a number meanwhile; then that one holds.
    count = thread_count.compare_exchange_strong(count, initial, std::memory_order_relaxed) ? initial : count;
  }
  return count;
}

void set_num_threads(int count) { thread_count.store(std::max(1, count), std::memory_order_relaxed); }

void parallel_for(Index size, Index grain, const std::function<void(Index, Index)>& body) {
  if (size <= 0) return;
  grain = std::max<Index>(1, grain);
  const Index chunks = (size - 1) / grain + 1;
  const Index threads = inside_loop ? 1 : std::min<Index>(num_threads(), chunks);

  std::atomic<Index> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  const auto work = [&] {
    const InsideLoop mark;
    while (!failed.load(std::memory_order_relaxed)) {
      const Index chunk = next.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= chunks) return;
      const Index begin = chunk * grain;
      try {
        body(begin, chunk == chunks - 1 ? size : begin + grain);
      } catch (...) {
        if (!failed.exchange(true)) error = std::current_exception();
      }
    }
  };

  if (threads == 1) {
    // Outermost loops of one chunk leave inner loops their threads.
    if (chunks == 1) return body(0, size);
    work();
  } else {
    std::vector<std::thread> helpers;
    helpers.reserve(static_cast<std::size_t>(threads - 1));
    try {
      while (static_cast<Index>(helpers.size()) < threads - 1) helpers.emplace_back(work);
    } catch (const std::system_error&) {
      // The system gives no more threads: those we have, and this one, do all the work.
    }
    work();
    for (std::thread& helper : helpers) helper.join();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace otfast
