// Contractions of sums of costs.
#include "common.hpp"
#include "otfast/multimarginal/contraction.hpp"

namespace otfast::bindings {
namespace {

/// Tables of one number of axes, of which those that stay may have size 1; the last is summed out.
py::array_t<double> sum_out(const std::vector<Array<double>>& arrays, double epsilon, py::object monitor) {
  if (arrays.empty() || arrays.front().ndim() == 0) throw py::value_error("tables must have an axis to sum out");
  const auto axes = static_cast<std::size_t>(arrays.front().ndim());
  const Index size = arrays.front().shape(static_cast<py::ssize_t>(axes) - 1);
  std::vector<Index> shape(axes - 1, 1);
  std::vector<multimarginal::Table> tables;
  for (const Array<double>& array : arrays) {
    check_aligned(array, "tables");
    multimarginal::Table table{array.data(), {array.shape(), array.shape() + array.ndim()}};
    if (table.shape.size() != axes || table.shape.back() != size) throw py::value_error("tables do not fit");
    table.shape.pop_back();
    for (std::size_t axis = 0; axis + 1 < axes; ++axis) {
      if (table.shape[axis] == 1) continue;
      if (shape[axis] != 1 && shape[axis] != table.shape[axis]) throw py::value_error("tables do not fit");
      shape[axis] = table.shape[axis];
    }
    tables.push_back(std::move(table));
  }
  PythonMonitor watched(std::move(monitor));
  return to_array(watched.run([&] { return multimarginal::sum_out(tables, shape, size, epsilon, watched); }))
      .reshape(shape);
}

}  // namespace

void bind_multimarginal(py::module_& module) {
  module.def("sum_out", &sum_out, py::arg("tables"), py::arg("epsilon"), py::arg("monitor"));
}

}  // namespace otfast::bindings
