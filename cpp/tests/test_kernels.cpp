// Every kernel of every instruction set this processor has, against plain loops, at awkward sizes.
#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <type_traits>
#include <vector>

#include "check.hpp"
#include "isa/kernels.hpp"
#include "otfast/core/aligned.hpp"

namespace {

using otfast::Index;
using otfast::Node;
using otfast::isa::Coordinates;
using otfast::isa::Isa;
using otfast::isa::Kernels;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Index kSizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 255, 257, 1000, 1024, 2500};

std::mt19937_64 generator(20260101);

double uniform(double low, double high) { return std::uniform_real_distribution<double>(low, high)(generator); }

/// Few different values, so that minima are attained more than once; some pairs forbidden.
template <class T>
std::vector<T> random_costs(Index n, double forbidden) {
  std::vector<T> c(static_cast<std::size_t>(n));
  for (T& value : c) {
    value = static_cast<T>(uniform(0.0, 1.0) < forbidden ? kInfinity : std::floor(uniform(-50.0, 50.0)) / 4.0);
  }
  return c;
}

std::vector<double> random_potentials(Index n) {
  std::vector<double> g(static_cast<std::size_t>(n));
  for (double& value : g) value = std::floor(uniform(-8.0, 8.0)) / 8.0;
  return g;
}

template <class T>
void test_row_kernels(const Kernels<T>& kernels, const char* isa) {
  for (const Index n : kSizes) {
    for (const double forbidden : {0.0, 0.3, 1.0}) {
      const std::vector<T> c = random_costs<T>(n, forbidden);
      const std::vector<double> g = random_potentials(n);

      double least = kInfinity;
      for (Index j = 0; j < n; ++j) least = std::min(least, c[j] - g[j]);
      CHECK(kernels.min_reduced(c.data(), g.data(), n) == least, "%s n=%d", isa, static_cast<int>(n));

      for (const double threshold : {-kInfinity, least, least + 1e-9, -5.0, 0.0, kInfinity}) {
        std::vector<Node> expected;
        for (Index j = 0; j < n; ++j) {
          if (c[j] - g[j] < threshold) expected.push_back(static_cast<Node>(j));
        }
        std::vector<Node> below(static_cast<std::size_t>(n));
        const Index count = kernels.find_below(c.data(), g.data(), n, threshold, below.data());
        below.resize(static_cast<std::size_t>(count));
        CHECK(below == expected, "%s n=%d threshold=%g", isa, static_cast<int>(n), threshold);
      }

      std::vector<double> best = random_potentials(n);
      if (n > 0) best[0] = kInfinity;
      std::vector<double> expected = best;
      for (Index j = 0; j < n; ++j) expected[j] = std::min(expected[j], static_cast<double>(c[j]) - 0.375);
      kernels.lower_columns(c.data(), 0.375, best.data(), n);
      CHECK(best == expected, "%s n=%d", isa, static_cast<int>(n));
    }
  }
}

/// Blocks of tables, whose rows are padded with +inf to whole vectors.
void test_min_reduced_rows(const Kernels<double>& kernels, const char* isa) {
  constexpr Index kPad = otfast::isa::kOverread<double>;
  for (const Index cols : kSizes) {
    for (const Index rows : {Index{1}, Index{2}, Index{5}}) {
      for (const double forbidden : {0.0, 0.5, 1.0}) {
        const Index stride = (cols + kPad - 1) / kPad * kPad;
        std::vector<double> table, g = random_potentials(cols);
        const std::vector<double> y = random_potentials(rows);
        for (Index i = 0; i < rows; ++i) {
          const std::vector<double> row = random_costs<double>(cols, forbidden);
          table.insert(table.end(), row.begin(), row.end());
          table.resize((i + 1) * stride, kInfinity);
        }
        g.resize(stride, 0.0);
        double least = kInfinity;
        Index first = 0;
        for (Index k = 0; k < rows * stride; ++k) {
          const double reduced = table[k] - g[k % stride] + y[k / stride];
          if (reduced < least) {
            least = reduced;
            first = k;
          }
        }
        Index place = -1;
        const double found = kernels.min_reduced_rows(table.data(), stride, y.data(), g.data(), rows, cols, &place);
        CHECK(found == least && place == first, "%s %dx%d", isa, static_cast<int>(rows), static_cast<int>(cols));
      }
    }
  }
}

