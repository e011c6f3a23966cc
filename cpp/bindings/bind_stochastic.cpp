// Incremental ascent on the semi-dual of entropic transport.
#include <optional>

#include "common.hpp"
#include "otfast/entropic/stochastic.hpp"

namespace otfast::bindings {
namespace {

using entropic::Ascent;
using entropic::AscentOptions;
using entropic::Increment;

/// An ascent and who watches it: calls of `run` share the time of the last report.
template <class Real>
class WatchedAscent {
 public:
  WatchedAscent(const Array<double>& b, double epsilon, double step, Index batch, const std::optional<Array<double>>& a,
                py::object monitor)
      : monitor_(std::move(monitor)), ascent_(vector_view(b, "b"), options(epsilon, step, batch, a)) {
    cols_ = b.size();
    rows_ = a ? a->size() : -1;
  }

  /// Returns false if the monitor asks to stop.
  template <class T>
  bool run(const Cost<T>& cost, const Array<Index>& rows) {
    const VectorView<const Index> drawn = vector_view(rows, "rows");
    if (cost.cols() != cols_ || (rows_ >= 0 && cost.rows() != rows_)) throw py::value_error("the cost does not fit");
    for (const Index i : drawn) {
      if (i < 0 || i >= cost.rows()) throw py::index_error("row out of range");
    }
    return monitor_.run([&] { return ascent_.run(cost, drawn, monitor_); });
  }

  py::array_t<double> potentials() { return to_array(ascent_.potentials()); }
  double error() const { return ascent_.error(); }
  Index iterations() const { return ascent_.iterations(); }

 private:
  static AscentOptions options(double epsilon, double step, Index batch, const std::optional<Array<double>>& a) {
    AscentOptions made{.epsilon = epsilon, .step = step, .batch = batch};
    if (a) {
      made.method = Increment::sag;
      made.a = vector_view(*a, "a");
    }
    return made;
  }

  PythonMonitor monitor_;
  Ascent<Real> ascent_;
  Index cols_;
  Index rows_;  ///< of all costs; -1: any number
};

template <class Real>
py::class_<WatchedAscent<Real>> bind_ascent(py::module_& module, const char* name) {
  using Watched = WatchedAscent<Real>;
  py::class_<Watched> bound(module, name);
  bound
      .def(py::init<const Array<double>&, double, double, Index, const std::optional<Array<double>>&, py::object>(),
           py::arg("b").noconvert(), py::arg("epsilon"), py::arg("step"), py::arg("batch"), py::arg("a").noconvert(),
           py::arg("monitor"))
      .def("run", &Watched::template run<float>, py::arg("cost"), py::arg("rows").noconvert())
      .def("potentials", &Watched::potentials)
      .def_property_readonly("error", &Watched::error)
      .def_property_readonly("iterations", &Watched::iterations);
  return bound;
}

}  // namespace

void bind_stochastic(py::module_& module) {
  bind_ascent<float>(module, "Ascent32");
  bind_ascent<double>(module, "Ascent64")
      .def("run", &WatchedAscent<double>::run<double>, py::arg("cost"), py::arg("rows").noconvert());
}

}  // namespace otfast::bindings
