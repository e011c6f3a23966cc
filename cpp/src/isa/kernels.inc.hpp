// The kernels, written once and compiled by every unit of this room with flags of its own. The unit defines
// OTFAST_VECTOR_BYTES and includes this file once.
//
// Everything here has internal linkage, and nothing but builtins is called: an inline or template function of a header,
// compiled with AVX-512 here, could be the copy that the linker keeps for all, and fault on older processors.
#pragma once

#include "isa/kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace otfast::isa {
namespace {

constexpr double kInfinity = __builtin_inf();

// --- Vectors: GCC's extension, which clang has too. Arithmetic, comparison and ?: act lane by lane.

template <class T, Index bytes>
struct VectorType {
  typedef T type __attribute__((vector_size(bytes)));
};
template <class T>
using Vector = typename VectorType<T, OTFAST_VECTOR_BYTES>::type;
template <class T>
constexpr Index kLanes = OTFAST_VECTOR_BYTES / static_cast<Index>(sizeof(T));

using Doubles = Vector<double>;
constexpr Index kDoubles = kLanes<double>;

template <class T>
inline Vector<T> load(const T* from) {
  Vector<T> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class T>
inline void store(T* to, Vector<T> v) {
  __builtin_memcpy(to, &v, sizeof v);
}

inline Doubles load_doubles(const double* from) { return load(from); }

inline Doubles load_doubles(const float* from) {
  typename VectorType<float, OTFAST_VECTOR_BYTES / 2>::type narrow;
  __builtin_memcpy(&narrow, from, sizeof narrow);
  return __builtin_convertvector(narrow, Doubles);
}

template <class V>
inline V lower(V a, V b) {
  return a < b ? a : b;
}

// --- Rows of any cost.

/// The sum of all lanes, by halves.
template <class T, Index bytes = OTFAST_VECTOR_BYTES>
inline T add_lanes(typename VectorType<T, bytes>::type v) {
  if constexpr (bytes == 2 * sizeof(T)) {
    return v[0] + v[1];
  } else if constexpr (bytes == 16) {
    return (v[0] + v[1]) + (v[2] + v[3]);
  } else {
    typename VectorType<T, bytes / 2>::type halves[2];
    __builtin_memcpy(halves, &v, sizeof v);
    return add_lanes<T, bytes / 2>(halves[0] + halves[1]);
  }
}

/// The least lane, by halves.
template <class Number, class V>
inline Number least_lane(V v) {
  Number lanes[kDoubles];
  __builtin_memcpy(lanes, &v, sizeof v);
  for (Index half = kDoubles / 2; half > 0; half /= 2) {
    for (Index lane = 0; lane < half; ++lane) lanes[lane] = lower(lanes[lane + half], lanes[lane]);
  }
  return lanes[0];
}

/// The least entries that the lanes of a few vectors have met, and where: enough chains to hide the latency of a
/// minimum.
struct Least {
  static constexpr Index kChains = 4;
  static constexpr long long kNowhere = 1LL << 62;
  using Places = Vector<long long>;

  Doubles value[kChains];
  Places place[kChains];

  Least() {
    for (Index u = 0; u < kChains; ++u) {
      value[u] = kInfinity - Doubles{};
      place[u] = Places{};
    }
  }

  void take(Index chain, Doubles values, Index at) {
    place[chain] = values < value[chain] ? at - Places{} : place[chain];
    value[chain] = lower(values, value[chain]);
  }

  /// c[j] - g[j] + y for j < n, known as place + j. Whole vectors can be read, with c = +inf behind the end.
  void scan(const double* c, const double* g, double y, Index n, Index place_of_first) {
    Index j = 0;
    for (; j + kChains * kDoubles <= n; j += kChains * kDoubles) {
      for (Index u = 0; u < kChains; ++u) {
        const Index at = j + u * kDoubles;
        take(u, load(c + at) - load(g + at) + y, place_of_first + at);
      }
    }
    for (; j < n; j += kDoubles) take(0, load(c + j) - load(g + j) + y, place_of_first + j);
  }

  /// The least of all, and the first of its places; 0 if it is +inf.
  double join(Index* first) const {
    const double least = least_lane<double>(lower(lower(value[0], value[1]), lower(value[2], value[3])));
    Places earliest = kNowhere - Places{};
    for (Index u = 0; u < kChains; ++u) earliest = lower(value[u] == least ? place[u] : kNowhere - Places{}, earliest);
    for (Index lane = 0; lane < kDoubles; ++lane) earliest[lane] += lane;
    *first = least < kInfinity ? least_lane<long long>(earliest) : 0;
    return least;
  }
};

template <class T>
double min_reduced(const T* c, const double* g, Index n) {
  constexpr Index kChains = 4;
  Doubles least[kChains];
  for (Index u = 0; u < kChains; ++u) least[u] = kInfinity - Doubles{};
  Index j = 0;
  for (; j + kChains * kDoubles <= n; j += kChains * kDoubles) {
    for (Index u = 0; u < kChains; ++u) {
      const Index at = j + u * kDoubles;
      least[u] = lower(load_doubles(c + at) - load(g + at), least[u]);
    }
  }
  double rest = kInfinity;
  for (; j < n; ++j) rest = lower(static_cast<double>(c[j]) - g[j], rest);
  return lower(rest, least_lane<double>(lower(lower(least[0], least[1]), lower(least[2], least[3]))));
}

double min_reduced_rows(const double* table, Index stride, const double* y, const double* g, Index rows, Index cols,
                        Index* place) {
  Least least;
  for (Index i = 0; i < rows; ++i) least.scan(table + i * stride, g, y[i], cols, i * stride);
  return least.join(place);
}

RowReduction reduce_row(double* c, const double* g, Index n) {
  const Doubles zero{};
  Doubles least = zero + kInfinity, second = zero + kInfinity;
  Vector<long long> place{};
  for (Index j = 0; j < n; j += kDoubles) {
    const Doubles value = load(c + j) - load(g + j);
    place = value < least ? j - Vector<long long>{} : place;
    second = lower(value < least ? least : value, second);
    least = lower(value, least);
  }
  RowReduction found{.least = least_lane<double>(least)};
  // The runner-up is a runner-up of its lane, or the best of another lane.
  found.argmin = n;
  Index winner = 0;
  for (Index lane = 0; lane < kDoubles; ++lane) {
    if (least[lane] != found.least || place[lane] + lane >= found.argmin) continue;
    found.argmin = place[lane] + lane;
    winner = lane;
  }
  found.second = second[winner];
  for (Index lane = 0; lane < kDoubles; ++lane) {
    if (lane != winner) found.second = lower(static_cast<double>(least[lane]), found.second);
  }
  if (!(found.least < kInfinity)) {
    found.infinite = n;
    return found;
  }

  Doubles largest = zero, infinite = zero;
  for (Index j = 0; j < n; j += kDoubles) {
    const Doubles value = load(c + j) - load(g + j) - found.least;
    store(c + j, value);
    const Doubles finite = value < kInfinity ? value : zero;
    largest = largest < finite ? finite : largest;
    infinite += value < kInfinity ? zero : zero + 1.0;
  }
  for (Index lane = 0; lane < kDoubles; ++lane) {
    found.largest = found.largest < largest[lane] ? static_cast<double>(largest[lane]) : found.largest;
    found.infinite += static_cast<Index>(infinite[lane]);
  }
  return found;
}

template <class T>
void lower_columns(const T* __restrict c, double f, double* __restrict best, Index n) {
#pragma omp simd
  for (Index j = 0; j < n; ++j) best[j] = lower(static_cast<double>(c[j]) - f, best[j]);
}

/// Bit `lane` says whether that lane is below the threshold.
inline unsigned lanes_below(Doubles v, double threshold) {
#if defined(__AVX512F__)
  return _mm512_cmp_pd_mask(v, _mm512_set1_pd(threshold), _CMP_LT_OQ);
#elif defined(__AVX2__)
  return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd(v, _mm256_set1_pd(threshold), _CMP_LT_OQ)));
#elif defined(__SSE2__)
  return static_cast<unsigned>(_mm_movemask_pd(_mm_cmplt_pd(v, _mm_set1_pd(threshold))));
#else
  unsigned bits = 0;
  for (Index lane = 0; lane < kDoubles; ++lane) bits |= static_cast<unsigned>(v[lane] < threshold) << lane;
  return bits;
#endif
}