/// Rows of tables: padded with +inf to whole vectors.
void test_reduce_row(const Kernels<double>& kernels, const char* isa) {
  for (const Index n : kSizes) {
    for (const double forbidden : {0.0, 0.3, 1.0}) {
      if (n == 0) continue;
      const Index padded =
          (n + otfast::isa::kOverread<double> - 1) / otfast::isa::kOverread<double> * otfast::isa::kOverread<double>;
      std::vector<double> c = random_costs<double>(n, forbidden);
      std::vector<double> g = random_potentials(n);
      c.resize(padded, kInfinity);
      g.resize(padded, 0.0);
      std::vector<double> sorted;
      for (Index j = 0; j < padded; ++j) sorted.push_back(c[j] - g[j]);
      const auto first = std::min_element(sorted.begin(), sorted.end()) - sorted.begin();
      std::vector<double> expected = sorted;
      std::sort(sorted.begin(), sorted.end());
      const auto infinite = std::count(sorted.begin(), sorted.end(), kInfinity);
      if (sorted[0] < kInfinity) {
        for (double& value : expected) value -= sorted[0];
      }
      const auto found = kernels.reduce_row(c.data(), g.data(), padded);
      CHECK(c == expected, "%s n=%d", isa, static_cast<int>(n));
      CHECK(found.least == sorted[0] && found.argmin == first, "%s n=%d", isa, static_cast<int>(n));
      CHECK(found.second == sorted[1], "%s n=%d", isa, static_cast<int>(n));
      CHECK(found.infinite == infinite, "%s n=%d", isa, static_cast<int>(n));
      if (infinite < padded) {
        CHECK(found.largest == sorted[padded - infinite - 1] - sorted[0], "%s n=%d", isa, static_cast<int>(n));
      }
    }
  }
}

