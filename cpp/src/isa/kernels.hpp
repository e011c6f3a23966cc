// The hot loops over the entries of a cost matrix, one table of them per instruction set. `dispatch.cpp` chooses.
#pragma once

#include <cstdint>

#include "otfast/core/types.hpp"

namespace otfast::isa {

/// What one pass over a run of entries finds.
struct RunSummary {
  double min = 0.0;      ///< smallest entry, +inf where all are; of no meaning if `bad` >= 0
  double max = 0.0;      ///< largest finite entry, -inf where there is none
  double sum = 0.0;      ///< sum of the finite entries
  Index infinite = 0;    ///< number of +inf
  Index first_bad = -1;  ///< where the first NaN or -inf stands, or -1
};

/// What `reduce_row` finds of c - g.
struct RowReduction {
  double least = 0.0;
  double second = 0.0;   ///< the least of all but one that attains `least`
  double largest = 0.0;  ///< finite one, as it is after the reduction
  Index argmin = 0;      ///< where the least stands first
  Index infinite = 0;    ///< number of +inf, those of the padding among them
};

/// What `divide` finds.
struct Quotients {
  double least_divisor, largest;
};

/// Coordinates of points y_0, y_1, ... as the kernels read them: coordinate k of point j at `data[k * stride + j]`.
/// Kernels load whole vectors, so the last coordinate must be followed by `kOverread<T>` elements that may be read.
template <class T>
struct Coordinates {
  const T* data;
  Index stride;
  Index dim;
};

/// One vector of the widest instruction set.
template <class T>
inline constexpr Index kOverread = 64 / static_cast<Index>(sizeof(T));

/// The length of a row of n numbers that is filled up to whole vectors: each begins on a cache line if the first does.
template <class T>
constexpr Index padded(Index n) {
  return (n + kOverread<T> - 1) / kOverread<T> * kOverread<T>;
}

/// How a kernel along an axis is cut, and how many lines are multiplied at once.
inline constexpr Index kAxisBlock = 8;
inline constexpr Index kAxisLines = 64;

template <class T>
Index axis_scratch(Index n) {
  return 2 * kOverread<T> * n + 4 * kOverread<T> * (n / kAxisBlock + 1);
}

/// The upper half of a float: what a number is where a percent of a percent does not matter.
using Packed = std::uint16_t;
inline constexpr Index kPackedRow = 32;

/// What is written beyond the end of rows of which only some entries are kept.
inline constexpr Index kSparseRoom = 16;

/// A matrix with any steps between its rows and between its columns: transposed, where the larger step is that of
/// columns.
template <class T>
struct Strided {
  const T* data;
  Index row_step;
  Index col_step;
};

/// Products of matrices are made of blocks of so many rows, columns and terms; `kProductScratch` numbers are packed.
inline constexpr Index kProductRows = 96;
inline constexpr Index kProductCols = 8;
inline constexpr Index kProductDepth = 256;
inline constexpr Index kProductScratch = (kProductRows + kProductCols) * kProductDepth;

/// Single for double, double for single precision.
template <class T>
struct OtherPrecision;
template <>
struct OtherPrecision<float> {
  using type = double;
};
template <>
struct OtherPrecision<double> {
  using type = float;
};

/// Costs c may be +inf, never NaN or -inf (`summarize` alone takes anything); potentials f, g are finite.
/// An entry out[j] has the same bits whatever n and wherever j stands in the call.
template <class T>
struct Kernels {
  // --- Rows of any cost.

  /// min over j < n of c[j] - g[j].
  double (*min_reduced)(const T* c, const double* g, Index n);

  /// The same for a block of a table: min over i < rows, j < cols of table[i * stride + j] + y[i] - g[j]; `*place` is
  /// the first i * stride + j that attains it, 0 where nothing is below +inf. The rows of the table are padded with
  /// +inf, and g with any finite numbers, to whole vectors (`kOverread<double>`).
  double (*min_reduced_rows)(const double* table, Index stride, const double* y, const double* g, Index rows,
                             Index cols, Index* place);

  /// c = c - g - min(c - g) for one row of such a table, or all of it +inf as it was. Both have n entries, a multiple
  /// of `kOverread<double>`.
  RowReduction (*reduce_row)(double* c, const double* g, Index n);