template <class T>
Index find_below(const T* c, const double* g, Index n, double threshold, Node* out) {
  constexpr Index kVectors = 4;  // to a test: most have nothing below
  Index found = 0;
  Index j = 0;
  for (; j + kVectors * kDoubles <= n; j += kVectors * kDoubles) {
    unsigned bits = 0;
    for (Index u = 0; u < kVectors; ++u) {
      const Index at = j + u * kDoubles;
      bits |= lanes_below(load_doubles(c + at) - load(g + at), threshold) << (u * kDoubles);
    }
    for (; bits != 0; bits &= bits - 1) out[found++] = static_cast<Node>(j + __builtin_ctz(bits));
  }
  for (; j < n; ++j) {
    if (static_cast<double>(c[j]) - g[j] < threshold) out[found++] = static_cast<Node>(j);
  }
  return found;
}

/// The summary of entries that are all finite; false if some are not, or their sum is not.
template <class T>
inline bool summarize_finite(const T* c, Index n, RunSummary& summary) {
  constexpr Index kChains = 4;
  Doubles min[kChains], max[kChains], sum[kChains];
  for (Index u = 0; u < kChains; ++u) {
    min[u] = kInfinity - Doubles{};
    max[u] = -kInfinity - Doubles{};
    sum[u] = Doubles{};
  }
  const auto take = [&](Index u, Doubles value) {
    min[u] = lower(value, min[u]);
    max[u] = max[u] < value ? value : max[u];
    sum[u] += value;
  };
  Index j = 0;
  for (; j + kChains * kDoubles <= n; j += kChains * kDoubles) {
    for (Index u = 0; u < kChains; ++u) take(u, load_doubles(c + j + u * kDoubles));
  }
  summary = {.min = kInfinity, .max = -kInfinity};
  for (Index u = 0; u < kChains; ++u) {
    for (Index lane = 0; lane < kDoubles; ++lane) {
      summary.min = lower(static_cast<double>(min[u][lane]), summary.min);
      summary.max = summary.max < max[u][lane] ? max[u][lane] : summary.max;
      summary.sum += sum[u][lane];
    }
  }
  for (; j < n; ++j) {
    const auto value = static_cast<double>(c[j]);
    summary.min = lower(value, summary.min);
    summary.max = summary.max < value ? value : summary.max;
    summary.sum += value;
  }
  return summary.sum - summary.sum == 0.0;
}

