// Entropic transport.
#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "batch.hpp"
#include "common.hpp"
#include "otfast/cost/summary.hpp"
#include "otfast/entropic/grid.hpp"
#include "otfast/entropic/plan.hpp"
#include "otfast/entropic/sinkhorn.hpp"

namespace otfast::bindings {
namespace {

using entropic::Method;
using entropic::Options;
using entropic::PlanFactors;
using entropic::Potentials;

Method method_of(const std::string& name) {
  if (name == "auto") return Method::automatic;
  if (name == "log") return Method::log;
  if (name == "stabilized") return Method::stabilized;
  if (name == "newton") return Method::newton;
  throw py::value_error("unknown method '" + name + "'");
}

py::dict to_dict(Potentials result) {
  py::dict out;
  out["status"] = name_of(result.status);
  out["potential_a"] = to_array(std::move(result.f));
  out["potential_b"] = to_array(std::move(result.g));
  out["value"] = result.value;
  out["error"] = result.error;
  out["n_iter"] = result.iterations;
  return out;
}

/// Calls `work` with a type tag: double for double costs, and for single ones where a wide range of exponents asks for
/// it.
template <class T, class Work>
auto in_precision(bool wide, const Work& work) {
  if constexpr (std::is_same_v<T, float>) {
    if (!wide) return work(float{});
  }
  return work(double{});
}

template <class T>
py::dict sinkhorn(const Cost<T>& cost, const Array<double>& a, const Array<double>& b, double epsilon,
                  const std::string& method, double tolerance, Index max_iterations, double rho_a, double rho_b,
                  const std::optional<Array<double>>& g, bool may_store, double range, double largest, bool wide,
                  py::object monitor) {
  Options options{.epsilon = epsilon,
                  .method = method_of(method),
                  .tolerance = tolerance,
                  .max_iterations = max_iterations,
                  .rho_a = rho_a,
                  .rho_b = rho_b,
                  .may_store = may_store,
                  .range = range,
                  .largest = largest};
  const VectorView<const double> a_view = vector_view(a, "a");
  const VectorView<const double> b_view = vector_view(b, "b");
  if (a_view.size != cost.rows() || b_view.size != cost.cols()) throw py::value_error("weights do not fit the cost");
  if (g) {
    options.g = vector_view(*g, "g");
    if (options.g.size != cost.cols()) throw py::value_error("potentials do not fit the cost");
  }
  PythonMonitor watched(std::move(monitor));
  return to_dict(watched.run([&] {
    return in_precision<T>(
        wide, [&](auto real) { return entropic::solve<decltype(real)>(cost, a_view, b_view, options, watched); });
  }));
}

/// Results of many problems, one after another in flat arrays.
struct Batch {
  Batch(Index count, Index n, Index m)
      : f(count * n), g(count * m), value(count), error(count), status(count), iterations(count) {}

  std::vector<double> f, g, value, error;
  std::vector<std::uint8_t> status;
  std::vector<Index> iterations;

  void put(Index k, const Potentials& found) {
    std::copy(found.f.begin(), found.f.end(), f.begin() + k * static_cast<Index>(found.f.size()));
    std::copy(found.g.begin(), found.g.end(), g.begin() + k * static_cast<Index>(found.g.size()));
    value[k] = found.value;
    error[k] = found.error;
    status[k] = static_cast<std::uint8_t>(found.status);
    iterations[k] = found.iterations;
  }
};

py::dict to_dict(Batch batch) {
  const std::vector<py::ssize_t> shape{static_cast<py::ssize_t>(batch.value.size()), -1};
  py::dict out;
  out["potential_a"] = to_array(std::move(batch.f)).reshape(shape);
  out["potential_b"] = to_array(std::move(batch.g)).reshape(shape);
  out["value"] = to_array(std::move(batch.value));
  out["error"] = to_array(std::move(batch.error));
  out["status"] = to_array(std::move(batch.status));
  out["n_iter"] = to_array(std::move(batch.iterations));
  return out;
}

template <class T>
py::dict sinkhorn_batch(const py::array_t<T, py::array::c_style>& C, const Array<double>& A, const Array<double>& B,
                        double epsilon, const std::string& method, double tolerance, Index max_iterations, double rho_a,
                        double rho_b, const std::optional<Array<double>>& G, bool wide, py::object monitor) {
  const ProblemStack<T> problems(C, A, B);
  std::optional<MatrixView<const double>> g;
  if (G) {
    g = matrix_view(*G, "G");
    if (g->rows != problems.count || g->cols != problems.m) throw py::value_error("potentials do not fit the costs");
  }
  const Options common{.epsilon = epsilon,
                       .method = method_of(method),
                       .tolerance = tolerance,
                       .max_iterations = max_iterations,
                       .rho_a = rho_a,
                       .rho_b = rho_b,
                       .may_store = true};
  PythonMonitor watched(std::move(monitor));
  Batch batch(problems.count, problems.n, problems.m);
  run_batch(problems.count, watched, [&](Index k, Monitor& inner) {
    const DenseCost<T> cost = problems.cost(k);
    const CostSummary range = summarize(cost);
    Options options = common;
    options.range = std::max(0.0, range.max - range.min);
    options.largest = std::max(std::abs(range.max), std::abs(range.min));
    if (g) options.g = {g->row(k), problems.m};
    batch.put(k, in_precision<T>(wide, [&](auto real) {
                return entropic::solve<decltype(real)>(cost, problems.a(k), problems.b(k), options, inner);
              }));
  });
  return to_dict(std::move(batch));
}

/// The costs of the axes of a grid, and how many points it has.
struct Axes {
  entropic::AxisCosts costs;
  Index size = 1;

