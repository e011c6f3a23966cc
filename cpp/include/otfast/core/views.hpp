// Memory that somebody else owns: what solvers read and write.
#pragma once

#include <cstddef>
#include <vector>

#include "otfast/core/types.hpp"

namespace otfast {

/// A contiguous vector. `T` is const for input.
template <class T>
struct VectorView {
  T* data = nullptr;
  Index size = 0;

  T& operator[](Index i) const { return data[i]; }
  T* begin() const { return data; }
  T* end() const { return data + size; }
};

/// All of a vector, to be read.
template <class T>
VectorView<const T> view(const std::vector<T>& values) {
  return {values.data(), static_cast<Index>(values.size())};
}

/// A row-major matrix whose rows are contiguous; `stride` elements separate the starts of two rows.
template <class T>
struct MatrixView {
  T* data = nullptr;
  Index rows = 0;
  Index cols = 0;
  Index stride = 0;

  T* row(Index i) const { return data + i * stride; }
  T& operator()(Index i, Index j) const { return data[i * stride + j]; }
};

}  // namespace otfast