  /// kernel = exp((f_i + g_j - costs_ij) / epsilon) to four digits, kept within 2^-120 .. 2^120. The stride is a
  /// multiple of `kOverread<float>`; what is behind the columns is computed, too.
  void (*exponentiate)(const double* costs, Index stride, const double* f, const double* g, double inverse_epsilon,
                       Index rows, float* kernel);

  /// kernel = (u_i kernel_ij v_j)^4, likewise kept: what a plan becomes at a quarter of its temperature. Finite u and
  /// v.
  void (*sharpen)(const float* u, const float* v, Index stride, Index rows, float* kernel);

  /// One Sinkhorn iteration on such a kernel: u = a / K v, then v = b / K^T u. If `over` is true both go half again as
  /// far, in logarithms, from where they were. Behind the columns b is zero; `sums` is scratch.
  void (*scale_once)(const float* kernel, Index stride, const float* a, const float* b, Index rows, bool over, float* u,
                     float* v, float* sums);

  /// best[j] = min(best[j], c[j] - f).
  void (*lower_columns)(const T* c, double f, double* best, Index n);

  /// Writes every j < n with c[j] - g[j] < threshold to `out` (room for n), ascending, and returns their number.
  /// Made for few of them.
  Index (*find_below)(const T* c, const double* g, Index n, double threshold, Node* out);

  /// The sum is good to rounding for runs of a few thousand entries.
  RunSummary (*summarize)(const T* c, Index n);

  // --- Plans of entropic transport, a row after another. Denormals are to be flushed to zero (`FlushDenormals`).

  /// e[j] = 2^(v[j] - scale * c[j] + shift), 0 below twice the least normal number; returns the sum. Good to a few
  /// units in the last place of the exponent. v[j] may be -inf; n <= 4096, so that the sum is good in single precision.
  T (*exponentials)(const T* c, T scale, const T* v, T shift, Index n, T* e);

  /// The same for costs in the other precision.
  T (*exponentials_of_other)(const typename OtherPrecision<T>::type* c, T scale, const T* v, T shift, Index n, T* e);

  /// sums[j] += such an exponential, for any n.
  void (*add_exponentials)(const T* c, T scale, const T* v, T shift, Index n, T* sums);

  /// The same for costs in the other precision.
  void (*add_exponentials_of_other)(const typename OtherPrecision<T>::type* c, T scale, const T* v, T shift, Index n,
                                    T* sums);

  /// max over j of v[j] - scale * c[j].
  T (*max_exponent)(const T* c, T scale, const T* v, Index n);

  /// top[j] = max(top[j], x - scale * c[j]).
  void (*raise_columns)(const T* c, T scale, T x, Index n, T* top);

  /// sums[j] += sum_r weights[r] * rows[r * stride + j], for `count` rows of n entries.
  void (*add_rows)(const T* rows, Index stride, const T* weights, Index count, Index n, T* sums);

  /// dots[r] = sum_j rows[r * stride + j] * v[j], for `count` rows of n <= 4096 entries.
  void (*dot_rows)(const T* rows, Index stride, const T* v, Index count, Index n, T* dots);

  /// out[f * out_stride + r] = sum_j a[r * a_stride + j] * x[f * x_stride + j] for r < rows, j < cols, f < functions.
  /// Made for few functions: `a` is read in place, once. Rows of a and x are filled up with zeros to a multiple of
  /// `kOverread<T>`.
  void (*multiply_functions)(const T* a, Index a_stride, const T* x, Index x_stride, Index rows, Index cols,
                             Index functions, T* out, Index out_stride);

  /// out[f * out_stride + j] += sum_r u[f * u_stride + r] * a[r * a_stride + j], likewise; rows of out have the
  /// room, too.
  void (*add_transposed)(const T* a, Index a_stride, const T* u, Index u_stride, Index rows, Index cols,
                         Index functions, T* out, Index out_stride);

  /// Products of a symmetric kernel of numbers in [0, 1], n x n, the diagonal of which is 1, with up to `kAxisLines`
  /// lines of numbers >= 0 along an axis; the results lie in `out` likewise. If `along` is 1 the lines lie one after
  /// another, else side by side, an entry of all of them every `along` numbers. Terms that cannot matter are left out:
  /// for that it needs the maxima of the blocks of the kernel, `kAxisBlock` wide and high. `scratch` has room for
  /// `axis_scratch<T>(n)` numbers and starts on a cache line.
  void (*multiply_axis)(const T* kernel, const T* block_maxima, Index n, const T* in, Index along, Index lines,
                        T* scratch, T* out);

