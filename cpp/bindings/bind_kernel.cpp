// Products of kernels with many functions, in the log domain.
#include "common.hpp"
#include "otfast/entropic/kernel.hpp"

namespace otfast::bindings {
namespace {

/// The result in the shape (batch, size).
py::array_t<double> in_rows(std::vector<double> values, Index batch) {
  const Index size = batch > 0 ? static_cast<Index>(values.size()) / batch : 0;
  return to_array(std::move(values)).reshape({batch, size});
}

/// The products of the kernel to project from, one for each problem and measure.
std::vector<double> products(const Array<double>& psi, MatrixView<const double> b, MatrixView<const double> lambda) {
  const MatrixView<const double> view = matrix_view(psi, "psi");
  if (lambda.cols != b.rows) throw py::value_error("weights do not fit b");
  if (view.rows != lambda.rows * b.rows || view.cols != b.cols) throw py::value_error("psi does not fit b and weights");
  return {view.row(0), view.row(view.rows)};
}

py::object as_dict(std::optional<entropic::Scalings> scalings, MatrixView<const double> lambda) {
  if (!scalings) return py::none();
  const Index functions = lambda.rows * lambda.cols;
  py::dict result;
  result["alpha"] = in_rows(std::move(scalings->alpha), functions);
  result["beta"] = in_rows(std::move(scalings->beta), functions);
  result["psi"] = in_rows(std::move(scalings->psi), functions);
  result["log_w"] = in_rows(std::move(scalings->log_w), lambda.rows);
  return result;
}

template <class Real>
class WatchedKernel {
 public:
  template <class T>
  WatchedKernel(const Cost<T>& cost, double epsilon, py::object monitor)
      : monitor_(std::move(monitor)),
        rows_(cost.rows()),
        cols_(cost.cols()),
        kernel_(monitor_.run([&] { return entropic::Kernel<Real>(cost, epsilon, monitor_); })) {}

  py::array_t<double> log_sums(const Array<double>& x, bool transpose) {
    const MatrixView<const double> in = matrix_view(x, "x");
    if (in.cols != (transpose ? rows_ : cols_)) throw py::value_error("x does not fit the cost");
    return in_rows(monitor_.run([&] { return kernel_.log_sums(in, transpose, monitor_); }), in.rows);
  }

  /// None where the numbers leave the range of Real.
  py::object project(const Array<double>& b, const Array<double>& weights, const Array<double>& psi, Index count) {
    const MatrixView<const double> of_b = matrix_view(b, "b"), lambda = matrix_view(weights, "weights");
    std::vector<double> start = products(psi, of_b, lambda);
    if (of_b.cols != cols_) throw py::value_error("b does not fit the cost");
    return as_dict(monitor_.run([&] { return kernel_.project(of_b, lambda, std::move(start), count, monitor_); }),
                   lambda);
  }

 private:
  PythonMonitor monitor_;
  Index rows_, cols_;
  entropic::Kernel<Real> kernel_;
};

class WatchedGridKernel {
 public:
  WatchedGridKernel(const std::vector<Array<double>>& axes, double epsilon, py::object monitor)
      : monitor_(std::move(monitor)), kernel_(costs(axes), epsilon) {
    for (const auto& axis : axes) size_ *= axis.shape(0);
  }

  py::array_t<double> log_sums(const Array<double>& x) {
    const MatrixView<const double> in = matrix_view(x, "x");
    if (in.cols != size_) throw py::value_error("x does not fit the grid");
    return in_rows(monitor_.run([&] { return kernel_.log_sums(in, monitor_); }), in.rows);
  }

  /// None where the numbers leave the range of double precision.
  py::object project(const Array<double>& b, const Array<double>& weights, const Array<double>& psi, Index count) {
    const MatrixView<const double> of_b = matrix_view(b, "b"), lambda = matrix_view(weights, "weights");
    std::vector<double> start = products(psi, of_b, lambda);
    if (of_b.cols != size_) throw py::value_error("b does not fit the grid");
    if (lambda.rows != 1) throw py::value_error("weights must have one row");
    return as_dict(monitor_.run([&] {
      return kernel_.project(of_b, {lambda.row(0), lambda.cols}, std::move(start), count, monitor_);
    }),
                   lambda);
  }

 private:
  static entropic::AxisCosts costs(const std::vector<Array<double>>& axes) {
    entropic::AxisCosts views;
    for (const auto& axis : axes) {
      views.push_back(matrix_view(axis, "axes"));
      if (axis.shape(0) != axis.shape(1) || axis.shape(0) == 0) throw py::value_error("axes must be square");
    }
    return views;
  }

  PythonMonitor monitor_;
  Index size_ = 1;
  entropic::GridKernel kernel_;
};

template <class Real>
py::class_<WatchedKernel<Real>> bind_dense(py::module_& module, const char* name) {
  using Watched = WatchedKernel<Real>;
  py::class_<Watched> bound(module, name);
  bound
      .def(py::init<const Cost<float>&, double, py::object>(), py::arg("cost"), py::arg("epsilon"), py::arg("monitor"),
           py::keep_alive<1, 2>())
      .def("log_sums", &Watched::log_sums, py::arg("x").noconvert(), py::arg("transpose"))
      .def("project", &Watched::project, py::arg("b").noconvert(), py::arg("weights").noconvert(),
           py::arg("psi").noconvert(), py::arg("count"));
  return bound;
}

}  // namespace

void bind_kernel(py::module_& module) {
  bind_dense<float>(module, "Kernel32");
  bind_dense<double>(module, "Kernel64")
      .def(py::init<const Cost<double>&, double, py::object>(), py::arg("cost"), py::arg("epsilon"), py::arg("monitor"),
           py::keep_alive<1, 2>());
  py::class_<WatchedGridKernel>(module, "GridKernel")
      .def(py::init<const std::vector<Array<double>>&, double, py::object>(), py::arg("axes"), py::arg("epsilon"),
           py::arg("monitor"))
      .def("log_sums", &WatchedGridKernel::log_sums, py::arg("x").noconvert())
      .def("project", &WatchedGridKernel::project, py::arg("b").noconvert(), py::arg("weights").noconvert(),
           py::arg("psi").noconvert(), py::arg("count"));
}

}  // namespace otfast::bindings
