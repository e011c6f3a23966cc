// Exact transport.
#include <algorithm>
#include <optional>
#include <string>

#include "batch.hpp"
#include "common.hpp"
#include "otfast/exact/transport.hpp"

namespace otfast::bindings {
namespace {

using exact::Options;
using exact::Start;
using exact::Transport;

Start start_of(const std::string& name) {
  if (name == "automatic") return Start::automatic;
  if (name == "cold") return Start::cold;
  if (name == "multilevel") return Start::multilevel;
  throw py::value_error("unknown start '" + name + "'");
}

py::dict to_dict(Transport result) {
  py::dict out;
  out["status"] = name_of(result.status);
  out["rows"] = to_array(std::move(result.rows));
  out["cols"] = to_array(std::move(result.cols));
  out["mass"] = to_array(std::move(result.mass));
  out["potential_a"] = to_array(std::move(result.f));
  out["potential_b"] = to_array(std::move(result.g));
  out["value"] = result.value;
  out["dual_value"] = result.dual_value;
  out["n_iter"] = result.pivots;
  return out;
}

template <class T>
py::dict emd(const Cost<T>& cost, const Array<double>& a, const Array<double>& b, const std::string& start,
             const std::optional<Array<double>>& f, double tolerance, Index max_pivots, py::object monitor) {
  Options options{.start = start_of(start), .tolerance = tolerance, .max_pivots = max_pivots};
  const VectorView<const double> a_view = vector_view(a, "a");
  const VectorView<const double> b_view = vector_view(b, "b");
  if (a_view.size != cost.rows() || b_view.size != cost.cols()) throw py::value_error("weights do not fit the cost");
  if (f) {
    options.f = vector_view(*f, "f");
    if (options.f.size != cost.rows()) throw py::value_error("potentials do not fit the cost");
  }
  PythonMonitor watched(std::move(monitor));
  return to_dict(watched.run([&] { return exact::solve(cost, a_view, b_view, options, watched); }));
}

/// Results of many problems of one size, one after another in flat arrays.
struct Batch {
  Batch(Index count, Index n, Index m)
      : f(count * n), g(count * m), value(count), dual_value(count), status(count), pivots(count), plans(count) {}

  std::vector<double> f, g, value, dual_value;
  std::vector<std::uint8_t> status;
  std::vector<Index> pivots;
  std::vector<Transport> plans;  ///< emptied into the flat arrays below by `to_dict`

  void put(Index k, Transport result) {
    std::copy(result.f.begin(), result.f.end(), f.begin() + k * static_cast<Index>(result.f.size()));
    std::copy(result.g.begin(), result.g.end(), g.begin() + k * static_cast<Index>(result.g.size()));
    value[k] = result.value;
    dual_value[k] = result.dual_value;
    status[k] = static_cast<std::uint8_t>(result.status);
    pivots[k] = result.pivots;
    result.f = {};
    result.g = {};
    plans[k] = std::move(result);
  }
};

py::dict to_dict(Batch batch) {
  std::vector<Index> start{0};
  for (const Transport& plan : batch.plans) start.push_back(start.back() + static_cast<Index>(plan.rows.size()));
  std::vector<Node> rows(start.back()), cols(start.back());
  std::vector<double> mass(start.back());
  for (std::size_t k = 0; k < batch.plans.size(); ++k) {
    const Transport& plan = batch.plans[k];
    std::copy(plan.rows.begin(), plan.rows.end(), rows.begin() + start[k]);
    std::copy(plan.cols.begin(), plan.cols.end(), cols.begin() + start[k]);
    std::copy(plan.mass.begin(), plan.mass.end(), mass.begin() + start[k]);
  }
  py::dict out;
  out["start"] = to_array(std::move(start));
  out["rows"] = to_array(std::move(rows));
  out["cols"] = to_array(std::move(cols));
  out["mass"] = to_array(std::move(mass));
  const auto count = static_cast<py::ssize_t>(batch.value.size());
  out["potential_a"] = to_array(std::move(batch.f)).reshape(std::vector<py::ssize_t>{count, -1});
  out["potential_b"] = to_array(std::move(batch.g)).reshape(std::vector<py::ssize_t>{count, -1});
  out["value"] = to_array(std::move(batch.value));
  out["dual_value"] = to_array(std::move(batch.dual_value));
  out["status"] = to_array(std::move(batch.status));
  out["n_iter"] = to_array(std::move(batch.pivots));
  return out;
}

template <class T>
py::dict emd_batch(const py::array_t<T, py::array::c_style>& C, const Array<double>& A, const Array<double>& B,
                   const std::string& start, double tolerance, Index max_pivots, py::object monitor) {
  const ProblemStack<T> problems(C, A, B);
  const Options options{.start = start_of(start), .tolerance = tolerance, .max_pivots = max_pivots};
  PythonMonitor watched(std::move(monitor));
  Batch batch(problems.count, problems.n, problems.m);
  run_batch(problems.count, watched, [&](Index k, Monitor& inner) {
    batch.put(k, exact::solve(problems.cost(k), problems.a(k), problems.b(k), options, inner));
  });
  return to_dict(std::move(batch));
}

template <class T>
void bind_precision(py::module_& module) {
  module.def("emd", &emd<T>, py::arg("cost"), py::arg("a").noconvert(), py::arg("b").noconvert(), py::arg("start"),
             py::arg("f").noconvert(), py::arg("tolerance"), py::arg("max_pivots"), py::arg("monitor"));
  module.def("emd_batch", &emd_batch<T>, py::arg("C").noconvert(), py::arg("A").noconvert(), py::arg("B").noconvert(),
             py::arg("start"), py::arg("tolerance"), py::arg("max_pivots"), py::arg("monitor"));
}

}  // namespace

void bind_exact(py::module_& module) {
  bind_precision<float>(module);
  bind_precision<double>(module);
}

}  // namespace otfast::bindings
