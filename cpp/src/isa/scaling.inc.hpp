// Products along an axis, quotients and logarithms: part of kernels.inc.hpp, whose rules hold here, too.
#pragma once

namespace otfast::isa {
namespace {

/// Rows and columns of a product that are summed in registers: as many as hide the latency of a multiplication and
/// leave registers for the factors.
constexpr Index kRows = OTFAST_VECTOR_BYTES == 64 ? 8 : 6;  // of 32 or 16 registers
template <class T>
constexpr Index kPanel = 2 * kLanes<T>;

/// R rows of V vectors; those of the panel follow each other.
template <Index R, Index V, class T>
inline void multiply_panel(const T* a, Index a_stride, const T* panel, Index inner, bool is_first, T* out,
                           Index out_stride) {
  Vector<T> sum[R][V];
  for (Index r = 0; r < R; ++r) {
    for (Index v = 0; v < V; ++v) sum[r][v] = is_first ? Vector<T>{} : load(out + r * out_stride + v * kLanes<T>);
  }
  for (Index j = 0; j < inner; ++j) {
    Vector<T> b[V];
    for (Index v = 0; v < V; ++v) b[v] = load(panel + (j * V + v) * kLanes<T>);
    for (Index r = 0; r < R; ++r) {
      for (Index v = 0; v < V; ++v) sum[r][v] += a[r * a_stride + j] * b[v];
    }
  }
  for (Index r = 0; r < R; ++r) {
    for (Index v = 0; v < V; ++v) store(out + r * out_stride + v * kLanes<T>, sum[r][v]);
  }
}

/// Any number of rows: R at once, then half as many, ...
template <Index V, Index R = kRows, class T>
inline void multiply_rows(const T* a, Index a_stride, const T* panel, Index rows, Index inner, bool is_first, T* out,
                          Index out_stride) {
  Index r = 0;
  for (; r + R <= rows; r += R) {
    multiply_panel<R, V>(a + r * a_stride, a_stride, panel, inner, is_first, out + r * out_stride, out_stride);
  }
  if constexpr (R > 1) {
    if (r == rows) return;
    multiply_rows<V, R / 2>(a + r * a_stride, a_stride, panel, rows - r, inner, is_first, out + r * out_stride,
                            out_stride);
  }
}

/// The last columns, fewer than fill V vectors.
template <Index V, class T>
inline void multiply_last(const T* a, Index a_stride, const T* panel, Index rows, Index inner, bool is_first, T* out,
                          Index out_stride, Index width) {
  constexpr Index kWidth = V * kLanes<T>;
  T part[kRows * kWidth];
  for (Index r = 0; r < rows; r += kRows) {
    const Index some = rows - r < kRows ? rows - r : kRows;
    multiply_rows<V>(a + r * a_stride, a_stride, panel, some, inner, true, part, kWidth);
    for (Index k = 0; k < some; ++k) {
      T* to = out + (r + k) * out_stride;
      for (Index q = 0; q < width; ++q) to[q] = is_first ? part[k * kWidth + q] : to[q] + part[k * kWidth + q];
    }
  }
}

// --- Products along an axis: of a symmetric kernel, in whose sums terms far away rarely matter.

template <class T>
struct AxisKernel {
  const T* entries;  ///< n x n
  const T* maxima;   ///< of its blocks of kAxisBlock x kAxisBlock entries
  Index n;

  Index blocks() const { return (n + kAxisBlock - 1) / kAxisBlock; }

  /// The share of a sum below which n terms are lost in its rounding.
  T negligible() const {
    return (sizeof(T) == sizeof(double) ? static_cast<T>(0x1p-54) : static_cast<T>(0x1p-25)) / static_cast<T>(n);
  }
  Index end_of(Index block) const { return (block + 1) * kAxisBlock < n ? (block + 1) * kAxisBlock : n; }

  /// The largest entry of some rows, or columns, from `first` on in a block of columns, or rows.
  T largest(Index first, Index count, Index block) const {
    T top{};
    for (Index k = first / kAxisBlock; k <= (first + count - 1) / kAxisBlock; ++k) {
      top = higher(maxima[k * blocks() + block], top);
    }
    return top;
  }

