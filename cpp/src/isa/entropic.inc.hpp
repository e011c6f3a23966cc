// The kernels of entropic transport: part of kernels.inc.hpp, whose rules hold here, too.
#pragma once

namespace otfast::isa {
namespace {

/// What 2^x needs to know of a precision.
template <class T>
struct Power;

template <>
struct Power<float> {
  using Bits = int;
  static constexpr float kRound = 0x1.8p23F;  // adding it leaves the nearest integer in the low bits
  static constexpr int kMantissa = 23;
  static constexpr float kLowest = -125.0F;
  static constexpr float kHighest = 126.0F;
  /// Of degree 6, relative error 1.9e-9: the best for 2^r on [-1/2, 1/2] (Remez).
  static constexpr float kPolynomial[] = {1.0000000005541648F,   0.69314720573719575F,   0.24022646890645521F,
                                          0.055503287771053248F, 0.0096184889563311816F, 0.001339993117723974F,
                                          0.0001534581216131163F};
};

template <>
struct Power<double> {
  using Bits = long long;
  static constexpr double kRound = 0x1.8p52;
  static constexpr int kMantissa = 52;
  static constexpr double kLowest = -1021.0;
  static constexpr double kHighest = 1022.0;
  /// Of degree 11, relative error 3.1e-18.
  static constexpr double kPolynomial[] = {1.0,
                                           0.69314718055994533046,
                                           0.24022650695910156204,
                                           0.055504108664819921605,
                                           0.0096181291075883352443,
                                           0.0013333558146789921722,
                                           0.00015403530462514432062,
                                           0.000015252733489988525649,
                                           1.321543308967639918e-6,
                                           1.0178198021671930844e-7,
                                           7.0741056135081427963e-9,
                                           4.4352827069572771511e-10};
};

/// Horner's scheme, unrolled, for the coefficients of `Of`.
template <class Of, Index k = 0, class V>
inline V polynomial(V r) {
  constexpr Index last = static_cast<Index>(sizeof(Of::kPolynomial) / sizeof(Of::kPolynomial[0])) - 1;
  if constexpr (k == last) {
    return Of::kPolynomial[k] - V{};
  } else {
    return Of::kPolynomial[k] + r * polynomial<Of, k + 1>(r);
  }
}

#if defined(__AVX512F__) && OTFAST_VECTOR_BYTES == 64

/// 2^x = 2^w (1 + r q(r)) for x = w + r, w a multiple of 1/16, the broken part of which picks a root from a table in
/// registers. A polynomial for all of [-1/2, 1/2] would take twice as long: in a chain that long the processor cannot
/// look far enough ahead to fill the latency.
template <class T>
struct Roots;

template <>
struct Roots<float> {
  static constexpr float kRound = 0x1.8p19F;  // adding it leaves the nearest multiple of 1/16 in the low bits
  /// q: relative error of 2^r 2.4e-9 on [-1/32, 1/32] (interpolation at the zeros of a Chebyshev polynomial).
  static constexpr float kPolynomial[] = {0.69314718055994530942F, 0.24023355156988720906F, 0.05550508525196962683F};
  /// 2^(k/16).
  static constexpr float kPowers[] = {1.0F,
                                      1.0442737824274138403F,
                                      1.0905077326652576592F,
                                      1.1387886347566916537F,
                                      1.1892071150027210667F,
                                      1.2418578120734840486F,
                                      1.2968395546510096659F,
                                      1.3542555469368927283F,
                                      1.4142135623730950488F,
                                      1.4768261459394993114F,
                                      1.5422108254079408236F,
                                      1.6104903319492543082F,
                                      1.6817928305074290861F,
                                      1.7562521603732994831F,
                                      1.8340080864093424635F,
                                      1.9152065613971472939F};
};

template <>
struct Roots<double> {
  static constexpr double kRound = 0x1.8p48;
  /// Relative error 1.5e-17.
  static constexpr double kPolynomial[] = {0.69314718055994575333,  0.2402265069591007508,
                                           0.055504108656639298913, 0.0096181291069195378674,
                                           0.001333378157678426869, 0.00015403723980749256422};
  static constexpr double kPowers[] = {1.0,
                                       1.0442737824274138403,
                                       1.0905077326652576592,
                                       1.1387886347566916537,
                                       1.1892071150027210667,
                                       1.2418578120734840486,
                                       1.2968395546510096659,
                                       1.3542555469368927283,
                                       1.4142135623730950488,
                                       1.4768261459394993114,
                                       1.5422108254079408236,
                                       1.6104903319492543082,
                                       1.6817928305074290861,
                                       1.7562521603732994831,
                                       1.8340080864093424635,
                                       1.9152065613971472939};
};

/// The smaller of both; what x lacks to the nearest multiple of 1/16; the root for the low bits of x; and p 2^w, w
/// rounded down, or 0 where x is below `lowest`: one instruction each. (All lanes are wanted; the forms without a mask
/// make GCC warn of what its own header leaves undefined.)
constexpr int kToSixteenths = 4 << 4 | _MM_FROUND_TO_NEAREST_INT;

inline Vector<float> cap(Vector<float> x, float highest) {
  return _mm512_maskz_min_ps(0xFFFF, x, _mm512_set1_ps(highest));
}
inline Vector<double> cap(Vector<double> x, double highest) {
  return _mm512_maskz_min_pd(0xFF, x, _mm512_set1_pd(highest));
}

inline Vector<float> beyond_sixteenths(Vector<float> x) { return _mm512_maskz_reduce_ps(0xFFFF, x, kToSixteenths); }
inline Vector<double> beyond_sixteenths(Vector<double> x) { return _mm512_maskz_reduce_pd(0xFF, x, kToSixteenths); }

inline Vector<float> root(Vector<float> x) {
  return _mm512_maskz_permutexvar_ps(0xFFFF, reinterpret_cast<__m512i>(x), load(Roots<float>::kPowers));
}
inline Vector<double> root(Vector<double> x) {
  const double* roots = Roots<double>::kPowers;
  return _mm512_maskz_permutex2var_pd(0xFF, load(roots), reinterpret_cast<__m512i>(x), load(roots + 8));
}

inline Vector<float> scale_power(Vector<float> p, Vector<float> w, Vector<float> x, float lowest) {
  return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(lowest), _CMP_GE_OQ), p, w);
}
inline Vector<double> scale_power(Vector<double> p, Vector<double> w, Vector<double> x, double lowest) {
  return _mm512_maskz_scalef_pd(_mm512_cmp_pd_mask(x, _mm512_set1_pd(lowest), _CMP_GE_OQ), p, w);
}