template <class T>
RunSummary summarize(const T* c, Index n) {
  if (RunSummary finite; summarize_finite(c, n, finite)) return finite;
  const Doubles zero{};
  Doubles min = zero + kInfinity;
  Doubles max = zero - kInfinity;
  Doubles sum = zero;
  Doubles infinite = zero;  // counted in doubles, so that vectors hold but one type
  Doubles bad = zero;
  const auto take = [&](Doubles value) {
    const auto finite = value - value == zero;
    const Doubles candidate = finite ? value : zero - kInfinity;
    min = lower(value, min);
    max = max < candidate ? candidate : max;
    sum += finite ? value : zero;
    infinite += value == kInfinity ? zero + 1.0 : zero;
    bad += value > -kInfinity ? zero : zero + 1.0;
  };
  Index j = 0;
  for (; j + kDoubles <= n; j += kDoubles) take(load_doubles(c + j));
  // The rest, filled up with what changes nothing but one count.
  const Index missing = j < n ? j + kDoubles - n : 0;
  if (missing > 0) {
    T last[kDoubles];
    for (Index l = 0; l < kDoubles; ++l) last[l] = j + l < n ? c[j + l] : static_cast<T>(kInfinity);
    take(load_doubles(last));
  }

  RunSummary summary{.min = kInfinity, .max = -kInfinity, .infinite = -missing};
  bool any_bad = false;
  for (Index lane = 0; lane < kDoubles; ++lane) {
    summary.min = lower(static_cast<double>(min[lane]), summary.min);
    summary.max = summary.max < max[lane] ? max[lane] : summary.max;
    summary.sum += sum[lane];
    summary.infinite += static_cast<Index>(infinite[lane]);
    any_bad |= bad[lane] > 0.0;
  }
  if (any_bad) {
    summary.first_bad = 0;
    while (c[summary.first_bad] > -kInfinity) ++summary.first_bad;
  }
  return summary;
}

// --- Rows of point clouds.

/// Folds the coordinates of `R` vectors of points into accumulators that stay in registers over the whole loop.
/// `join(accumulator, k, y_k)` is the step for coordinate k.
template <Index R, class T, class Join>
inline void fold_block(Coordinates<T> y, Index j, T start, Join join, T* out) {
  Vector<T> fold[R];
  for (Index r = 0; r < R; ++r) fold[r] = start - Vector<T>{};
  for (Index k = 0; k < y.dim; ++k) {
    const T* at = y.data + k * y.stride + j;
    for (Index r = 0; r < R; ++r) fold[r] = join(fold[r], k, load(at + r * kLanes<T>));
  }
  for (Index r = 0; r < R; ++r) store(out + r * kLanes<T>, fold[r]);
}