/// The Sinkhorn start of small problems: single precision, and powers to four digits.
void test_scaling(const Kernels<double>& kernels, const char* isa) {
  const auto is_near = [](double value, double expected) { return std::abs(value - expected) <= 1e-4 * expected; };
  for (const Index rows : {Index{1}, Index{3}, Index{4}, Index{9}}) {
    for (const Index cols : {Index{1}, Index{15}, Index{16}, Index{33}}) {
      constexpr Index kPad = otfast::isa::kOverread<float>;
      const Index stride = (cols + kPad - 1) / kPad * kPad;
      const double epsilon = 0.25;
      std::vector<double> costs(rows * stride, kInfinity), f(rows), g(stride, 0.0);
      std::vector<float> a(rows), b(stride, 0.0F), u(rows), v(stride, 0.0F), sums(stride), kernel(rows * stride);
      for (Index i = 0; i < rows; ++i) {
        f[i] = uniform(-0.2, 0.2);
        a[i] = static_cast<float>(uniform(0.1, 1.0));
        for (Index j = 0; j < cols; ++j) costs[i * stride + j] = uniform(0.0, 4.0);
      }
      costs[0] = 1e6;
      for (Index j = 0; j < cols; ++j) {
        g[j] = uniform(-0.2, 0.2);
        b[j] = static_cast<float>(uniform(0.1, 1.0));
        v[j] = 1.0F;
      }
      kernels.exponentiate(costs.data(), stride, f.data(), g.data(), 1.0 / epsilon, rows, kernel.data());
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < stride; ++j) {
          const double expected = std::max(std::exp((f[i] + g[j] - costs[i * stride + j]) / epsilon), 0x1p-120);
          CHECK(is_near(kernel[i * stride + j], expected), "%s %d %d", isa, static_cast<int>(i), static_cast<int>(j));
        }
      }

      kernel[0] = 0.5F;  // else single precision would not hold what follows
      std::vector<double> all_u(rows), all_v(v.begin(), v.end());
      for (const bool over : {false, true, true, false}) {
        const auto power = [over](double next, double now) { return over ? next * std::sqrt(next / now) : next; };
        kernels.scale_once(kernel.data(), stride, a.data(), b.data(), rows, over, u.data(), v.data(), sums.data());
        for (Index i = 0; i < rows; ++i) {
          double sum = 0.0;
          for (Index j = 0; j < cols; ++j) sum += static_cast<double>(kernel[i * stride + j]) * all_v[j];
          all_u[i] = power(a[i] / sum, all_u[i]);
          CHECK(is_near(u[i], all_u[i]), "%s u %d: %g, not %g", isa, static_cast<int>(i), u[i], all_u[i]);
        }
        for (Index j = 0; j < cols; ++j) {
          double sum = 0.0;
          for (Index i = 0; i < rows; ++i) sum += static_cast<double>(kernel[i * stride + j]) * all_u[i];
          all_v[j] = power(b[j] / sum, all_v[j]);
          CHECK(is_near(v[j], all_v[j]), "%s v %d: %g, not %g", isa, static_cast<int>(j), v[j], all_v[j]);
        }
        CHECK(std::all_of(v.begin() + cols, v.end(), [](float value) { return value == 0.0F; }), "%s", isa);
      }

      const std::vector<float> before = kernel;
      kernels.sharpen(u.data(), v.data(), stride, rows, kernel.data());
      for (Index i = 0; i < rows; ++i) {
        for (Index j = 0; j < stride; ++j) {
          const double entry = static_cast<double>(u[i]) * before[i * stride + j] * v[j];
          const double expected = std::pow(std::clamp(entry, 0x1p-30, 0x1p30), 4);
          CHECK(is_near(kernel[i * stride + j], expected), "%s %d %d", isa, static_cast<int>(i), static_cast<int>(j));
        }
      }
    }
  }
}

template <class T>
void test_summary(const Kernels<T>& kernels, const char* isa) {
  for (const Index n : kSizes) {
    for (const double forbidden : {0.0, 0.3, 1.0}) {
      std::vector<T> c = random_costs<T>(n, forbidden);
      double min = kInfinity;
      double max = -kInfinity;
      double sum = 0.0;
      Index infinite = 0;
      for (const double value : c) {
        min = std::min(min, value);
        if (value == kInfinity) {
          ++infinite;
        } else {
          max = std::max(max, value);
          sum += value;  // quarters: exact
        }
      }
      const auto summary = kernels.summarize(c.data(), n);
      CHECK(summary.min == min && summary.max == max, "%s n=%d", isa, static_cast<int>(n));
      CHECK(summary.sum == sum && summary.infinite == infinite, "%s n=%d", isa, static_cast<int>(n));
      CHECK(summary.first_bad == -1);

      for (const double bad : {std::numeric_limits<double>::quiet_NaN(), -kInfinity}) {
        if (n == 0) continue;
        const auto at = static_cast<Index>(generator() % static_cast<std::uint64_t>(n));
        std::vector<T> spoilt = c;
        spoilt[at] = static_cast<T>(bad);
        spoilt[n - 1] = static_cast<T>(bad);
        CHECK(kernels.summarize(spoilt.data(), n).first_bad == at, "%s n=%d", isa, static_cast<int>(n));
      }
    }
  }
}