/// 2^x, 0 below `kLowest`; x is not NaN. Above `kHighest` what comes out is that power.
template <class T>
inline Vector<T> power_of_two(Vector<T> x) {
  const Vector<T> capped = cap(x, Power<T>::kHighest);
  const Vector<T> rest = beyond_sixteenths(capped);
  const Vector<T> sixteenths = capped - rest;
  const Vector<T> of_table = root(sixteenths + Roots<T>::kRound);
  const Vector<T> more = rest * polynomial<Roots<T>>(rest);
  return scale_power(of_table + of_table * more, sixteenths, capped, Power<T>::kLowest);
}

#else

/// 2^x, 0 below `kLowest`; x is not NaN. Above `kHighest` what comes out is that power.
template <class T>
inline Vector<T> power_of_two(Vector<T> x) {
  using P = Power<T>;
  using Bits = Vector<typename P::Bits>;
  const Vector<T> zero{};
  const Vector<T> capped = lower(x, zero + P::kHighest);
  const Vector<T> kept = capped < P::kLowest ? zero + P::kLowest : capped;
  const Vector<T> shifted = kept + P::kRound;
  const Vector<T> power = polynomial<P>(kept - (shifted - P::kRound));
  const Vector<T> scaled =
      reinterpret_cast<Vector<T>>(reinterpret_cast<Bits>(power) + (reinterpret_cast<Bits>(shifted) << P::kMantissa));
  return x < P::kLowest ? zero : scaled;
}