/// The whole row. The last vector may be partial: it is computed in full like all others and only stored in part.
template <class T, class Join>
inline void fold_coordinates(Coordinates<T> y, Index n, T start, Join join, T* out) {
  constexpr Index kRegisters = 8;
  constexpr Index kWide = kRegisters * kLanes<T>;
  Index j = 0;
  for (; j + kWide <= n; j += kWide) fold_block<kRegisters>(y, j, start, join, out + j);
  for (; j + kLanes<T> <= n; j += kLanes<T>) fold_block<1>(y, j, start, join, out + j);
  if (j < n) {
    T last[kLanes<T>];
    fold_block<1>(y, j, start, join, last);
    for (Index l = 0; j + l < n; ++l) out[j + l] = last[l];
  }
}

template <class T>
void sum_squares(const T* x, Coordinates<T> y, Index negative, Index n, T* out) {
  if (negative == 0) {
    fold_coordinates(
        y, n, T{0},
        [x](Vector<T> sum, Index k, Vector<T> yk) {
          const Vector<T> difference = x[k] - yk;
          return sum + difference * difference;
        },
        out);
    return;
  }
  const Index positive = y.dim - negative;
  fold_coordinates(
      y, n, T{0},
      [x, positive](Vector<T> sum, Index k, Vector<T> yk) {
        const Vector<T> difference = x[k] - yk;
        return sum + (k < positive ? difference : -difference) * difference;
      },
      out);
}

/// |v|, though -0 for 0 may come out.
template <class V>
inline V absolute(V v) {
  return v > -v ? v : -v;
}

template <class T>
void sum_absolute(const T* x, Coordinates<T> y, Index n, T* out) {
  fold_coordinates(
      y, n, T{0}, [x](Vector<T> sum, Index k, Vector<T> yk) { return sum + absolute<Vector<T>>(x[k] - yk); }, out);
}

template <class T>
void max_absolute(const T* x, Coordinates<T> y, Index n, T* out) {
  fold_coordinates(
      y, n, T{0},
      [x](Vector<T> max, Index k, Vector<T> yk) {
        const Vector<T> distance = absolute<Vector<T>>(x[k] - yk);
        return max < distance ? distance : max;
      },
      out);
}

template <class T>
void offset_minus_dot(const T* x, Coordinates<T> y, T offset, Index n, T* out) {
  fold_coordinates(y, n, offset, [x](Vector<T> rest, Index k, Vector<T> yk) { return rest - x[k] * yk; }, out);
}

inline float square_root(float v) { return __builtin_sqrtf(v); }
inline double square_root(double v) { return __builtin_sqrt(v); }
inline float power(float v, double exponent) { return __builtin_powf(v, static_cast<float>(exponent)); }
inline double power(double v, double exponent) { return __builtin_pow(v, exponent); }

/// values^(quarters / 4) * scale, with the exponent known to the compiler.
template <Index quarters, class T>
inline void raise_to_quarters(T* values, T scale, Index n) {
#pragma omp simd
  for (Index j = 0; j < n; ++j) {
    const T v = values[j];
    T result = T{1};
    for (Index whole = 0; whole < quarters / 4; ++whole) result *= v;
    if constexpr (quarters % 4 != 0) {
      const T root = square_root(v);
      if constexpr (quarters % 4 >= 2) result *= root;
      if constexpr (quarters % 2 == 1) result *= square_root(root);
    }
    values[j] = result * scale;
  }
}

/// Finds the exponent among 1/4, 2/4, ..., 16/4 and raises to it; false if it is none of them.
template <Index quarters, class T>
inline bool raise_if_quarters(T* values, double exponent, T scale, Index n) {
  if constexpr (quarters <= 16) {
    if (exponent * 4.0 != static_cast<double>(quarters)) {
      return raise_if_quarters<quarters + 1>(values, exponent, scale, n);
    }
    raise_to_quarters<quarters>(values, scale, n);
    return true;
  } else {
    return false;
  }
}

template <class T>
void raise(T* values, double exponent, T scale, Index n) {
  if (raise_if_quarters<1>(values, exponent, scale, n)) return;
  for (Index j = 0; j < n; ++j) values[j] = power(values[j], exponent) * scale;
}

