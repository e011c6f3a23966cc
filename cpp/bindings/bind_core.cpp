// Threads, and what this build is.
#include "common.hpp"
#include "otfast/core/isa.hpp"
#include "otfast/core/threads.hpp"

namespace otfast::bindings {

void bind_core(py::module_& module) {
  module.def(
      "set_num_threads",
      [](int count) {
        if (count < 1) throw py::value_error("the number of threads must be at least 1, not " + std::to_string(count));
        set_num_threads(count);
      },
      py::arg("count"));
  module.def("get_num_threads", &num_threads);
  module.def("isa", &isa_name);
  module.def("cuda_built", [] { return false; });
  module.def("cuda_available", [] { return false; });
}

}  // namespace otfast::bindings