  /// out = a / b up to the last digit, for b that are neither zero nor infinite nor near to that; others are told.
  Quotients (*divide)(const T* a, const T* b, Index n, T* out);

  /// to[j] = log2(from[j]) for from[j] >= 0, finite; -inf below the least normal number.
  void (*logarithms)(const T* from, Index n, T* to);

  /// Writes every j < n with e[j] above a limit, of the row or of_columns weights[j], ascending, and e[j] in single
  /// precision, which it has to fit; returns their number. There is room for n + `kSparseRoom`.
  Index (*keep_above)(const T* e, float of_row, float of_columns, const float* weights, Index n, Node* cols,
                      float* values);

  /// The sum of values[k] x[cols[k]]; and sums[cols[k]] += values[k] weight, for columns that differ.
  double (*dot_sparse)(const Node* cols, const float* values, Index count, const double* x);
  void (*add_sparse)(const Node* cols, const float* values, Index count, double weight, double* sums);

  /// to = from >= 0, rounded to the eight leading bits that a packed number has, in an order that only the functions
  /// below know. The row is filled up with zeros to a multiple of `kPackedRow`.
  void (*pack)(const T* from, Index n, Packed* to);

  /// add_rows and dot_rows for packed rows of n entries; v and sums have room up to a multiple of `kPackedRow`. Columns
  /// may be cut into runs at such multiples.
  void (*add_packed_rows)(const Packed* rows, Index stride, const float* weights, Index count, Index n, float* sums);
  void (*dot_packed_rows)(const Packed* rows, Index stride, const float* v, Index count, Index n, float* dots);

  /// to = from, in the other precision.
  void (*convert)(const typename OtherPrecision<T>::type* from, Index n, T* to);

  /// C += A B for A (rows, depth) and B (depth, cols); column j of C starts at c + j * c_step. With `triangle`, entries
  /// above the diagonal are of no meaning afterwards. `scratch` has room for `kProductScratch` numbers.
  void (*multiply)(Strided<T> a, Strided<T> b, Index rows, Index cols, Index depth, bool triangle, T* c, Index c_step,
                   T* scratch);

  // --- Rows of point clouds: out[j] for j < n from one point x and the points y_j.

  /// sum_k (x_k - y_jk)^2, where the last `negative` coordinates count with negative sign.
  void (*sum_squares)(const T* x, Coordinates<T> y, Index negative, Index n, T* out);

  /// sum_k |x_k - y_jk|.
  void (*sum_absolute)(const T* x, Coordinates<T> y, Index n, T* out);

  /// max_k |x_k - y_jk|.
  void (*max_absolute)(const T* x, Coordinates<T> y, Index n, T* out);

  /// sum_k |x_k - y_jk|^p, p > 0.
  void (*sum_powers)(const T* x, Coordinates<T> y, double p, Index n, T* out);

  /// (sum_k |x_k - y_jk|^p)^(1/p), p > 0, where no power leaves the range of T.
  void (*norm)(const T* x, Coordinates<T> y, double p, Index n, T* out);

  /// offset - sum_k x_k y_jk.
  void (*offset_minus_dot)(const T* x, Coordinates<T> y, T offset, Index n, T* out);

  /// values[j] = values[j]^exponent * scale for values >= 0 and exponent > 0; multiples of 1/4 up to 4 cost a few
  /// multiplications and square roots.
  void (*raise)(T* values, double exponent, T scale, Index n);
};

// What the units of this room offer; only `dispatch.cpp` may touch those above base.
extern const Kernels<float> base_float;
extern const Kernels<double> base_double;
extern const Kernels<float> v3_float;
extern const Kernels<double> v3_double;
extern const Kernels<float> v4_float;
extern const Kernels<double> v4_double;

enum class Isa { base, v3, v4 };

/// The kernels of one instruction set; null where this build or this processor does not have it.
template <class T>
const Kernels<T>* kernels_of(Isa isa);

/// The kernels in use: the best of this processor, or those that OTFAST_ISA asks for. Throws std::runtime_error if
/// there are none of that name.
template <class T>
const Kernels<T>& kernels();

}  // namespace otfast::isa
