// How a solver ended.
#pragma once

namespace otfast {

enum class Status {
  optimal,          ///< the answer meets its certificate
  iteration_limit,  ///< `max_iter` was reached first
  stopped,          ///< the monitor asked to stop
  infeasible,       ///< every plan uses a forbidden (+inf) pair
};

}  // namespace otfast