#endif

template <class V>
inline V higher(V a, V b) {
  return a < b ? b : a;
}

/// The first `count` lanes from memory, or to it; the others are filled, or left alone.
#if OTFAST_VECTOR_BYTES == 64

inline Vector<float> load_partial(const float* from, Index count, float fill) {
  return _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<__mmask16>((1U << count) - 1U), from);
}
inline Vector<double> load_partial(const double* from, Index count, double fill) {
  return _mm512_mask_loadu_pd(_mm512_set1_pd(fill), static_cast<__mmask8>((1U << count) - 1U), from);
}

inline void store_partial(float* to, Index count, Vector<float> v) {
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1U << count) - 1U), v);
}
inline void store_partial(double* to, Index count, Vector<double> v) {
  _mm512_mask_storeu_pd(to, static_cast<__mmask8>((1U << count) - 1U), v);
}

#else

template <class T>
inline Vector<T> load_partial(const T* from, Index count, T fill) {
  Vector<T> v = fill - Vector<T>{};
  for (Index lane = 0; lane < count; ++lane) v[lane] = from[lane];
  return v;
}

template <class T>
inline void store_partial(T* to, Index count, Vector<T> v) {
  for (Index lane = 0; lane < count; ++lane) to[lane] = v[lane];
}

#endif

/// A vector of T from numbers of either precision.
template <class T>
inline Vector<T> load_as(const T* from) {
  return load(from);
}

template <class T>
inline Vector<T> load_as(const typename OtherPrecision<T>::type* from) {
  using Other = typename OtherPrecision<T>::type;
  typedef Other Raw __attribute__((vector_size(kLanes<T> * sizeof(Other))));
  Raw raw;
  __builtin_memcpy(&raw, from, sizeof raw);
  return __builtin_convertvector(raw, Vector<T>);
}

/// The first `count` lanes, the others zero.
template <class T>
inline Vector<T> load_partial_as(const T* from, Index count) {
  return load_partial(from, count, T{});
}

template <class T>
inline Vector<T> load_partial_as(const typename OtherPrecision<T>::type* from, Index count) {
  using Other = typename OtherPrecision<T>::type;
  constexpr Index kStep = kLanes<Other>;
  alignas(64) Other part[kStep > kLanes<T> ? kStep : kLanes<T>];
  for (Index lane = 0; lane < kLanes<T>; lane += kStep) {
    const Index left = count - lane < 0 ? 0 : count - lane;
    store(part + lane, load_partial(from + lane, left < kStep ? left : kStep, Other{}));
  }
  return load_as<T>(part);
}

/// How far ahead rows are fetched from memory, in bytes: the processor's own guesses come too late for a loop that has
/// so much to compute.
constexpr Index kAhead = 2048;

inline void fetch_ahead(const void* from) { __builtin_prefetch(static_cast<const char*>(from) + kAhead); }

template <class T, class C>
T exponentials(const C* c, T scale, const T* v, T shift, Index n, T* e) {
  constexpr Index kChains = 2;
  Vector<T> sum[kChains] = {};
  Index j = 0;
  for (; j + kChains * kLanes<T> <= n; j += kChains * kLanes<T>) {
    for (Index u = 0; u < kChains; ++u) {
      const Index at = j + u * kLanes<T>;
      fetch_ahead(c + at);
      const Vector<T> power = power_of_two<T>((load(v + at) + shift) - scale * load_as<T>(c + at));
      store(e + at, power);
      sum[u] += power;
    }
  }
  for (; j < n; j += kLanes<T>) {
    const Index count = n - j < kLanes<T> ? n - j : kLanes<T>;
    const Vector<T> c_part = load_partial_as<T>(c + j, count);
    const Vector<T> v_part = load_partial(v + j, count, static_cast<T>(-kInfinity));
    const Vector<T> power = power_of_two<T>((v_part + shift) - scale * c_part);
    store_partial(e + j, count, power);
    sum[0] += power;
  }
  return add_lanes<T>(sum[0] + sum[1]);
}

