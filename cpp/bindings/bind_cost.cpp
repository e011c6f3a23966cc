// Cost matrices, stored or not.
#include <algorithm>
#include <cmath>
#include <string>

#include "common.hpp"
#include "otfast/core/cost.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/cost/dense.hpp"
#include "otfast/cost/points.hpp"
#include "otfast/cost/summary.hpp"

namespace otfast::bindings {
namespace {

/// Entries worth a thread of their own.
constexpr Index kGrain = Index{1} << 16;

Metric make_metric(const std::string& name, double p, double q, Index dim) {
  if (name == "sqeuclidean") {
    if (!(p >= 0.0 && p <= static_cast<double>(dim) && p == std::floor(p))) {
      throw py::value_error("p, the number of negative coordinates, must be an integer from 0 to " +
                            std::to_string(dim));
    }
    return Metric::sqeuclidean(static_cast<Index>(p));
  }
  if (name == "euclidean") return Metric::euclidean();
  if (name == "cityblock") return Metric::cityblock();
  if (name == "chebyshev") return Metric::chebyshev();
  if (name == "dot") return Metric::dot(p);
  if (name == "power") {
    if (!(p > 0.0 && q > 0.0 && std::isfinite(q))) throw py::value_error("p and q must be positive, and q finite");
    return Metric::power(p, q);
  }
  throw py::value_error("unknown metric '" + name + "'");
}

template <class T>
PointCost<T> make_points(const Array<T>& x, const Array<T>& y, const std::string& metric, double p, double q) {
  const MatrixView<const T> x_view = matrix_view(x, "x");
  const MatrixView<const T> y_view = matrix_view(y, "y");
  if (x_view.cols != y_view.cols) throw py::value_error("x and y must have the same number of coordinates");
  const Metric made = make_metric(metric, p, q, x_view.cols);
  const py::gil_scoped_release release;
  return PointCost<T>(x_view, y_view, made);
}

template <class T>
py::array_t<T> rows(const Cost<T>& cost, Index begin, Index end) {
  if (!(0 <= begin && begin <= end && end <= cost.rows())) throw py::index_error("rows out of range");
  py::array_t<T> result({end - begin, cost.cols()});
  T* to = result.mutable_data();
  const py::gil_scoped_release release;
  const Index cols = cost.cols();
  parallel_for(end - begin, kGrain / std::max<Index>(1, cols) + 1, [&](Index first, Index last) {
    for (Index i = first; i < last; ++i) {
      T* out = to + i * cols;
      const T* row = cost.row(begin + i, 0, cols, out);
      if (row != out) std::copy_n(row, cols, out);
    }
  });
  return result;
}

template <class T>
py::array_t<T> entries(const Cost<T>& cost, const Array<Index>& rows, const Array<Index>& cols) {
  const VectorView<const Index> i = vector_view(rows, "rows");
  const VectorView<const Index> j = vector_view(cols, "cols");
  if (i.size != j.size) throw py::value_error("rows and cols must have the same length");
  py::array_t<T> result(i.size);
  T* to = result.mutable_data();
  const py::gil_scoped_release release;
  parallel_for(i.size, kGrain, [&](Index first, Index last) {
    for (Index k = first; k < last; ++k) {
      const bool inside = 0 <= i[k] && i[k] < cost.rows() && 0 <= j[k] && j[k] < cost.cols();
      if (!inside) throw py::index_error("pair out of range");
      to[k] = cost.entry(i[k], j[k]);
    }
  });
  return result;
}

template <class T>
py::tuple summary(const Cost<T>& cost) {
  CostSummary found;
  {
    const py::gil_scoped_release release;
    found = summarize(cost);
  }
  return py::make_tuple(found.min, found.max, found.mean, found.infinite, found.first_bad);
}

/// Classes Cost<bits>, DenseCost<bits> and PointCost<bits>.
template <class T>
void bind_costs(py::module_& module, const std::string& bits) {
  py::class_<Cost<T>>(module, ("Cost" + bits).c_str())
      .def_property_readonly("shape", [](const Cost<T>& cost) { return py::make_tuple(cost.rows(), cost.cols()); })
      .def("rows", &rows<T>, py::arg("begin"), py::arg("end"))
      .def("entries", &entries<T>, py::arg("rows").noconvert(), py::arg("cols").noconvert())
      .def("summary", &summary<T>);
  py::class_<DenseCost<T>, Cost<T>>(module, ("DenseCost" + bits).c_str())
      .def(py::init([](const Array<T>& matrix) { return DenseCost<T>(matrix_view(matrix, "C")); }),
           py::arg("C").noconvert(), py::keep_alive<1, 2>());
  py::class_<PointCost<T>, Cost<T>>(module, ("PointCost" + bits).c_str())
      .def(py::init(&make_points<T>), py::arg("x").noconvert(), py::arg("y").noconvert(), py::arg("metric"),
           py::arg("p"), py::arg("q"));
}

}  // namespace

void bind_cost(py::module_& module) {
  bind_costs<float>(module, "32");
  bind_costs<double>(module, "64");
}

}  // namespace otfast::bindings
