// Exact transport on the line.
#include <algorithm>
#include <utility>

#include "common.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/exact/line.hpp"

namespace otfast::bindings {
namespace {

/// Points worth a thread of their own.
constexpr Index kGrain = Index{1} << 14;

/// Row k of a matrix, or its only row.
template <class T>
VectorView<const T> row_or_only(const MatrixView<const T>& matrix, Index k) {
  return {matrix.row(matrix.rows == 1 ? 0 : k), matrix.cols};
}

/// W_p between the measures in row k of (x, a) and of (y, b): sorted points and their weights. A single row is for all.
template <class T>
py::array_t<double> line_distance(const Array<T>& x, const Array<double>& a, const Array<T>& y, const Array<double>& b,
                                  double p) {
  const MatrixView<const T> x_view = matrix_view(x, "x");
  const MatrixView<const T> y_view = matrix_view(y, "y");
  const MatrixView<const double> a_view = matrix_view(a, "a");
  const MatrixView<const double> b_view = matrix_view(b, "b");
  const Index count = x_view.rows;
  const auto fits = [count](Index rows) { return rows == count || rows == 1; };
  if (y_view.rows != count || !fits(a_view.rows) || !fits(b_view.rows) || a_view.cols != x_view.cols ||
      b_view.cols != y_view.cols || x_view.cols == 0 || y_view.cols == 0) {
    throw py::value_error("points and weights do not fit");
  }
  py::array_t<double> result(count);
  double* to = result.mutable_data();
  const py::gil_scoped_release release;
  parallel_for(count, std::max<Index>(1, kGrain / (x_view.cols + y_view.cols)), [&](Index begin, Index end) {
    for (Index k = begin; k < end; ++k) {
      const exact::LineMeasure<T> mu{row_or_only(x_view, k), row_or_only(a_view, k)};
      const exact::LineMeasure<T> nu{row_or_only(y_view, k), row_or_only(b_view, k)};
      to[k] = exact::line_distance(mu, nu, p);
    }
  });
  return result;
}

/// The plan between sorted points, as what `emd` returns.
py::dict line_plan(const Array<double>& x, const Array<double>& a, const Array<double>& y, const Array<double>& b,
                   double p) {
  const exact::LineMeasure<double> mu{vector_view(x, "x"), vector_view(a, "a")};
  const exact::LineMeasure<double> nu{vector_view(y, "y"), vector_view(b, "b")};
  if (mu.points.size != mu.weights.size || nu.points.size != nu.weights.size || mu.points.size == 0 ||
      nu.points.size == 0) {
    throw py::value_error("points and weights do not fit");
  }
  exact::Transport plan;
  {
    const py::gil_scoped_release release;
    plan = exact::line_plan(mu, nu, p);
  }
  py::dict result;
  result["rows"] = to_array(std::move(plan.rows));
  result["cols"] = to_array(std::move(plan.cols));
  result["mass"] = to_array(std::move(plan.mass));
  result["potential_a"] = to_array(std::move(plan.f));
  result["potential_b"] = to_array(std::move(plan.g));
  result["value"] = plan.value;
  result["dual_value"] = plan.dual_value;
  result["status"] = "optimal";
  result["n_iter"] = 1;
  return result;
}

}  // namespace

void bind_line(py::module_& module) {
  module.def("line_distance32", &line_distance<float>, py::arg("x").noconvert(), py::arg("a").noconvert(),
             py::arg("y").noconvert(), py::arg("b").noconvert(), py::arg("p"));
  module.def("line_distance64", &line_distance<double>, py::arg("x").noconvert(), py::arg("a").noconvert(),
             py::arg("y").noconvert(), py::arg("b").noconvert(), py::arg("p"));
  module.def("line_plan", &line_plan, py::arg("x").noconvert(), py::arg("a").noconvert(), py::arg("y").noconvert(),
             py::arg("b").noconvert(), py::arg("p"));
}

}  // namespace otfast::bindings