  /// The entries [begin, end) of all blocks from the first to the last that matters.
  template <class Matters>
  void trim(const Matters& matters, Index& begin, Index& end) const {
    Index first = 0, last = blocks();
    while (first < last && !matters(first)) ++first;
    while (last > first && !matters(last - 1)) --last;
    begin = first * kAxisBlock;
    end = last > first ? end_of(last - 1) : begin;
  }
};

/// How many of `width` columns are in the vector v.
template <class T>
inline Index lanes_of(Index width, Index v) {
  const Index rest = width - v * kLanes<T>;
  return rest < 0 ? 0 : rest < kLanes<T> ? rest : kLanes<T>;
}

/// Up to kRows rows of a product with a panel of lines that lie side by side; `maxima` are those of its blocks, lane by
/// lane.
template <class T>
inline void multiply_across(const AxisKernel<T>& kernel, const T* panel, const Vector<T>* maxima, Index i, Index rows,
                            T* out, Index stride) {
  // The diagonal alone bounds the sums from below.
  Vector<T> least[2];
  for (Index v = 0; v < 2; ++v) {
    least[v] = load(panel + i * kPanel<T> + v * kLanes<T>);
    for (Index r = 1; r < rows; ++r) least[v] = lower(load(panel + (i + r) * kPanel<T> + v * kLanes<T>), least[v]);
    least[v] *= kernel.negligible();
  }
  Index begin, end;
  kernel.trim(
      [&](Index block) {
        const T top = kernel.largest(i, rows, block);
        return any_lane((top * maxima[2 * block] > least[0]) | (top * maxima[2 * block + 1] > least[1]));
      },
      begin, end);
  multiply_rows<2>(kernel.entries + i * kernel.n + begin, kernel.n, panel + begin * kPanel<T>, rows, end - begin, true,
                   out, stride);
}

/// Lines side by side: a line after another of `in` and `out` is an entry of all of them.
template <class T>
inline void multiply_columns(const AxisKernel<T>& kernel, const T* in, Index stride, Index lines, T* scratch, T* out) {
  const Index n = kernel.n;
  T* panel = scratch;
  Vector<T>* maxima = reinterpret_cast<Vector<T>*>(scratch + n * kPanel<T>);
  for (Index q = 0; q < lines; q += kPanel<T>) {
    const Index width = lines - q < kPanel<T> ? lines - q : kPanel<T>;
    for (Index block = 0; block < kernel.blocks(); ++block) {
      Vector<T> top[2] = {};
      for (Index j = block * kAxisBlock; j < kernel.end_of(block); ++j) {
        const T* from = in + j * stride + q;
        T* to = panel + j * kPanel<T>;
        for (Index v = 0; v < 2; ++v) {
          const Vector<T> entry = width == kPanel<T> ? load(from + v * kLanes<T>)
                                                     : load_partial(from + v * kLanes<T>, lanes_of<T>(width, v), T{});
          store(to + v * kLanes<T>, entry);
          top[v] = higher(entry, top[v]);
        }
      }
      maxima[2 * block] = top[0];
      maxima[2 * block + 1] = top[1];
    }
    for (Index i = 0; i < n; i += kRows) {
      const Index rows = n - i < kRows ? n - i : kRows;
      T part[kRows * kPanel<T>];
      const bool is_whole = width == kPanel<T>;
      T* to = is_whole ? out + i * stride + q : part;
      const Index to_stride = is_whole ? stride : kPanel<T>;
      multiply_across(kernel, panel, maxima, i, rows, to, to_stride);
      if (is_whole) continue;
      for (Index r = 0; r < rows; ++r) {
        for (Index k = 0; k < width; ++k) out[(i + r) * stride + q + k] = part[r * kPanel<T> + k];
      }
    }
  }
}

/// The least lane, by halves that stay in registers.
template <class T, Index bytes = OTFAST_VECTOR_BYTES>
inline T lowest_lane(typename VectorType<T, bytes>::type v) {
  if constexpr (bytes == 16) {
    T least = v[0];
    for (Index lane = 1; lane < 16 / static_cast<Index>(sizeof(T)); ++lane)
      least = lower(least, static_cast<T>(v[lane]));
    return least;
  } else {
    typename VectorType<T, bytes / 2>::type halves[2];
    __builtin_memcpy(halves, &v, sizeof v);
    return lowest_lane<T, bytes / 2>(lower(halves[0], halves[1]));
  }
}

/// Lines one after another. Bounds are those of kRows lines together: neighbours range over much the same numbers, and
/// to look for the extremes of each would take a third of the time.
template <class T>
inline void multiply_rows_of_lines(const AxisKernel<T>& kernel, const T* in, Index lines, T* scratch, T* out) {
  const Index n = kernel.n, blocks = kernel.blocks();
  T* panel = scratch;
  T* maxima = panel + n * kPanel<T>;  // of the block of some lines at q / kRows * blocks + block
  T* minima = maxima + (kAxisLines / kRows + 1) * blocks;
  for (Index q = 0; q < lines; q += kRows) {
    const Index some = lines - q < kRows ? lines - q : kRows;
    for (Index block = 0; block < blocks; ++block) {
      const Index first = block * kAxisBlock, count = kernel.end_of(block) - first;
      Vector<T> top{}, bottom = static_cast<T>(kInfinity) - Vector<T>{};
      for (Index r = 0; r < some; ++r) {
        const T* from = in + (q + r) * n + first;
        for (Index j = 0; j < count; j += kLanes<T>) {
          const bool is_whole = j + kLanes<T> <= count;
          top = higher(is_whole ? load(from + j) : load_partial(from + j, count - j, T{}), top);
          bottom =
              lower(is_whole ? load(from + j) : load_partial(from + j, count - j, static_cast<T>(kInfinity)), bottom);
        }
      }
      maxima[q / kRows * blocks + block] = -lowest_lane<T>(-top);
      minima[q / kRows * blocks + block] = kernel.negligible() * lowest_lane<T>(bottom);
    }
  }
  for (Index i = 0; i < n; i += kPanel<T>) {
    const Index width = n - i < kPanel<T> ? n - i : kPanel<T>;
    for (Index j = 0; j < n; ++j) {
      const T* from = kernel.entries + j * n + i;
      T* to = panel + j * kPanel<T>;
      if (width == kPanel<T>) {
        for (Index v = 0; v < 2; ++v) store(to + v * kLanes<T>, load(from + v * kLanes<T>));
      } else {
        for (Index k = 0; k < kPanel<T>; ++k) to[k] = k < width ? from[k] : T{};
      }
    }
    for (Index q = 0; q < lines; q += kRows) {
      const Index some = lines - q < kRows ? lines - q : kRows;
      const T* tops = maxima + q / kRows * blocks;
      const T* bottoms = minima + q / kRows * blocks;
      T least = bottoms[i / kAxisBlock];
      for (Index block = i / kAxisBlock + 1; block <= (i + width - 1) / kAxisBlock; ++block) {
        least = lower(bottoms[block], least);
      }
      Index begin, end;
      kernel.trim([&](Index block) { return kernel.largest(i, width, block) * tops[block] > least; }, begin, end);
      const T* from = in + q * n + begin;
      const T* of_panel = panel + begin * kPanel<T>;
      if (width == kPanel<T>) {
        multiply_rows<2>(from, n, of_panel, some, end - begin, true, out + q * n + i, n);
      } else {
        multiply_last<2>(from, n, of_panel, some, end - begin, true, out + q * n + i, n, width);
      }
    }
  }
}

template <class T>
void multiply_axis(const T* kernel, const T* block_maxima, Index n, const T* in, Index along, Index lines, T* scratch,
                   T* out) {
  const AxisKernel<T> axis{kernel, block_maxima, n};
  if (along == 1) {
    multiply_rows_of_lines(axis, in, lines, scratch, out);
  } else {
    multiply_columns(axis, in, along, lines, scratch, out);
  }
}

#if OTFAST_VECTOR_BYTES == 64

/// a / b to the last digit but one, for b that is neither zero, nor infinite, nor near to either: from an approximation
/// of 1 / b, by Newton's steps, in half the time of a division.
inline Vector<double> quotient(Vector<double> a, Vector<double> b) {
  Vector<double> inverse = _mm512_maskz_rcp14_pd(0xFF, b);
  for (int step = 0; step < 2; ++step) inverse += inverse * (1.0 - b * inverse);
  const Vector<double> value = a * inverse;
  return value + inverse * (a - b * value);
}
inline Vector<float> quotient(Vector<float> a, Vector<float> b) { return a / b; }

#else

template <class V>
inline V quotient(V a, V b) {
  return a / b;
}

#endif

/// What log2 needs to know of a precision: the bits of sqrt(1/2), and the last term of the series.
template <class T>
struct Logarithm;

template <>
struct Logarithm<float> {
  static constexpr int kRootHalf = 0x3F3504F3;
  static constexpr Index kLastTerm = 9;  // leaves 2e-9
  static constexpr float kLeastNormal = 0x1p-126F;
};

template <>
struct Logarithm<double> {
  static constexpr long long kRootHalf = 0x3FE6A09E667F3BCDLL;
  static constexpr Index kLastTerm = 21;  // leaves 3e-18
  static constexpr double kLeastNormal = 0x1p-1022;
};

/// log2(x) = e + 2 artanh(s) / log 2 for x = 2^e m, m in [sqrt(1/2), sqrt(2)), by the series in s = (m - 1) / (m + 1).
template <class T>
inline Vector<T> log_two(Vector<T> x) {
  using L = Logarithm<T>;
  using P = Power<T>;
  using Bits = Vector<typename P::Bits>;
  constexpr T kTwoByLog2 = static_cast<T>(2.8853900817779268147);
  const Bits above = reinterpret_cast<Bits>(x) - L::kRootHalf;
  // The exponent in the low bits of a number of fixed exponent.
  const Vector<T> round = P::kRound - Vector<T>{};
  const Vector<T> power =
      reinterpret_cast<Vector<T>>(reinterpret_cast<Bits>(round) + (above >> P::kMantissa)) - P::kRound;
  const Bits mantissa = above & ((typename P::Bits{1} << P::kMantissa) - 1);
  const Vector<T> m = reinterpret_cast<Vector<T>>(mantissa + L::kRootHalf);
  const Vector<T> s = quotient(m - T{1}, m + T{1});
  const Vector<T> z = s * s;
  Vector<T> sum{};
  for (Index k = L::kLastTerm; k > 0; k -= 2) sum = T{1} / static_cast<T>(k) + z * sum;
  const Vector<T> value = power + kTwoByLog2 * s * sum;
  return x < L::kLeastNormal ? static_cast<T>(-kInfinity) - Vector<T>{} : value;
}

template <class T>
Quotients divide(const T* a, const T* b, Index n, T* out) {
  Vector<T> top{}, bottom = static_cast<T>(kInfinity) - Vector<T>{};
  Index j = 0;
  for (; j + kLanes<T> <= n; j += kLanes<T>) {
    const Vector<T> divisor = load(b + j);
    const Vector<T> value = quotient(load(a + j), divisor);
    store(out + j, value);
    bottom = lower(divisor, bottom);
    top = higher(value, top);
  }
  T least = lowest_lane<T>(bottom), largest = -lowest_lane<T>(-top);
  for (; j < n; ++j) {
    out[j] = a[j] / b[j];
    least = lower(b[j], least);
    largest = higher(out[j], largest);
  }
  return {static_cast<double>(least), static_cast<double>(largest)};
}

template <class T>
void logarithms(const T* from, Index n, T* to) {
  Index j = 0;
  for (; j + kLanes<T> <= n; j += kLanes<T>) store(to + j, log_two<T>(load(from + j)));
  if (j == n) return;
  const Vector<T> last = log_two<T>(load_partial(from + j, n - j, T{1}));
  for (Index lane = 0; lane < n - j; ++lane) to[j + lane] = last[lane];
}

}  // namespace
}  // namespace otfast::isa
