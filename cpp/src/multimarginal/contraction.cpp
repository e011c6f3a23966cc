#include "otfast/multimarginal/contraction.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "isa/kernels.hpp"
#include "otfast/core/aligned.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/core/pulse.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/math/base2.hpp"

namespace otfast::multimarginal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Index kRun = 4096;  // the longest row that the kernels take

const isa::Kernels<double>& kernels() { return isa::kernels<double>(); }

/// The matrix (a, x) of all tables that depend on `a`, or on nothing but x, for fixed further points.
struct Sum {
  std::vector<const double*> rows;  ///< of the first `a`
  std::vector<Index> steps;         ///< from one row to the next; 0 if the table does not depend on `a`

  /// out[x] = the sum of row a.
  void fill(Index a, Index size, double* out) const {
    std::fill_n(out, size, 0.0);
    for (std::size_t t = 0; t < rows.size(); ++t) {
      const double* row = rows[t] + a * steps[t];
      for (Index x = 0; x < size; ++x) out[x] += row[x];
    }
  }
};

/// One elimination: where the tables stand for every tuple of the points that stay.
class Elimination {
 public:
  Elimination(const std::vector<Table>& tables, const std::vector<Index>& shape, Index size, double epsilon)
      : tables_(tables), size_(size), scale_(kLog2E / epsilon), shape_(shape) {
    while (shape_.size() < 2) shape_.insert(shape_.begin(), 1);
    for (Table& table : tables_) {
      while (table.shape.size() < 2) table.shape.insert(table.shape.begin(), 1);
      std::vector<Index> strides(table.shape.size());
      Index stride = size;
      for (std::size_t axis = table.shape.size(); axis-- > 0;) {
        strides[axis] = table.shape[axis] == 1 ? 0 : stride;
        stride *= table.shape[axis];
      }
      strides_.push_back(std::move(strides));
    }
    a_count_ = shape_[shape_.size() - 2];
    b_count_ = shape_.back();
    for (std::size_t axis = 0; axis + 2 < shape_.size(); ++axis) outer_count_ *= shape_[axis];
  }

  Index outer_count() const { return outer_count_; }
  Index a_count() const { return a_count_; }
  Index b_count() const { return b_count_; }
  Index size() const { return size_; }
  double scale() const { return scale_; }

  bool is_product() const {
    constexpr Index kWorthwhile = 8;
    if (std::min({a_count_, b_count_, size_}) < kWorthwhile || size_ > kRun) return false;
    return std::none_of(strides_.begin(), strides_.end(),
                        [](const auto& strides) { return strides[strides.size() - 2] != 0 && strides.back() != 0; });
  }

  /// The tables that do not depend on b, and those that do, as matrices over a and over b. `a` is fixed for the latter.
  Sum of_a(Index outer) const { return gather(outer, 0, false); }
  Sum of_b(Index outer, Index a) const { return gather(outer, a, true); }

 private:
  Sum gather(Index outer, Index a, bool with_b) const {
    Sum sum;
    for (std::size_t t = 0; t < tables_.size(); ++t) {
      const std::vector<Index>& strides = strides_[t];
      const Index a_step = strides[strides.size() - 2], b_step = strides.back();
      if ((b_step != 0) != with_b) continue;
      Index offset = with_b ? a * a_step : 0, rest = outer;
      for (std::size_t axis = shape_.size() - 2; axis-- > 0;) {
        offset += rest % shape_[axis] * strides[axis];
        rest /= shape_[axis];
      }
      sum.rows.push_back(tables_[t].data + offset);
      sum.steps.push_back(with_b ? b_step : a_step);
    }
    return sum;
  }

  std::vector<Table> tables_;
  std::vector<std::vector<Index>> strides_;
  Index size_;
  double scale_;
  std::vector<Index> shape_;
  Index a_count_ = 1, b_count_ = 1, outer_count_ = 1;
};

/// -log2 sum_x 2^(v_x - scale c_x), v and c of `size` entries.
double softmin(const double* c, double scale, const double* v, Index size, double* e) {
  const double top = kernels().max_exponent(c, scale, v, size);
  if (!(top > -kInfinity)) return kInfinity;
  double sum = 0.0;
  for (Index x = 0; x < size; x += kRun) {
    sum += kernels().exponentials(c + x, scale, v + x, -top, std::min(kRun, size - x), e);
  }
  // The largest term is 1: a smaller sum has lost it to rounding.
  return -top - std::log2(std::max(sum, 1.0));
}

/// The rows of a matrix of costs as 2^(top - scale c), and the least costs `scale c` of each, +inf for none.
struct Powers {
  Powers(const Sum& sum, Index count, const Elimination& problem)
      : size(problem.size()),
        entries(static_cast<std::size_t>(count * problem.size())),
        least(static_cast<std::size_t>(count)) {
    AlignedVector<double> row(static_cast<std::size_t>(size)), zero(static_cast<std::size_t>(size), 0.0);
    for (Index i = 0; i < count; ++i) {
      sum.fill(i, size, row.data());
      const double top = kernels().max_exponent(row.data(), problem.scale(), zero.data(), size);
      least[static_cast<std::size_t>(i)] = -top;
      double* e = entries.data() + i * size;
      if (top > -kInfinity) {
        kernels().exponentials(row.data(), problem.scale(), zero.data(), -top, size, e);
      } else {
        std::fill_n(e, size, 0.0);
      }
    }
  }

