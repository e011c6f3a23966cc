// The thread policy: one number for the whole library, and one loop that uses it.
#pragma once

#include <functional>

#include "otfast/core/types.hpp"

namespace otfast {

/// Number of threads a call may use: what `set_num_threads` was told, else `OTFAST_NUM_THREADS` (ignored unless it is a
/// positive integer), else the number of processors this process may run on.
int num_threads();

/// Sets that number; `count >= 1`.
void set_num_threads(int count);

/// Runs `body(begin, end)` over [0, size) in chunks of `grain`, handed out in order to at most `num_threads()` threads.
/// Threads live for one call only: nothing survives a fork, and a call from any thread is as good as from another. An
/// exception in a body ends the loop and is thrown here. With one thread, or one chunk, everything runs on the calling
/// thread; so does a loop in the body of another.
void parallel_for(Index size, Index grain, const std::function<void(Index, Index)>& body);

}  // namespace otfast
