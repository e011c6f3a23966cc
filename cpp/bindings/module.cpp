// The extension module otfast._core: one registering function for each room.
#include "common.hpp"

namespace otfast::bindings {

void bind_barycenter(py::module_& module);
void bind_core(py::module_& module);
void bind_cost(py::module_& module);
void bind_entropic(py::module_& module);
void bind_exact(py::module_& module);
void bind_kernel(py::module_& module);
void bind_gaussian(py::module_& module);
void bind_line(py::module_& module);
void bind_multimarginal(py::module_& module);
void bind_rounding(py::module_& module);
void bind_stochastic(py::module_& module);
void bind_weights(py::module_& module);

}  // namespace otfast::bindings

// Nothing here is guarded by the GIL: objects are immutable once made, and global state is atomic.
PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
  using namespace otfast::bindings;
  module.doc() = "The compiled core of otfast. Arguments are checked by the Python package, not here.";
  bind_barycenter(module);
  bind_core(module);
  bind_cost(module);
  bind_entropic(module);
  bind_exact(module);
  bind_kernel(module);
  bind_gaussian(module);
  bind_line(module);
  bind_multimarginal(module);
  bind_rounding(module);
  bind_stochastic(module);
  bind_weights(module);
}