template <class T, class C>
void add_exponentials(const C* c, T scale, const T* v, T shift, Index n, T* sums) {
  constexpr Index kChains = 2;
  Index j = 0;
  for (; j + kChains * kLanes<T> <= n; j += kChains * kLanes<T>) {
    for (Index u = 0; u < kChains; ++u) {
      const Index at = j + u * kLanes<T>;
      fetch_ahead(c + at);
      store(sums + at, load(sums + at) + power_of_two<T>((load(v + at) + shift) - scale * load_as<T>(c + at)));
    }
  }
  for (; j < n; j += kLanes<T>) {
    const Index count = n - j < kLanes<T> ? n - j : kLanes<T>;
    const Vector<T> c_part = load_partial_as<T>(c + j, count);
    const Vector<T> v_part = load_partial(v + j, count, static_cast<T>(-kInfinity));
    const Vector<T> power = power_of_two<T>((v_part + shift) - scale * c_part);
    store_partial(sums + j, count, load_partial(sums + j, count, T{}) + power);
  }
}

template <class T>
T max_exponent(const T* c, T scale, const T* v, Index n) {
  constexpr Index kChains = 2;
  Vector<T> top[kChains];
  for (Index u = 0; u < kChains; ++u) top[u] = static_cast<T>(-kInfinity) - Vector<T>{};
  Index j = 0;
  for (; j + kChains * kLanes<T> <= n; j += kChains * kLanes<T>) {
    for (Index u = 0; u < kChains; ++u) {
      const Index at = j + u * kLanes<T>;
      top[u] = higher(load(v + at) - scale * load(c + at), top[u]);
    }
  }
  T highest = static_cast<T>(-kInfinity);
  for (; j < n; ++j) highest = higher(v[j] - scale * c[j], highest);
  const Vector<T> both = higher(top[0], top[1]);
  for (Index lane = 0; lane < kLanes<T>; ++lane) highest = higher(static_cast<T>(both[lane]), highest);
  return highest;
}

template <class T>
void raise_columns(const T* __restrict c, T scale, T x, Index n, T* __restrict top) {
#pragma omp simd
  for (Index j = 0; j < n; ++j) top[j] = higher(x - scale * c[j], top[j]);
}

/// add_rows for `R` rows.
template <Index R, class T>
inline void add_some_rows(const T* rows, Index stride, const T* weights, Index n, T* sums) {
  Index j = 0;
  for (; j + kLanes<T> <= n; j += kLanes<T>) {
    Vector<T> sum = load(sums + j);
    for (Index r = 0; r < R; ++r) sum += weights[r] * load(rows + r * stride + j);
    store(sums + j, sum);
  }
  for (; j < n; ++j) {
    for (Index r = 0; r < R; ++r) sums[j] += weights[r] * rows[r * stride + j];
  }
}

template <class T>
void add_rows(const T* rows, Index stride, const T* weights, Index count, Index n, T* sums) {
  Index i = 0;
  for (; i + 4 <= count; i += 4) add_some_rows<4>(rows + i * stride, stride, weights + i, n, sums);
  for (; i < count; ++i) add_some_rows<1>(rows + i * stride, stride, weights + i, n, sums);
}

/// dot_rows for `R` rows.
template <Index R, class T>
inline void dot_some_rows(const T* rows, Index stride, const T* v, Index n, T* dots) {
  Vector<T> sum[R] = {};
  Index j = 0;
  for (; j + kLanes<T> <= n; j += kLanes<T>) {
    const Vector<T> factor = load(v + j);
    for (Index r = 0; r < R; ++r) sum[r] += load(rows + r * stride + j) * factor;
  }
  for (Index r = 0; r < R; ++r) {
    T rest{};
    for (Index k = j; k < n; ++k) rest += rows[r * stride + k] * v[k];
    dots[r] = rest + add_lanes<T>(sum[r]);
  }
}