  explicit Axes(const std::vector<Array<double>>& arrays) {
    for (const auto& array : arrays) {
      costs.push_back(matrix_view(array, "axes"));
      if (array.shape(0) != array.shape(1) || array.shape(0) == 0) throw py::value_error("axes must be square");
      size *= array.shape(0);
    }
  }
};

py::dict sinkhorn_grid(const std::vector<Array<double>>& axes, const Array<double>& a, const Array<double>& b,
                       double epsilon, const std::string& method, double tolerance, Index max_iterations, double rho_a,
                       double rho_b, const std::optional<Array<double>>& g, double range, py::object monitor) {
  const Axes grid(axes);
  Options options{.epsilon = epsilon,
                  .method = method_of(method),
                  .tolerance = tolerance,
                  .max_iterations = max_iterations,
                  .rho_a = rho_a,
                  .rho_b = rho_b,
                  .range = range};
  const VectorView<const double> a_view = vector_view(a, "a");
  const VectorView<const double> b_view = vector_view(b, "b");
  if (a_view.size != grid.size || b_view.size != grid.size) throw py::value_error("weights do not fit the grid");
  if (g) {
    options.g = vector_view(*g, "g");
    if (options.g.size != grid.size) throw py::value_error("potentials do not fit the grid");
  }
  PythonMonitor watched(std::move(monitor));
  return to_dict(watched.run([&] { return entropic::solve_on_grid(grid.costs, a_view, b_view, options, watched); }));
}

PlanFactors grid_factors(const Axes& grid, const Array<double>& a, const Array<double>& b, const Array<double>& f,
                         const Array<double>& g, double epsilon) {
  const PlanFactors made{vector_view(a, "a"), vector_view(b, "b"), vector_view(f, "f"), vector_view(g, "g"), epsilon};
  for (const auto& part : {made.a, made.b, made.f, made.g}) {
    if (part.size != grid.size) throw py::value_error("weights and potentials do not fit the grid");
  }
  return made;
}

py::array_t<double> grid_apply(const std::vector<Array<double>>& axes, const Array<double>& a, const Array<double>& b,
                               const Array<double>& f, const Array<double>& g, double epsilon, const Array<double>& x) {
  const Axes grid(axes);
  const PlanFactors of_plan = grid_factors(grid, a, b, f, g, epsilon);
  const MatrixView<const double> x_view = matrix_view(x, "x");
  if (x_view.rows != grid.size) throw py::value_error("x does not fit the plan");
  PythonMonitor watched(py::none{});
  py::array_t<double> out =
      to_array(watched.run([&] { return entropic::apply_on_grid(grid.costs, of_plan, x_view, watched); }));
  return out.reshape({grid.size, x_view.cols});
}

double grid_value(const std::vector<Array<double>>& axes, const Array<double>& a, const Array<double>& b,
                  const Array<double>& f, const Array<double>& g, double epsilon) {
  const Axes grid(axes);
  const PlanFactors of_plan = grid_factors(grid, a, b, f, g, epsilon);
  PythonMonitor watched(py::none{});
  return watched.run([&] { return entropic::linear_value_on_grid(grid.costs, of_plan, watched); });
}

/// What the functions of a plan have in common: checked views, and arithmetic in the right precision.
template <class T>
PlanFactors factors(const Cost<T>& cost, const Array<double>& a, const Array<double>& b, const Array<double>& f,
                    const Array<double>& g, double epsilon) {
  const PlanFactors made{vector_view(a, "a"), vector_view(b, "b"), vector_view(f, "f"), vector_view(g, "g"), epsilon};
  if (made.a.size != cost.rows() || made.f.size != cost.rows() || made.b.size != cost.cols() ||
      made.g.size != cost.cols()) {
    throw py::value_error("weights and potentials do not fit the cost");
  }
  return made;
}

template <class T>
py::array_t<T> plan_rows(const Cost<T>& cost, const Array<double>& a, const Array<double>& b, const Array<double>& f,
                         const Array<double>& g, double epsilon, bool wide, Index begin, Index end) {
  if (!(0 <= begin && begin <= end && end <= cost.rows())) throw py::index_error("rows out of range");
  const PlanFactors of_plan = factors(cost, a, b, f, g, epsilon);
  py::array_t<T> out({end - begin, cost.cols()});
  T* to = out.mutable_data();
  PythonMonitor watched(py::none{});
  watched.run([&] {
    in_precision<T>(wide,
                    [&](auto real) { entropic::write_rows<decltype(real)>(cost, of_plan, begin, end, to, watched); });
    return 0;
  });
  return out;
}

template <class T>
py::array_t<T> plan_apply(const Cost<T>& cost, const Array<double>& a, const Array<double>& b, const Array<double>& f,
                          const Array<double>& g, double epsilon, bool wide, const Array<double>& x, bool transpose) {
  const PlanFactors of_plan = factors(cost, a, b, f, g, epsilon);
  const MatrixView<const double> x_view = matrix_view(x, "x");
  if (x_view.rows != (transpose ? cost.rows() : cost.cols())) throw py::value_error("x does not fit the plan");
  PythonMonitor watched(py::none{});
  py::array_t<T> out = to_array(watched.run([&] {
    return in_precision<T>(wide, [&](auto real) {
      using Real = decltype(real);
      return transpose ? entropic::apply_transpose<Real>(cost, of_plan, x_view, watched)
                       : entropic::apply<Real>(cost, of_plan, x_view, watched);
    });
  }));
  return out.reshape({transpose ? cost.cols() : cost.rows(), x_view.cols});
}

template <class T>
double plan_value(const Cost<T>& cost, const Array<double>& a, const Array<double>& b, const Array<double>& f,
                  const Array<double>& g, double epsilon, bool wide) {
  const PlanFactors of_plan = factors(cost, a, b, f, g, epsilon);
  PythonMonitor watched(py::none{});
  return watched.run([&] {
    return in_precision<T>(wide,
                           [&](auto real) { return entropic::linear_value<decltype(real)>(cost, of_plan, watched); });
  });
}

template <class T>
void bind_precision(py::module_& module) {
  const auto a = py::arg("a").noconvert(), b = py::arg("b").noconvert();
  const auto f = py::arg("f").noconvert(), g = py::arg("g").noconvert();
  module.def("sinkhorn", &sinkhorn<T>, py::arg("cost"), a, b, py::arg("epsilon"), py::arg("method"),
             py::arg("tolerance"), py::arg("max_iterations"), py::arg("rho_a"), py::arg("rho_b"), g,
             py::arg("may_store"), py::arg("range"), py::arg("largest"), py::arg("wide"), py::arg("monitor"));
  module.def("sinkhorn_batch", &sinkhorn_batch<T>, py::arg("C").noconvert(), py::arg("A").noconvert(),
             py::arg("B").noconvert(), py::arg("epsilon"), py::arg("method"), py::arg("tolerance"),
             py::arg("max_iterations"), py::arg("rho_a"), py::arg("rho_b"), py::arg("G").noconvert(), py::arg("wide"),
             py::arg("monitor"));
  module.def("plan_rows", &plan_rows<T>, py::arg("cost"), a, b, f, g, py::arg("epsilon"), py::arg("wide"),
             py::arg("begin"), py::arg("end"));
  module.def("plan_apply", &plan_apply<T>, py::arg("cost"), a, b, f, g, py::arg("epsilon"), py::arg("wide"),
             py::arg("x").noconvert(), py::arg("transpose"));
  module.def("plan_value", &plan_value<T>, py::arg("cost"), a, b, f, g, py::arg("epsilon"), py::arg("wide"));
}

}  // namespace

void bind_entropic(py::module_& module) {
  bind_precision<float>(module);
  bind_precision<double>(module);
  const auto a = py::arg("a").noconvert(), b = py::arg("b").noconvert();
  const auto f = py::arg("f").noconvert(), g = py::arg("g").noconvert();
  module.def("sinkhorn_grid", &sinkhorn_grid, py::arg("axes"), a, b, py::arg("epsilon"), py::arg("method"),
             py::arg("tolerance"), py::arg("max_iterations"), py::arg("rho_a"), py::arg("rho_b"), g, py::arg("range"),
             py::arg("monitor"));
  module.def("grid_apply", &grid_apply, py::arg("axes"), a, b, f, g, py::arg("epsilon"), py::arg("x").noconvert());
  module.def("grid_value", &grid_value, py::arg("axes"), a, b, f, g, py::arg("epsilon"));
}

}  // namespace otfast::bindings