  Index size;
  AlignedVector<double> entries;
  std::vector<double> least;
};

/// The matrix out(a, b) for fixed further points, as a product of matrices.
void multiply(const Elimination& problem, Index outer, double* out, Pulse& pulse) {
  // A sum below this may have lost terms to the end of the range.
  constexpr double kTrusted = 0x1p-900;
  constexpr Index kTogether = isa::kProductRows;
  const Index size = problem.size(), b_count = problem.b_count();
  const Sum sum_a = problem.of_a(outer), sum_b = problem.of_b(outer, 0);
  const Powers of_a(sum_a, problem.a_count(), problem), of_b(sum_b, b_count, problem);
  parallel_for(problem.a_count(), kTogether, [&](Index begin, Index end) {
    const Index rows = end - begin;
    // Entry (a, b) at b * rows + a - begin.
    AlignedVector<double> dots(static_cast<std::size_t>(rows * b_count), 0.0), logs(dots.size());
    {
      AlignedVector<double> scratch(static_cast<std::size_t>(isa::kProductScratch));
      Index since = 0;
      for (Index b = 0; b < b_count; b += kTogether) {
        const Index cols = std::min(kTogether, b_count - b);
        pulse.beat(rows * cols * size / 16, since);  // as long as a sixteenth of as many exponentials
        const FlushDenormals flush_denormals;
        kernels().multiply({of_a.entries.data() + begin * size, size, 1}, {of_b.entries.data() + b * size, 1, size},
                           rows, cols, size, false, dots.data() + b * rows, rows, scratch.data());
      }
      kernels().logarithms(dots.data(), rows * b_count, logs.data());
    }
    Index since = 0;
    AlignedVector<double> v(static_cast<std::size_t>(size)), c(v), e(v);
    for (Index a = begin; a < end; ++a) {
      pulse.beat(b_count, since);
      const double least_a = of_a.least[static_cast<std::size_t>(a)];
      bool has_v = false;
      for (Index b = 0; b < b_count; ++b) {
        const auto place = static_cast<std::size_t>(b * rows + a - begin);
        const double least_b = of_b.least[static_cast<std::size_t>(b)];
        double& result = out[a * b_count + b];
        if (dots[place] > kTrusted) {
          result = (least_a + least_b - logs[place]) / problem.scale();
          continue;
        }
        const FlushDenormals flush_denormals;
        if (!has_v) {
          sum_a.fill(a, size, v.data());
          for (double& exponent : v) exponent *= -problem.scale();
          has_v = true;
        }
        sum_b.fill(b, size, c.data());
        result = softmin(c.data(), problem.scale(), v.data(), size, e.data()) / problem.scale();
      }
    }
  });
}

/// The same for tables of any kind, in the log domain.
void sum_rows(const Elimination& problem, Index outer, double* out, Pulse& pulse) {
  const Index size = problem.size(), b_count = problem.b_count();
  const Sum sum_a = problem.of_a(outer);
  const Index grain = std::max<Index>(1, (Index{1} << 16) / std::max<Index>(1, b_count * size));
  parallel_for(problem.a_count(), grain, [&](Index begin, Index end) {
    AlignedVector<double> v(static_cast<std::size_t>(size)), c(v), e(static_cast<std::size_t>(std::min(kRun, size)));
    Index since = 0;
    for (Index a = begin; a < end; ++a) {
      const Sum sum_b = problem.of_b(outer, a);
      sum_a.fill(a, size, v.data());
      for (double& exponent : v) exponent *= -problem.scale();
      for (Index b = 0; b < b_count; ++b) {
        pulse.beat(size, since);
        const FlushDenormals flush_denormals;
        sum_b.fill(b, size, c.data());
        out[a * b_count + b] = softmin(c.data(), problem.scale(), v.data(), size, e.data()) / problem.scale();
      }
    }
  });
}

}  // namespace

std::vector<double> sum_out(const std::vector<Table>& tables, const std::vector<Index>& shape, Index size,
                            double epsilon, Monitor& monitor) {
  const Elimination problem(tables, shape, size, epsilon);
  const Index matrix = problem.a_count() * problem.b_count();
  std::vector<double> out(static_cast<std::size_t>(problem.outer_count() * matrix));
  Pulse pulse(monitor);
  for (Index outer = 0; outer < problem.outer_count(); ++outer) {
    double* to = out.data() + outer * matrix;
    problem.is_product() ? multiply(problem, outer, to, pulse) : sum_rows(problem, outer, to, pulse);
  }
  return out;
}

}  // namespace otfast::multimarginal