template <class T>
void dot_rows(const T* rows, Index stride, const T* v, Index count, Index n, T* dots) {
  Index i = 0;
  for (; i + 4 <= count; i += 4) dot_some_rows<4>(rows + i * stride, stride, v, n, dots + i);
  for (; i < count; ++i) dot_some_rows<1>(rows + i * stride, stride, v, n, dots + i);
}

/// True if any of the lanes, all of which are 0 or -1, is not 0.
template <class Mask>
inline bool any_lane(Mask mask) {
  using Words = typename VectorType<long long, OTFAST_VECTOR_BYTES>::type;
  const Words words = reinterpret_cast<Words>(mask);
#if OTFAST_VECTOR_BYTES == 64
  return _mm512_test_epi64_mask(reinterpret_cast<__m512i>(words), reinterpret_cast<__m512i>(words)) != 0;
#elif OTFAST_VECTOR_BYTES == 32
  return _mm256_testz_si256(reinterpret_cast<__m256i>(words), reinterpret_cast<__m256i>(words)) == 0;
#else
  long long any = 0;
  for (Index lane = 0; lane < kLanes<long long>; ++lane) any |= words[lane];
  return any != 0;
#endif
}

inline Floats load_floats(const float* from) { return load(from); }

inline Floats load_floats(const double* from) { return load_as<float>(from); }

#if OTFAST_VECTOR_BYTES == 64

/// Moves the lanes of a mask to the front, where it matters: in registers, which every processor does fast.
inline Index keep_lanes(Vector<float> from, Vector<float> limit, Index column, Node* cols, float* values) {
  const __mmask16 mask = _mm512_cmp_ps_mask(from, limit, _CMP_GT_OQ);
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i index = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(column)));
  _mm512_storeu_si512(cols, _mm512_maskz_compress_epi32(mask, index));
  _mm512_storeu_ps(values, _mm512_maskz_compress_ps(mask, from));
  return __builtin_popcount(mask);
}

#else

inline Index keep_lanes(Vector<float> from, Vector<float> limit, Index column, Node* cols, float* values) {
  if (!any_lane(from > limit)) return 0;
  Index kept = 0;
  for (Index lane = 0; lane < kLanes<float>; ++lane) {
    cols[kept] = static_cast<Node>(column + lane);
    values[kept] = from[lane];
    kept += static_cast<Index>(from[lane] > limit[lane]);
  }
  return kept;
}

#endif

template <class T>
Index keep_above(const T* e, float of_row, float of_columns, const float* weights, Index n, Node* cols, float* values) {
  Index kept = 0;
  Index j = 0;
  for (; j + kFloats <= n; j += kFloats) {
    const Floats limit = lower(of_columns * load(weights + j), of_row - Floats{});
    kept += keep_lanes(load_floats(e + j), limit, j, cols + kept, values + kept);
  }
  for (; j < n; ++j) {
    cols[kept] = static_cast<Node>(j);
    values[kept] = static_cast<float>(e[j]);
    kept += static_cast<Index>(values[kept] > lower(of_columns * weights[j], of_row));
  }
  return kept;
}

#if OTFAST_VECTOR_BYTES == 64

double dot_sparse(const Node* cols, const float* values, Index count, const double* x) {
  const Doubles zero{};
  Doubles sum{};
  for (Index k = 0; k < count; k += kDoubles) {
    const auto mask = static_cast<__mmask8>(count - k < kDoubles ? (1U << (count - k)) - 1U : 0xFFU);
    const Doubles found = _mm512_mask_i32gather_pd(zero, mask, _mm256_maskz_loadu_epi32(mask, cols + k), x, sizeof *x);
    sum += _mm512_maskz_cvtps_pd(mask, _mm256_maskz_loadu_ps(mask, values + k)) * found;
  }
  return add_lanes<double>(sum);
}

#else

