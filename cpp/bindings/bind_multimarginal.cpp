// Contractions of sums of costs, and of tensors.
#include <optional>

#include "common.hpp"
#include "otfast/multimarginal/contraction.hpp"
#include "otfast/multimarginal/tensor.hpp"

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

std::vector<Index> shape_of(const py::array& array) { return {array.shape(), array.shape() + array.ndim()}; }

/// None if the potentials are no guess; else new ones, the error, the mass, and whether the kept plan is now that of
/// the potentials that were given.
template <class Real, class T>
py::object tour(const Array<T>& tensor, const std::vector<Array<double>>& weights,
                const std::vector<Array<double>>& potentials, const std::vector<double>& rho, double epsilon,
                bool update, Index rounds, std::optional<Array<Real>> kept, const std::vector<Array<double>>& reference,
                py::object monitor) {
  check_aligned(tensor, "tensor");
  const auto K = static_cast<std::size_t>(tensor.ndim());
  if (weights.size() != K || potentials.size() != K || rho.size() != K) throw py::value_error("axes do not fit");
  if (!multimarginal::has_tour(shape_of(tensor), sizeof(Real))) throw py::value_error("tensor has no tour");
  std::vector<multimarginal::Axis> axes;
  for (std::size_t k = 0; k < K; ++k) {
    axes.push_back({vector_view(weights[k], "weights"), vector_view(potentials[k], "potentials"), rho[k]});
    const Index size = tensor.shape(static_cast<py::ssize_t>(k));
    if (axes[k].weights.size != size || axes[k].potentials.size != size) throw py::value_error("axes do not fit");
  }
  multimarginal::KeptPlan<Real> plan{nullptr, {}};
  if (kept) {
    check_aligned(*kept, "kept");
    if (kept->size() != tensor.size()) throw py::value_error("kept does not fit");
    plan.entries = kept->mutable_data();
    if (!reference.empty() && reference.size() != K) throw py::value_error("axes do not fit");
    for (std::size_t k = 0; k < reference.size(); ++k) {
      plan.reference.push_back(vector_view(reference[k], "reference"));
      if (plan.reference[k].size != axes[k].weights.size) throw py::value_error("axes do not fit");
    }
  }
  PythonMonitor watched(std::move(monitor));
  multimarginal::Tour found = watched.run([&] {
    return multimarginal::tour<Real>(tensor.data(), axes, epsilon, update, rounds, kept ? &plan : nullptr, watched);
  });
  if (!found.trusted) return py::none();
  py::list moved;
  for (std::vector<double>& f : found.potentials) moved.append(to_array(std::move(f)));
  return py::make_tuple(moved, found.error, found.mass, found.has_replaced);
}

template <class Real, class T>
void bind_tour(py::module_& module, const char* name) {
  module.def(name, &tour<Real, T>, py::arg("tensor").noconvert(), py::arg("weights"), py::arg("potentials"),
             py::arg("rho"), py::arg("epsilon"), py::arg("update"), py::arg("rounds"), py::arg("kept").noconvert(),
             py::arg("reference"), py::arg("monitor"));
}

}  // namespace

void bind_multimarginal(py::module_& module) {
  module.def("sum_out", &sum_out, py::arg("tables"), py::arg("epsilon"), py::arg("monitor"));
  module.def("has_tour", &multimarginal::has_tour, py::arg("shape"), py::arg("item_size"));
  bind_tour<float, float>(module, "tour32");
  bind_tour<double, float>(module, "tour32_wide");
  bind_tour<double, double>(module, "tour64");
}

}  // namespace otfast::bindings