/// Points y by coordinate, as the kernels want them.
template <class T>
struct Cloud {
  Cloud(Index n, Index dimension)
      : stride(n + 3), dim(dimension), data(static_cast<std::size_t>(stride * dim + otfast::isa::kOverread<T>)) {
    for (T& value : data) value = static_cast<T>(uniform(-2.0, 2.0));
  }
  Coordinates<T> from(Index j) const { return {data.data() + j, stride, dim}; }
  double operator()(Index j, Index k) const { return data[static_cast<std::size_t>(k * stride + j)]; }

  Index stride;
  Index dim;
  std::vector<T> data;
};

template <class T>
void test_point_kernels(const Kernels<T>& kernels, const char* isa) {
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const Index n : kSizes) {
    for (const Index dim : {1, 2, 3, 5, 16, 70}) {
      const Cloud<T> y(n, dim);
      std::vector<T> x(static_cast<std::size_t>(dim));
      for (T& value : x) value = static_cast<T>(uniform(-2.0, 2.0));

      /// `run(from, size, out)` calls a kernel; `term` and `finish` are what it should compute.
      const auto compare = [&](const char* what, const auto& run, const auto& term, const auto& finish) {
        std::vector<T> out(static_cast<std::size_t>(n + 1), T{-7});
        run(Index{0}, n, out.data());
        CHECK(out[static_cast<std::size_t>(n)] == T{-7}, "%s %s writes past the end", isa, what);
        for (Index j = 0; j < n; ++j) {
          double fold = 0.0;
          double size = 0.0;
          for (Index k = 0; k < dim; ++k) {
            fold = term(fold, static_cast<double>(x[static_cast<std::size_t>(k)]), y(j, k), k);
            size += 16.0;  // of the largest term
          }
          const double expected = finish(fold);
          const double got = out[static_cast<std::size_t>(j)];
          CHECK(std::abs(got - expected) <= 4.0 * eps * (size + std::abs(expected)), "%s %s n=%d dim=%d: %g, not %g",
                isa, what, static_cast<int>(n), static_cast<int>(dim), got, expected);
        }
        // The same bits wherever the point stands in the call.
        for (Index j = 0; j < n; j += 13) {
          T alone{};
          run(j, Index{1}, &alone);
          CHECK(alone == out[static_cast<std::size_t>(j)], "%s %s n=%d dim=%d j=%d", isa, what, static_cast<int>(n),
                static_cast<int>(dim), static_cast<int>(j));
        }
      };
      const auto keep = [](double fold) { return fold; };

      for (const Index negative : {Index{0}, Index{1}, dim}) {
        compare(
            "sum_squares",
            [&](Index j, Index size, T* out) { kernels.sum_squares(x.data(), y.from(j), negative, size, out); },
            [&](double sum, double a, double b, Index k) {
              return sum + (k < dim - negative ? 1 : -1) * (a - b) * (a - b);
            },
            keep);
      }
      compare(
          "sum_absolute", [&](Index j, Index size, T* out) { kernels.sum_absolute(x.data(), y.from(j), size, out); },
          [](double sum, double a, double b, Index) { return sum + std::abs(a - b); }, keep);
      compare(
          "max_absolute", [&](Index j, Index size, T* out) { kernels.max_absolute(x.data(), y.from(j), size, out); },
          [](double max, double a, double b, Index) { return std::max(max, std::abs(a - b)); }, keep);
      compare(
          "offset_minus_dot",
          [&](Index j, Index size, T* out) { kernels.offset_minus_dot(x.data(), y.from(j), T{3}, size, out); },
          [](double sum, double a, double b, Index) { return sum - a * b; }, [](double sum) { return 3.0 + sum; });
      for (const double p : {0.7, 1.5, 2.0}) {
        compare(
            "sum_powers", [&](Index j, Index size, T* out) { kernels.sum_powers(x.data(), y.from(j), p, size, out); },
            [p](double sum, double a, double b, Index) { return sum + std::pow(std::abs(a - b), p); }, keep);
        compare(
            "norm", [&](Index j, Index size, T* out) { kernels.norm(x.data(), y.from(j), p, size, out); },
            [p](double sum, double a, double b, Index) { return sum + std::pow(std::abs(a - b), p); },
            [p](double sum) { return std::pow(sum, 1.0 / p); });
      }
    }
  }
}

