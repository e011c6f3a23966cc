// Soft and hard minima over a cost, and the cost of a product measure.
#include <optional>

#include "common.hpp"
#include "otfast/entropic/rounding.hpp"
#include "otfast/entropic/softmin.hpp"

namespace otfast::bindings {
namespace {

VectorView<const double> fitting(const Array<double>& array, Index size, const char* name) {
  const VectorView<const double> view = vector_view(array, name);
  if (view.size != size) throw py::value_error(std::string(name) + " does not fit the cost");
  return view;
}

template <class Real, class T>
std::vector<double> softmin_in(const Cost<T>& cost, VectorView<const double> h, double epsilon, bool transpose,
                               VectorView<const double> guess, Monitor& monitor) {
  return transpose ? entropic::softmin_of_columns<Real>(cost, h, epsilon, monitor, guess)
                   : entropic::softmin_of_rows<Real>(cost, h, epsilon, monitor, guess);
}

template <class T>
py::array_t<double> softmin(const Cost<T>& cost, const Array<double>& h, double epsilon, bool wide, bool transpose,
                            py::object monitor, const std::optional<Array<double>>& guess) {
  const VectorView<const double> view = fitting(h, transpose ? cost.rows() : cost.cols(), "h");
  VectorView<const double> expected;
  if (guess) expected = fitting(*guess, transpose ? cost.cols() : cost.rows(), "guess");
  PythonMonitor watched(std::move(monitor));
  return to_array(watched.run([&] {
    return wide ? softmin_in<double>(cost, view, epsilon, transpose, expected, watched)
                : softmin_in<T>(cost, view, epsilon, transpose, expected, watched);
  }));
}

template <class T>
py::array_t<double> c_transform(const Cost<T>& cost, const Array<double>& h, bool transpose) {
  const VectorView<const double> view = fitting(h, transpose ? cost.rows() : cost.cols(), "h");
  PythonMonitor watched(py::none{});
  return to_array(watched.run([&] {
    return transpose ? entropic::c_transform_of_rows(cost, view, watched)
                     : entropic::c_transform_of_columns(cost, view, watched);
  }));
}

template <class T>
double product_value(const Cost<T>& cost, const Array<double>& r, const Array<double>& c) {
  const VectorView<const double> of_rows = fitting(r, cost.rows(), "r");
  const VectorView<const double> of_cols = fitting(c, cost.cols(), "c");
  PythonMonitor watched(py::none{});
  return watched.run([&] { return entropic::product_value(cost, of_rows, of_cols, watched); });
}

template <class T>
void bind_precision(py::module_& module) {
  const auto h = py::arg("h").noconvert();
  module.def("softmin", &softmin<T>, py::arg("cost"), h, py::arg("epsilon"), py::arg("wide"), py::arg("transpose"),
             py::arg("monitor"), py::arg("guess").noconvert() = py::none());
  module.def("c_transform", &c_transform<T>, py::arg("cost"), h, py::arg("transpose"));
  module.def("product_value", &product_value<T>, py::arg("cost"), py::arg("r").noconvert(), py::arg("c").noconvert());
}

}  // namespace

void bind_rounding(py::module_& module) {
  bind_precision<float>(module);
  bind_precision<double>(module);
}

}  // namespace otfast::bindings
