// Gaussians: covariances in stacks (count, d, d), families of them in stacks (count, K, d, d).
#include <algorithm>
#include <vector>

#include "batch.hpp"
#include "otfast/gaussian/barycenter.hpp"
#include "otfast/gaussian/bures.hpp"

namespace otfast::bindings {
namespace {

/// Multiplications worth a thread of their own.
constexpr Index kGrain = Index{1} << 18;

/// The square matrices of an array with `leading` more dimensions.
template <class T>
struct MatrixStack {
  T* data;
  Index dim;

  MatrixView<T> operator[](Index k) const { return {data + k * dim * dim, dim, dim, dim}; }
};

MatrixStack<const double> stack_of(const Array<double>& array, const char* name, py::ssize_t leading) {
  if (array.ndim() != leading + 2 || array.shape(leading) != array.shape(leading + 1) || array.shape(leading) == 0) {
    throw py::value_error(std::string(name) + " must be square matrices");
  }
  check_aligned(array, name);
  return {array.data(), array.shape(leading)};
}

void check_fit(bool fits) {
  if (!fits) throw py::value_error("arrays do not fit each other");
}

/// work(k) for every problem, without the GIL and on all threads.
template <class Work>
void for_each(Index count, Index dim, const Work& work) {
  const py::gil_scoped_release release;
  parallel_for(count, std::max<Index>(1, kGrain / (dim * dim * dim)), [&](Index begin, Index end) {
    for (Index k = begin; k < end; ++k) work(k);
  });
}

/// The first matrix that is not positive semi-definite, or -1.
Index first_indefinite(const Array<double>& S, double tolerance) {
  const auto matrices = stack_of(S, "S", 1);
  std::vector<char> good(static_cast<std::size_t>(S.shape(0)));
  for_each(S.shape(0), matrices.dim,
           [&](Index k) { good[static_cast<std::size_t>(k)] = gaussian::is_semidefinite(matrices[k], tolerance); });
  const auto bad = std::find(good.begin(), good.end(), 0);
  return bad == good.end() ? -1 : bad - good.begin();
}

py::array_t<double> bures_squared(const Array<double>& S, const Array<double>& T) {
  const auto from = stack_of(S, "S", 1), to = stack_of(T, "T", 1);
  check_fit(from.dim == to.dim && S.shape(0) == T.shape(0));
  py::array_t<double> result(S.shape(0));
  double* out = result.mutable_data();
  for_each(S.shape(0), from.dim, [&](Index k) { out[k] = gaussian::bures_squared(from[k], to[k]); });
  return result;
}

py::array_t<double> transport_matrix(const Array<double>& S, const Array<double>& T) {
  const auto from = stack_of(S, "S", 1), to = stack_of(T, "T", 1);
  check_fit(from.dim == to.dim && S.shape(0) == T.shape(0));
  py::array_t<double> result({S.shape(0), S.shape(1), S.shape(2)});
  const MatrixStack<double> out{result.mutable_data(), from.dim};
  for_each(S.shape(0), from.dim, [&](Index k) { gaussian::transport_matrix(from[k], to[k], out[k]); });
  return result;
}

py::array_t<double> geodesic_covariance(const Array<double>& S, const Array<double>& T, const Array<double>& t) {
  const auto from = stack_of(S, "S", 1), to = stack_of(T, "T", 1);
  const VectorView<const double> times = vector_view(t, "t");
  check_fit(from.dim == to.dim && S.shape(0) == T.shape(0) && times.size == S.shape(0));
  py::array_t<double> result({S.shape(0), S.shape(1), S.shape(2)});
  const MatrixStack<double> out{result.mutable_data(), from.dim};
  for_each(S.shape(0), from.dim, [&](Index k) { gaussian::geodesic_covariance(from[k], to[k], times[k], out[k]); });
  return result;
}

/// Families (count, K, d, d) with their weights (count, K).
struct FamilyStack {
  Index count, size;
  MatrixStack<const double> covariances;
  MatrixView<const double> weights;