/// Powers of tiny and huge distances leave the range of T; the norm does not.
template <class T>
void test_norm_range(const Kernels<T>& kernels, const char* isa) {
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const double size : {1e-30, 1e-5, 1e30}) {
    std::vector<T> y(static_cast<std::size_t>(2 + otfast::isa::kOverread<T>), T{0});
    const T x[] = {static_cast<T>(3.0 * size), static_cast<T>(-4.0 * size)};
    T out{};
    kernels.norm(x, {y.data(), 1, 2}, 20.0, 1, &out);
    const double expected = 4.0 * size * std::pow(1.0 + std::pow(0.75, 20.0), 0.05);
    CHECK(std::abs(static_cast<double>(out) - expected) <= 8.0 * eps * expected, "%s: %g, not %g", isa,
          static_cast<double>(out), expected);
    y[0] = x[0];
    y[1] = x[1];
    kernels.norm(x, {y.data(), 1, 2}, 20.0, 1, &out);
    CHECK(out == T{0}, "%s", isa);
  }
}

template <class T>
void test_raise(const Kernels<T>& kernels, const char* isa) {
  const double eps = static_cast<double>(std::numeric_limits<T>::epsilon());
  for (const Index n : kSizes) {
    for (const double exponent : {0.25, 0.3, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.75, 3.0, 3.1, 4.0, 4.25, 9.0}) {
      std::vector<T> values(static_cast<std::size_t>(n));
      for (T& value : values) value = static_cast<T>(uniform(0.0, 10.0));
      if (n > 0) values[0] = T{0};
      std::vector<T> raised = values;
      kernels.raise(raised.data(), exponent, T{3}, n);
      for (std::size_t j = 0; j < values.size(); ++j) {
        const double expected = 3.0 * std::pow(static_cast<double>(values[j]), exponent);
        CHECK(std::abs(static_cast<double>(raised[j]) - expected) <= 8.0 * eps * expected, "%s exponent=%g: %g, not %g",
              isa, exponent, static_cast<double>(raised[j]), expected);
      }
    }
  }
}

/// C += A B for blocks of every kind, with factors stored either way.
template <class T>
void test_multiply(const Kernels<T>& kernels, const char* isa) {
  std::vector<T> scratch(static_cast<std::size_t>(otfast::isa::kProductScratch));
  for (const Index rows : {1, 3, 24, 97, 130}) {
    for (const Index cols : {1, 5, 8, 101}) {
      for (const Index depth : {1, 2, 64, 300}) {
        std::vector<T> a(static_cast<std::size_t>(rows * depth)), b(static_cast<std::size_t>(depth * cols));
        for (T& value : a) value = static_cast<T>(std::floor(uniform(-4.0, 4.0)));
        for (T& value : b) value = static_cast<T>(std::floor(uniform(-4.0, 4.0)));
        for (const bool transposed : {false, true}) {
          for (const bool triangle : {false, true}) {
            std::vector<T> c(static_cast<std::size_t>(rows * cols), T{1});
            const otfast::isa::Strided<T> left{a.data(), transposed ? depth : 1, transposed ? 1 : rows};
            const otfast::isa::Strided<T> right{b.data(), transposed ? cols : 1, transposed ? 1 : depth};
            kernels.multiply(left, right, rows, cols, depth, triangle, c.data(), rows, scratch.data());
            bool right_sums = true;
            for (Index j = 0; j < cols; ++j) {
              for (Index i = triangle ? j : 0; i < rows; ++i) {
                T sum{1};
                for (Index p = 0; p < depth; ++p) {
                  sum += left.data[i * left.row_step + p * left.col_step] *
                         right.data[p * right.row_step + j * right.col_step];
                }
                right_sums = right_sums && c[static_cast<std::size_t>(j * rows + i)] == sum;
              }
            }
            CHECK(right_sums, "%s %d x %d x %d", isa, static_cast<int>(rows), static_cast<int>(depth),
                  static_cast<int>(cols));
          }
        }
      }
    }
  }
}

