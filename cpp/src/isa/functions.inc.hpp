// Products of a matrix with a few functions that lie one after another: part of kernels.inc.hpp, whose rules hold here,
// too.
#pragma once

namespace otfast::isa {
namespace {

/// Functions, and rows or vectors of the matrix, whose sums are in registers at once: enough to hide the latency of a
/// multiplication, with some of 16 or 32 left for the factors.
constexpr Index kFunctions = 4;
constexpr Index kTile = OTFAST_VECTOR_BYTES == 64 ? 6 : 3;

/// What of the functions stays in the first cache while rows pass.
constexpr Index kDots = 512;

/// Rows whose products are added to a sum at once: as many lines of memory as the processor follows.
constexpr Index kAdded = 32;

/// body(index, count) for tiles that cover [0, size): of `most` indices, then of half as many, ...
template <Index most, class Body>
inline void in_tiles(Index begin, Index size, const Body& body) {
  for (; begin + most <= size; begin += most) body.template operator()<most>(begin);
  if constexpr (most > 1) {
    if (begin < size) in_tiles<most / 2>(begin, size, body);
  }
}

/// R rows with F functions.
template <Index R, Index F, class T>
inline void dot_tile(const T* a, Index a_stride, const T* x, Index x_stride, Index n, bool is_first, T* out,
                     Index out_stride) {
  Vector<T> sum[R][F];
  for (Index r = 0; r < R; ++r) {
    for (Index f = 0; f < F; ++f) sum[r][f] = Vector<T>{};
  }
  for (Index j = 0; j < n; j += kLanes<T>) {
    Vector<T> entry[R];
    for (Index r = 0; r < R; ++r) entry[r] = load(a + r * a_stride + j);
    for (Index f = 0; f < F; ++f) {
      const Vector<T> value = load(x + f * x_stride + j);
      for (Index r = 0; r < R; ++r) sum[r][f] += entry[r] * value;
    }
  }
  for (Index f = 0; f < F; ++f) {
    for (Index r = 0; r < R; ++r) {
      T& to = out[f * out_stride + r];
      to = (is_first ? T{} : to) + add_lanes<T>(sum[r][f]);
    }
  }
}

template <class T>
void multiply_functions(const T* a, Index a_stride, const T* x, Index x_stride, Index rows, Index cols, Index functions,
                        T* out, Index out_stride) {
  for (Index j = 0; j < cols; j += kDots) {
    const Index some = lower(kDots, cols - j);
    in_tiles<kTile>(0, rows, [&]<Index R>(Index r) {
      in_tiles<kFunctions>(0, functions, [&]<Index F>(Index f) {
        dot_tile<R, F>(a + r * a_stride + j, a_stride, x + f * x_stride + j, x_stride, some, j == 0,
                       out + f * out_stride + r, out_stride);
      });
    });
  }
}

/// V vectors of columns for F functions.
template <Index V, Index F, class T>
inline void add_tile(const T* a, Index a_stride, const T* u, Index u_stride, Index rows, T* out, Index out_stride) {
  Vector<T> sum[V][F];
  for (Index f = 0; f < F; ++f) {
    for (Index v = 0; v < V; ++v) sum[v][f] = load(out + f * out_stride + v * kLanes<T>);
  }
  for (Index r = 0; r < rows; ++r) {
    Vector<T> entry[V];
    for (Index v = 0; v < V; ++v) entry[v] = load(a + r * a_stride + v * kLanes<T>);
    for (Index f = 0; f < F; ++f) {
      const T factor = u[f * u_stride + r];
      for (Index v = 0; v < V; ++v) sum[v][f] += entry[v] * factor;
    }
  }
  for (Index f = 0; f < F; ++f) {
    for (Index v = 0; v < V; ++v) store(out + f * out_stride + v * kLanes<T>, sum[v][f]);
  }
}

template <class T>
void add_transposed(const T* a, Index a_stride, const T* u, Index u_stride, Index rows, Index cols, Index functions,
                    T* out, Index out_stride) {
  for (Index r = 0; r < rows; r += kAdded) {
    const Index some = lower(kAdded, rows - r);
    const T* from = a + r * a_stride;
    in_tiles<kTile>(0, (cols + kLanes<T> - 1) / kLanes<T>, [&]<Index V>(Index v) {
      in_tiles<kFunctions>(0, functions, [&]<Index F>(Index f) {
        add_tile<V, F>(from + v * kLanes<T>, a_stride, u + f * u_stride + r, u_stride, some,
                       out + f * out_stride + v * kLanes<T>, out_stride);
      });
    });
  }
}

}  // namespace
}  // namespace otfast::isa
