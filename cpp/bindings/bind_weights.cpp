// Weights: what Python checks before every call, at a cost that small problems can bear.
#include "common.hpp"
#include "otfast/core/weights.hpp"

namespace otfast::bindings {

void bind_weights(py::module_& module) {
  module.def(
      "weight_summary",
      [](const Array<double>& weights) {
        const WeightSummary found = summarize(vector_view(weights, "weights"));
        return py::make_tuple(found.total, found.first_bad);
      },
      py::arg("weights").noconvert());
}

}  // namespace otfast::bindings