template <class T>
void test_products(const Kernels<T>& kernels, const char* isa) {
  const double accuracy = sizeof(T) == sizeof(float) ? 1e-5 : 1e-13;
  for (const Index rows : {1, 3, 5, 6, 8, 13, 70}) {
    for (const Index cols : {1, 7, 64, 600}) {
      for (const Index functions : {1, 2, 3, 4, 7, 10}) {
        const Index room = otfast::isa::padded<T>(cols);
        std::vector<T> a(static_cast<std::size_t>(rows * room)), x(static_cast<std::size_t>(functions * room));
        std::vector<T> u(static_cast<std::size_t>(functions * rows));
        for (Index j = 0; j < cols; ++j) {
          for (Index r = 0; r < rows; ++r) a[r * room + j] = static_cast<T>(uniform(0.0, 1.0));
          for (Index f = 0; f < functions; ++f) x[f * room + j] = static_cast<T>(uniform(0.0, 1.0));
        }
        for (T& value : u) value = static_cast<T>(uniform(0.0, 1.0));
        std::vector<T> out(u.size()), sums(x.size(), T{1});
        kernels.multiply_functions(a.data(), room, x.data(), room, rows, cols, functions, out.data(), rows);
        kernels.add_transposed(a.data(), room, u.data(), rows, rows, cols, functions, sums.data(), room);
        double worst = 0.0;
        for (Index f = 0; f < functions; ++f) {
          for (Index r = 0; r < rows; ++r) {
            double sum = 0.0;
            for (Index j = 0; j < cols; ++j) sum += static_cast<double>(a[r * room + j]) * x[f * room + j];
            worst = std::max(worst, std::abs(out[f * rows + r] / sum - 1.0));
          }
          for (Index j = 0; j < cols; ++j) {
            double sum = 1.0;
            for (Index r = 0; r < rows; ++r) sum += static_cast<double>(u[f * rows + r]) * a[r * room + j];
            worst = std::max(worst, std::abs(sums[f * room + j] / sum - 1.0));
          }
        }
        CHECK(worst <= accuracy, "%s %d x %d x %d: %g", isa, static_cast<int>(rows), static_cast<int>(cols),
              static_cast<int>(functions), worst);
      }
    }
  }
}

/// Kernels and lines that range over hundreds of powers of two: what is left out must not be seen in any sum.
template <class T>
void test_axis_products(const Kernels<T>& kernels, const char* isa) {
  const double accuracy = sizeof(T) == sizeof(float) ? 1e-5 : 1e-13;
  const double range = sizeof(T) == sizeof(float) ? 60.0 : 400.0;
  constexpr Index kBlock = otfast::isa::kAxisBlock;
  for (const Index n : {1, 5, 16, 23, 64, 130}) {
    const Index blocks = (n + kBlock - 1) / kBlock;
    std::vector<T> kernel(static_cast<std::size_t>(n * n)), maxima(static_cast<std::size_t>(blocks * blocks));
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) {
        const double apart = static_cast<double>(i - j) / static_cast<double>(n);
        kernel[i * n + j] = static_cast<T>(std::exp2(-range * apart * apart));
        T& largest = maxima[i / kBlock * blocks + j / kBlock];
        largest = std::max(largest, kernel[i * n + j]);
      }
    }
    for (const Index lines : {1, 3, 8, 20, 64}) {
      std::vector<T> in(static_cast<std::size_t>(n * lines)), out(in.size());
      for (T& value : in) value = uniform(0.0, 1.0) < 0.1 ? T{0} : static_cast<T>(std::exp2(uniform(-range, 0.0)));
      otfast::AlignedVector<T> scratch(static_cast<std::size_t>(otfast::isa::axis_scratch<T>(n)));
      for (const bool are_rows : {false, true}) {
        const Index across = are_rows ? n : 1, along = are_rows ? 1 : lines;
        kernels.multiply_axis(kernel.data(), maxima.data(), n, in.data(), along, lines, scratch.data(), out.data());
        double worst = 0.0;
        for (Index q = 0; q < lines; ++q) {
          for (Index i = 0; i < n; ++i) {
            double sum = 0.0;
            for (Index j = 0; j < n; ++j) {
              sum += static_cast<double>(kernel[i * n + j]) * static_cast<double>(in[q * across + j * along]);
            }
            const double difference = std::abs(out[q * across + i * along] - sum);
            if (difference > 0.0) worst = std::max(worst, difference / sum);
          }
        }
        CHECK(worst <= accuracy, "%s n=%d lines=%d: %g", isa, static_cast<int>(n), static_cast<int>(lines), worst);
      }
    }
  }
}