double dot_sparse(const Node* cols, const float* values, Index count, const double* x) {
  constexpr Index kChains = 4;  // additions take four cycles, the rest one
  double sum[kChains] = {};
  Index k = 0;
  for (; k + kChains <= count; k += kChains) {
    for (Index u = 0; u < kChains; ++u) sum[u] += static_cast<double>(values[k + u]) * x[cols[k + u]];
  }
  for (; k < count; ++k) sum[0] += static_cast<double>(values[k]) * x[cols[k]];
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

#endif

void add_sparse(const Node* cols, const float* values, Index count, double weight, double* sums) {
  for (Index k = 0; k < count; ++k) sums[cols[k]] += static_cast<double>(values[k]) * weight;
}

/// Packed rows hold two vectors in one: lane by lane, the first in the lower halves, the second in the upper ones. So
/// one load, a shift and a mask bring both back.
using Words = Vector<std::uint32_t>;
constexpr Index kPairs = 2 * kFloats;

template <class T>
inline void pack_pair(const T* from, Packed* to) {
  constexpr std::uint32_t kHalf = 0x8000U;
  const Words first = reinterpret_cast<Words>(load_floats(from)) + kHalf;
  const Words second = reinterpret_cast<Words>(load_floats(from + kFloats)) + kHalf;
  const Words both = (first >> 16) | (second & 0xFFFF0000U);
  __builtin_memcpy(to, &both, sizeof both);
}

template <class T>
void pack(const T* from, Index n, Packed* to) {
  Index j = 0;
  for (; j + kPairs <= n; j += kPairs) pack_pair(from + j, to + j);
  if (j == n) return;
  T last[kPairs] = {};
  for (Index k = j; k < n; ++k) last[k - j] = from[k];
  pack_pair(last, to + j);
}

inline Words load_pair(const Packed* from) {
  Words both;
  __builtin_memcpy(&both, from, sizeof both);
  return both;
}

inline Floats first_of(Words both) { return reinterpret_cast<Floats>(both << 16); }
inline Floats second_of(Words both) { return reinterpret_cast<Floats>(both & 0xFFFF0000U); }

template <Index R>
inline void add_some_packed_rows(const Packed* rows, Index stride, const float* weights, Index n, float* sums) {
  for (Index j = 0; j < n; j += kPairs) {
    Floats first = load(sums + j), second = load(sums + j + kFloats);
    for (Index r = 0; r < R; ++r) {
      const Words both = load_pair(rows + r * stride + j);
      first += weights[r] * first_of(both);
      second += weights[r] * second_of(both);
    }
    store(sums + j, first);
    store(sums + j + kFloats, second);
  }
}

void add_packed_rows(const Packed* rows, Index stride, const float* weights, Index count, Index n, float* sums) {
  Index i = 0;
  for (; i + 4 <= count; i += 4) add_some_packed_rows<4>(rows + i * stride, stride, weights + i, n, sums);
  for (; i < count; ++i) add_some_packed_rows<1>(rows + i * stride, stride, weights + i, n, sums);
}

template <Index R>
inline void dot_some_packed_rows(const Packed* rows, Index stride, const float* v, Index n, float* dots) {
  Floats first[R] = {}, second[R] = {};
  for (Index j = 0; j < n; j += kPairs) {
    const Floats first_factor = load(v + j), second_factor = load(v + j + kFloats);
    for (Index r = 0; r < R; ++r) {
      const Words both = load_pair(rows + r * stride + j);
      first[r] += first_of(both) * first_factor;
      second[r] += second_of(both) * second_factor;
    }
  }
  for (Index r = 0; r < R; ++r) dots[r] = add_lanes<float>(first[r] + second[r]);
}

void dot_packed_rows(const Packed* rows, Index stride, const float* v, Index count, Index n, float* dots) {
  Index i = 0;
  for (; i + 4 <= count; i += 4) dot_some_packed_rows<4>(rows + i * stride, stride, v, n, dots + i);
  for (; i < count; ++i) dot_some_packed_rows<1>(rows + i * stride, stride, v, n, dots + i);
}

template <class T>
void convert(const typename OtherPrecision<T>::type* __restrict from, Index n, T* __restrict to) {
#pragma omp simd
  for (Index j = 0; j < n; ++j) to[j] = static_cast<T>(from[j]);
}

}  // namespace
}  // namespace otfast::isa