/// Points are taken in blocks of this size where powers of distances are kept between two passes.
constexpr Index kBlock = 256;

/// out[j] = sum_k (|x_k - y_jk| / unit_j)^p for a block of n <= kBlock points; units are 1 if `unit` is null.
template <class T>
inline void sum_powers_of_block(const T* x, Coordinates<T> y, double p, const T* unit, Index n, T* out) {
  T distance[kBlock];
  for (Index j = 0; j < n; ++j) out[j] = T{0};
  for (Index k = 0; k < y.dim; ++k) {
    const T* yk = y.data + k * y.stride;
    for (Index j = 0; j < n; ++j) distance[j] = absolute(x[k] - yk[j]);
    if (unit != nullptr) {
      for (Index j = 0; j < n; ++j) distance[j] /= unit[j];
    }
    raise(distance, p, T{1}, n);
    for (Index j = 0; j < n; ++j) out[j] += distance[j];
  }
}

template <class T>
void sum_powers(const T* x, Coordinates<T> y, double p, Index n, T* out) {
  for (Index begin = 0; begin < n; begin += kBlock) {
    const Index size = n - begin < kBlock ? n - begin : kBlock;
    sum_powers_of_block(x, {y.data + begin, y.stride, y.dim}, p, static_cast<const T*>(nullptr), size, out + begin);
  }
}

template <class T>
void norm(const T* x, Coordinates<T> y, double p, Index n, T* out) {
  T unit[kBlock];
  for (Index begin = 0; begin < n; begin += kBlock) {
    const Index size = n - begin < kBlock ? n - begin : kBlock;
    const Coordinates<T> points{y.data + begin, y.stride, y.dim};
    max_absolute(x, points, size, unit);
    // Coinciding points, and those whose difference overflows, need no unit.
    for (Index j = 0; j < size; ++j) unit[j] = unit[j] > T{0} && unit[j] - unit[j] == T{0} ? unit[j] : T{1};
    sum_powers_of_block(x, points, p, unit, size, out + begin);
    raise(out + begin, 1.0 / p, T{1}, size);
    for (Index j = 0; j < size; ++j) out[begin + j] *= unit[j];
  }
}

// --- Entropic scaling of small tables.

using Floats = Vector<float>;
constexpr Index kFloats = kLanes<float>;

/// 2^x for |x| <= 120 to four digits, which is all that a first guess needs.
inline Floats rough_exp2(Floats x) {
  using Bits = Vector<int>;
  constexpr float kRound = 0x1.8p23F;  // adding it leaves the nearest integer in the low bits
  const Floats shifted = x + kRound;
  const Floats r = x - (shifted - kRound);
  // Taylor's series of 2^r on [-1/2, 1/2].
  const Floats power =
      1.0F + r * (0.69314718F + r * (0.24022651F + r * (0.05550411F + r * (0.00961813F + r * 0.00133336F))));
  return reinterpret_cast<Floats>(reinterpret_cast<Bits>(power) + (reinterpret_cast<Bits>(shifted) << 23));
}

void exponentiate(const double* costs, Index stride, const double* f, const double* g, double inverse_epsilon,
                  Index rows, float* kernel) {
  using Narrow = typename VectorType<float, OTFAST_VECTOR_BYTES / 2>::type;
  constexpr double kLog2E = 1.4426950408889634;
  const double scale = inverse_epsilon * kLog2E;
  const Doubles floor = Doubles{} - 120.0;  // the least power that single precision holds in full
  const Doubles ceiling = Doubles{} + 120.0;
  for (Index i = 0; i < rows; ++i) {
    float* row = kernel + i * stride;
    // In two loops: a vector that is loaded right after its halves were stored makes the processor wait.
    for (Index j = 0; j < stride; j += kDoubles) {
      const Doubles exponent = (f[i] + load(g + j) - load(costs + i * stride + j)) * scale;
      const Narrow kept = __builtin_convertvector(lower(exponent < floor ? floor : exponent, ceiling), Narrow);
      __builtin_memcpy(row + j, &kept, sizeof kept);
    }
    for (Index j = 0; j < stride; j += kFloats) store(row + j, rough_exp2(load(row + j)));
  }
}