template <class T>
void test_elementwise(const Kernels<T>& kernels, const char* isa) {
  const double accuracy = sizeof(T) == sizeof(float) ? 3e-7 : 1e-15;
  for (const Index n : kSizes) {
    if (n == 0) continue;
    std::vector<T> x(static_cast<std::size_t>(n)), y(x.size()), out(x.size());
    for (T& value : x) value = static_cast<T>(std::exp2(uniform(-100.0, 100.0)));
    for (T& value : y) value = static_cast<T>(uniform(0.5, 2.0));
    x[0] = T{0};
    kernels.logarithms(x.data(), n, out.data());
    CHECK(out[0] == -kInfinity, "%s", isa);
    double worst = 0.0;
    for (Index j = 1; j < n; ++j) {
      const double exact = std::log2(static_cast<double>(x[j]));
      worst = std::max(worst, std::abs(out[j] - exact) / std::max(1.0, std::abs(exact)));
    }
    CHECK(worst <= accuracy, "%s log2 n=%d: %g", isa, static_cast<int>(n), worst);
    const auto [least, largest] = kernels.divide(x.data(), y.data(), n, out.data());
    CHECK(least == *std::min_element(y.begin(), y.end()), "%s", isa);
    CHECK(largest == *std::max_element(out.begin(), out.end()), "%s", isa);
    for (Index j = 0; j < n; ++j) {
      const T exact = x[j] / y[j];
      CHECK(std::abs(out[j] - exact) <= std::numeric_limits<T>::epsilon() * exact, "%s", isa);
    }
  }
}

template <class T>
void test_isa(Isa isa, const char* name) {
  const Kernels<T>* kernels = otfast::isa::kernels_of<T>(isa);
  if (kernels == nullptr) return;
  test_row_kernels(*kernels, name);
  if constexpr (std::is_same_v<T, double>) {  // made for tables, which are of doubles
    test_min_reduced_rows(*kernels, name);
    test_reduce_row(*kernels, name);
    test_scaling(*kernels, name);
  }
  test_summary(*kernels, name);
  test_point_kernels(*kernels, name);
  test_norm_range(*kernels, name);
  test_raise(*kernels, name);
  test_products(*kernels, name);
  test_axis_products(*kernels, name);
  test_elementwise(*kernels, name);
  test_multiply(*kernels, name);
}

}  // namespace

int main() {
  CHECK(otfast::isa::kernels_of<double>(Isa::base) != nullptr);
  test_isa<float>(Isa::base, "base float");
  test_isa<double>(Isa::base, "base double");
  test_isa<float>(Isa::v3, "v3 float");
  test_isa<double>(Isa::v3, "v3 double");
  test_isa<float>(Isa::v4, "v4 float");
  test_isa<double>(Isa::v4, "v4 double");
  return otfast::test::report();
}
