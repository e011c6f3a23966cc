// Passes over plans and slacks, which stay in NumPy's arrays.
#include "common.hpp"
#include "otfast/barycenter/barrier.hpp"

namespace otfast::bindings {
namespace {

using barycenter::Correction;
using barycenter::Direction;
using barycenter::PrimalDual;

MatrixView<double> writable(Array<double>& array, Index rows, Index cols, const char* name) {
  const MatrixView<const double> view = matrix_view(array, name);
  if (view.rows != rows || view.cols != cols) throw py::value_error(std::string(name) + " has the wrong shape");
  return {array.mutable_data(), rows, cols, view.stride};
}

PrimalDual pairs_of(Array<double>& plan, Array<double>& slack) {
  const MatrixView<const double> shape = matrix_view(plan, "plan");
  return {writable(plan, shape.rows, shape.cols, "plan"), writable(slack, shape.rows, shape.cols, "slack")};
}

Direction direction_of(const Array<double>& f, const Array<double>& g, const PrimalDual& pairs) {
  const Direction direction{vector_view(f, "f"), vector_view(g, "g")};
  if (direction.f.size != pairs.plan.rows || direction.g.size != pairs.plan.cols) {
    throw py::value_error("potentials do not fit the plan");
  }
  return direction;
}

py::tuple scale_pairs(Array<double> plan, Array<double> slack, Array<double> scaled) {
  const PrimalDual pairs = pairs_of(plan, slack);
  const MatrixView<double> out = writable(scaled, pairs.plan.rows, pairs.plan.cols, "scaled");
  barycenter::Scaling sums = PythonMonitor(py::none{}).run([&] { return barycenter::scale_pairs(pairs, out); });
  return py::make_tuple(to_array(std::move(sums.rows)), to_array(std::move(sums.cols)),
                        to_array(std::move(sums.plan_rows)), to_array(std::move(sums.plan_cols)), sums.complementarity);
}

py::tuple predict(Array<double> plan, Array<double> slack, const Array<double>& f, const Array<double>& g) {
  const PrimalDual pairs = pairs_of(plan, slack);
  const Direction affine = direction_of(f, g, pairs);
  barycenter::Prediction found = PythonMonitor(py::none{}).run([&] { return barycenter::predict(pairs, affine); });
  return py::make_tuple(found.least, found.most, found.linear, found.quadratic, to_array(std::move(found.inverse_rows)),
                        to_array(std::move(found.inverse_cols)), to_array(std::move(found.second_rows)),
                        to_array(std::move(found.second_cols)));
}

py::tuple find_extremes(Array<double> plan, Array<double> slack, const Array<double>& affine_f,
                        const Array<double>& affine_g, const Array<double>& f, const Array<double>& g, double target) {
  const PrimalDual pairs = pairs_of(plan, slack);
  const Correction correction{direction_of(affine_f, affine_g, pairs), direction_of(f, g, pairs), target};
  const auto [least, most] =
      PythonMonitor(py::none{}).run([&] { return barycenter::find_extremes(pairs, correction); });
  return py::make_tuple(least, most);
}

void take_step(Array<double> plan, Array<double> slack, const Array<double>& affine_f, const Array<double>& affine_g,
               const Array<double>& f, const Array<double>& g, double target, double plan_step, double slack_step) {
  const PrimalDual pairs = pairs_of(plan, slack);
  const Correction correction{direction_of(affine_f, affine_g, pairs), direction_of(f, g, pairs), target};
  PythonMonitor(py::none{}).run([&] { barycenter::take_step(pairs, correction, plan_step, slack_step); });
}

}  // namespace

void bind_barycenter(py::module_& module) {
  const auto plan = py::arg("plan").noconvert(), slack = py::arg("slack").noconvert();
  const auto f = py::arg("f").noconvert(), g = py::arg("g").noconvert();
  const auto affine_f = py::arg("affine_f").noconvert(), affine_g = py::arg("affine_g").noconvert();
  module.def("barrier_scale", &scale_pairs, plan, slack, py::arg("scaled").noconvert());
  module.def("barrier_predict", &predict, plan, slack, f, g);
  module.def("barrier_extremes", &find_extremes, plan, slack, affine_f, affine_g, f, g, py::arg("target"));
  module.def("barrier_step", &take_step, plan, slack, affine_f, affine_g, f, g, py::arg("target"), py::arg("plan_step"),
             py::arg("slack_step"));
}

}  // namespace otfast::bindings