void sharpen(const float* u, const float* v, Index stride, Index rows, float* kernel) {
  const Floats floor = Floats{} + 0x1p-30F;
  const Floats ceiling = Floats{} + 0x1p30F;
  for (Index i = 0; i < rows; ++i) {
    float* row = kernel + i * stride;
    for (Index j = 0; j < stride; j += kFloats) {
      const Floats entry = u[i] * load(row + j) * load(v + j);
      const Floats kept = lower(entry < floor ? floor : entry, ceiling);
      const Floats squared = kept * kept;
      store(row + j, squared * squared);
    }
  }
}

/// u = a / K v for `R` rows, whose part of K^T u is added to `sums`.
template <Index R, bool over>
inline void scale_rows(const float* kernel, Index stride, const float* a, const float* v, float* u, float* sums) {
  Floats dot[R];
  for (Index r = 0; r < R; ++r) dot[r] = Floats{};
  for (Index j = 0; j < stride; j += kFloats) {
    for (Index r = 0; r < R; ++r) dot[r] += load(kernel + r * stride + j) * load(v + j);
  }
  for (Index r = 0; r < R; ++r) {
    const float next = a[r] / add_lanes<float>(dot[r]);
    u[r] = over ? next * square_root(next / u[r]) : next;
  }
  for (Index j = 0; j < stride; j += kFloats) {
    Floats sum = load(sums + j);
    for (Index r = 0; r < R; ++r) sum += u[r] * load(kernel + r * stride + j);
    store(sums + j, sum);
  }
}

template <bool over>
void scale(const float* kernel, Index stride, const float* a, const float* b, Index rows, float* u, float* v,
           float* sums) {
  constexpr Index kRows = 4;  // at a time: their chains of sums and divisions overlap
  for (Index j = 0; j < stride; j += kFloats) store(sums + j, Floats{});
  Index i = 0;
  for (; i + kRows <= rows; i += kRows) scale_rows<kRows, over>(kernel + i * stride, stride, a + i, v, u + i, sums);
  for (; i < rows; ++i) scale_rows<1, over>(kernel + i * stride, stride, a + i, v, u + i, sums);
#pragma omp simd
  for (Index j = 0; j < stride; ++j) {
    const float next = b[j] / sums[j];
    const float scaled = over ? next * square_root(next / v[j]) : next;
    v[j] = b[j] > 0.0F ? scaled : 0.0F;  // behind the columns 0 / 0 may have come out
  }
}

void scale_once(const float* kernel, Index stride, const float* a, const float* b, Index rows, bool over, float* u,
                float* v, float* sums) {
  (over ? scale<true> : scale<false>)(kernel, stride, a, b, rows, u, v, sums);
}

}  // namespace
}  // namespace otfast::isa

#include "isa/entropic.inc.hpp"
#include "isa/functions.inc.hpp"
#include "isa/product.inc.hpp"
#include "isa/scaling.inc.hpp"

namespace otfast::isa {
namespace {

template <class T>
constexpr Kernels<T> kTable{
    .min_reduced = min_reduced<T>,
    .min_reduced_rows = min_reduced_rows,
    .reduce_row = reduce_row,
    .exponentiate = exponentiate,
    .sharpen = sharpen,
    .scale_once = scale_once,
    .lower_columns = lower_columns<T>,
    .find_below = find_below<T>,
    .summarize = summarize<T>,
    .exponentials = exponentials<T, T>,
    .exponentials_of_other = exponentials<T, typename OtherPrecision<T>::type>,
    .add_exponentials = add_exponentials<T, T>,
    .add_exponentials_of_other = add_exponentials<T, typename OtherPrecision<T>::type>,
    .max_exponent = max_exponent<T>,
    .raise_columns = raise_columns<T>,
    .add_rows = add_rows<T>,
    .dot_rows = dot_rows<T>,
    .multiply_functions = multiply_functions<T>,
    .add_transposed = add_transposed<T>,
    .multiply_axis = multiply_axis<T>,
    .divide = divide<T>,
    .logarithms = logarithms<T>,
    .keep_above = keep_above<T>,
    .dot_sparse = dot_sparse,
    .add_sparse = add_sparse,
    .pack = pack<T>,
    .add_packed_rows = add_packed_rows,
    .dot_packed_rows = dot_packed_rows,
    .convert = convert<T>,
    .multiply = multiply<T>,
    .sum_squares = sum_squares<T>,
    .sum_absolute = sum_absolute<T>,
    .max_absolute = max_absolute<T>,
    .sum_powers = sum_powers<T>,
    .norm = norm<T>,
    .offset_minus_dot = offset_minus_dot<T>,
    .raise = raise<T>,
};

}  // namespace
}  // namespace otfast::isa