  FamilyStack(const Array<double>& S, const Array<double>& w)
      : count(0), size(0), covariances(stack_of(S, "covariances", 2)), weights(matrix_view(w, "weights")) {
    count = S.shape(0);
    size = S.shape(1);
    check_fit(weights.rows == count && weights.cols == size && size > 0);
  }

  gaussian::Family operator[](Index k) const {
    return {covariances[k * size].data, {weights.row(k), size}, covariances.dim};
  }
};

/// solve(k, monitor): one problem is followed through its iterations, many are counted.
template <class Solve>
void run_families(Index count, PythonMonitor& watched, const Solve& solve) {
  if (count != 1) return run_batch(count, watched, solve);
  watched.run([&] {
    solve(0, watched);
    return 0;
  });
}

py::dict bures_barycenter(const Array<double>& S, const Array<double>& w, double tolerance, Index max_iterations,
                          py::object monitor) {
  const FamilyStack families(S, w);
  const Index dim = families.covariances.dim;
  py::array_t<double> covariance({families.count, dim, dim}), value(families.count), error(families.count);
  py::array_t<Index> n_iter(families.count);
  py::array_t<std::uint8_t> status(families.count);
  const MatrixStack<double> out{covariance.mutable_data(), dim};
  double *values = value.mutable_data(), *errors = error.mutable_data();
  Index* iterations = n_iter.mutable_data();
  std::uint8_t* statuses = status.mutable_data();
  const gaussian::BarycenterOptions options{.tolerance = tolerance, .max_iterations = max_iterations};
  PythonMonitor watched(std::move(monitor));
  run_families(families.count, watched, [&](Index k, Monitor& inner) {
    const gaussian::Barycenter found = gaussian::find_barycenter(families[k], options, out[k], inner);
    values[k] = found.value;
    errors[k] = found.error;
    iterations[k] = found.iterations;
    statuses[k] = static_cast<std::uint8_t>(found.status);
  });
  py::dict result;
  result["covariance"] = covariance;
  result["value"] = value;
  result["error"] = error;
  result["n_iter"] = n_iter;
  result["status"] = status;
  return result;
}

py::tuple bures_pull_back(const Array<double>& S, const Array<double>& w, const Array<double>& covariance,
                          const Array<double>& u) {
  const FamilyStack families(S, w);
  const auto at = stack_of(covariance, "covariance", 1), gradients = stack_of(u, "u", 1);
  const Index dim = families.covariances.dim;
  check_fit(at.dim == dim && gradients.dim == dim && covariance.shape(0) == families.count &&
            u.shape(0) == families.count);
  py::array_t<double> of_covariances({families.count, families.size, dim, dim});
  py::array_t<double> of_weights({families.count, families.size});
  const MatrixStack<double> matrices{of_covariances.mutable_data(), dim};
  double* numbers = of_weights.mutable_data();
  PythonMonitor watched(py::none{});
  run_families(families.count, watched, [&](Index k, Monitor& inner) {
    gaussian::pull_back(families[k], at[k], gradients[k], matrices[k * families.size].data,
                        {numbers + k * families.size, families.size}, inner);
  });
  return py::make_tuple(of_covariances, of_weights);
}

}  // namespace

void bind_gaussian(py::module_& module) {
  const auto S = py::arg("S").noconvert(), T = py::arg("T").noconvert();
  const auto weights = py::arg("weights").noconvert();
  module.def("first_indefinite", &first_indefinite, S, py::arg("tolerance"));
  module.def("bures_squared", &bures_squared, S, T);
  module.def("transport_matrix", &transport_matrix, S, T);
  module.def("geodesic_covariance", &geodesic_covariance, S, T, py::arg("t").noconvert());
  module.def("bures_barycenter", &bures_barycenter, S, weights, py::arg("tolerance"), py::arg("max_iterations"),
             py::arg("monitor"));
  module.def("bures_pull_back", &bures_pull_back, S, weights, py::arg("covariance").noconvert(),
             py::arg("u").noconvert());
}

}  // namespace otfast::bindings
