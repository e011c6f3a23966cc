// What the bindings share: arrays in, arrays out, progress to Python. The only header that includes pybind11.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "otfast/core/monitor.hpp"
#include "otfast/core/status.hpp"
#include "otfast/core/views.hpp"

namespace otfast::bindings {

namespace py = pybind11;

/// A C-contiguous array of exactly this type; with `.noconvert()` anything else is a TypeError, not a silent copy.
template <class T>
using Array = py::array_t<T, py::array::c_style>;

/// Vector loads do not care where an array starts, but C++ does.
template <class T>
void check_aligned(const Array<T>& array, const char* name) {
  if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0) {
    throw py::value_error(std::string(name) + " must be aligned to its items");
  }
}

template <class T>
VectorView<const T> vector_view(const Array<T>& array, const char* name) {
  if (array.ndim() != 1) throw py::value_error(std::string(name) + " must have one dimension");
  check_aligned(array, name);
  return {array.data(), array.shape(0)};
}

template <class T>
MatrixView<const T> matrix_view(const Array<T>& array, const char* name) {
  if (array.ndim() != 2) throw py::value_error(std::string(name) + " must have two dimensions");
  check_aligned(array, name);
  return {array.data(), array.shape(0), array.shape(1), array.shape(1)};
}

/// Hands the memory of a vector to NumPy without copying it.
template <class T>
py::array_t<T> to_array(std::vector<T> values) {
  auto* owned = new std::vector<T>(std::move(values));
  const py::capsule owner(owned, [](void* memory) { delete static_cast<std::vector<T>*>(memory); });
  return py::array_t<T>(static_cast<py::ssize_t>(owned->size()), owned->data(), owner);
}

/// How Python hears of the end of a solver.
inline const char* name_of(Status status) {
  switch (status) {
    case Status::optimal: return "optimal";
    case Status::iteration_limit: return "iteration_limit";
    case Status::stopped: return "stopped";
    case Status::infeasible: return "infeasible";
  }
  throw std::logic_error("unknown status");
}

/// Takes Ctrl-C to solvers that run without the GIL, and progress to a callable `(iteration, error, value) -> bool`, or
/// None. A solver stops when the callable returns true, and is given up when anything raises; `run` raises that again.
class PythonMonitor final : public Monitor {
 public:
  explicit PythonMonitor(py::object callable)
      : Monitor(std::chrono::milliseconds(50)), callable_(std::move(callable)) {}

  /// Calls `work()` without the GIL.
  template <class Work>
  auto run(Work work) {
    try {
      const py::gil_scoped_release release;
      return work();
    } catch (const Aborted&) {
      std::rethrow_exception(error_);
    }
  }

 protected:
  bool on_report(const Progress& progress) override {
    const py::gil_scoped_acquire gil;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      if (callable_.is_none()) return false;
      return callable_(progress.iteration, progress.error, progress.value).cast<bool>();
    } catch (...) {
      error_ = std::current_exception();
      throw Aborted{};
    }
  }

 private:
  py::object callable_;
  std::exception_ptr error_;
};

}  // namespace otfast::bindings
