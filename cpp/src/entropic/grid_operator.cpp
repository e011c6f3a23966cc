#include "grid_operator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "isa/kernels.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/core/threads.hpp"

namespace otfast::entropic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What underflow has taken from a sum above this is less than rounding takes.
constexpr double kSafe = 0x1p-960;

/// Calls body(first, p, i) for the lines p of a vector before an axis and its coordinates i, where first is the place
/// of (p, i, 0). Threads share the work if there is enough of it.
template <class Body>
void for_lines(std::size_t size, Index length, Index after, Pulse& pulse, const Body& body) {
  constexpr Index kPairs = Index{1} << 18;  // worth a thread
  const Index of_line = length * after;
  const Index before = static_cast<Index>(size) / of_line;
  parallel_for(before * length, kPairs / of_line + 1, [&](Index begin, Index end) {
    Index since = 0;
    for (Index line = begin; line < end; ++line) {
      pulse.beat(of_line, since);
      const FlushDenormals flush_denormals;
      body(line * after, line / length, line % length);
    }
  });
}

/// -log2 sum_j 2^(in_j - c_j), safe for any exponents; `powers` is scratch.
double softmin_of_line(const double* c, const double* in, Index n, double* powers) {
  constexpr Index kBlock = 32;
  constexpr double kNegligible = -66.0;  // of a block, beside the largest term of all
  const isa::Kernels<double>& kernels = isa::kernels<double>();
  thread_local std::vector<double> tops;
  tops.clear();
  double largest = -kInfinity;
  for (Index j = 0; j < n; j += kBlock) {
    tops.push_back(kernels.max_exponent(c + j, 1.0, in + j, std::min(kBlock, n - j)));
    largest = std::max(largest, tops.back());
  }
  if (largest == -kInfinity) return kInfinity;
  double sum = 0.0;
  for (Index j = 0; j < n; j += kBlock) {
    if (tops[static_cast<std::size_t>(j / kBlock)] - largest < kNegligible) continue;
    sum += kernels.exponentials(c + j, 1.0, in + j, -largest, std::min(kBlock, n - j), powers);
  }
  return -largest - std::log2(sum);
}

}  // namespace

template <class Body>
void GridOperator::for_blocks(std::size_t size, const Axis& axis, Pulse& pulse, const Body& body) {
  constexpr Index kLines = isa::kAxisLines;  // at once: they fit the second cache
  const Index n = axis.length, after = axis.after;
  const Index before = static_cast<Index>(size) / (n * after);
  const Index blocks = (after + kLines - 1) / kLines;
  const auto visit = [&](const Lines& lines) {
    Index since = 0;
    pulse.beat(n * n * lines.count, since);
    const FlushDenormals flush_denormals;
    body(lines);
  };
  if (after == 1) {
    parallel_for(before, kLines, [&](Index begin, Index end) { visit({begin * n, end - begin, n, 1}); });
    return;
  }
  parallel_for(before * blocks, 1, [&](Index begin, Index end) {
    for (Index block = begin; block < end; ++block) {
      const Index first = block % blocks * kLines;
      visit({block / blocks * n * after + first, std::min(kLines, after - first), 1, after});
    }
  });
}

GridOperator::GridOperator(const AxisCosts& axes, double scale) : scale_(scale) {
  Index after = 1;
  for (auto costs = axes.rbegin(); costs != axes.rend(); ++costs) {
    Axis axis;
    axis.length = costs->rows;
    size_ *= axis.length;
    axis.after = after;
    after *= axis.length;
    axis.cost.resize(static_cast<std::size_t>(axis.length * axis.length));
    axis.kernel.resize(axis.cost.size());
    const Index blocks = (axis.length + isa::kAxisBlock - 1) / isa::kAxisBlock;
    axis.block_maxima.assign(static_cast<std::size_t>(blocks * blocks), 0.0);
    const AlignedVector<double> zeros(static_cast<std::size_t>(axis.length));
    for (Index i = 0; i < axis.length; ++i) {
      double* cost = axis.cost.data() + i * axis.length;
      double* kernel = axis.kernel.data() + i * axis.length;
      for (Index j = 0; j < axis.length; ++j) cost[j] = scale * (*costs)(i, j);
      isa::kernels<double>().exponentials(cost, 1.0, zeros.data(), 0.0, axis.length, kernel);
      for (Index j = 0; j < axis.length; ++j) {
        const Index block = i / isa::kAxisBlock * blocks + j / isa::kAxisBlock;
        double& largest = axis.block_maxima[static_cast<std::size_t>(block)];
        largest = std::max(largest, kernel[j]);
      }
    }
    axes_.push_back(std::move(axis));
  }
}

std::vector<double> GridOperator::softmin(std::vector<double> in, Pulse& pulse) {
  for (Axis& axis : axes_) {
    axis.in = std::move(in);
    softmin_along(axis, pulse);
    // The sums over one axis are what the next one sums over.
    in = axis.out;
    if (&axis == &axes_.back()) break;
    for (double& value : in) value = -value;
  }
  return in;
}

void GridOperator::softmin_along(Axis& axis, Pulse& pulse) const {
  axis.out.resize(axis.in.size());
  for_blocks(axis.in.size(), axis, pulse, [&](const Lines& lines) { softmin_of_lines(axis, lines); });
}

void GridOperator::softmin_of_lines(Axis& axis, const Lines& lines) {
  const isa::Kernels<double>& kernels = isa::kernels<double>();
  const Index n = axis.length, count = lines.count;
  const double* in = axis.in.data() + lines.first;
  double* out = axis.out.data() + lines.first;
  thread_local AlignedVector<double> top, powers, sums, logs;
  top.assign(static_cast<std::size_t>(count), -kInfinity);
  powers.resize(static_cast<std::size_t>(n * count));
  sums.resize(powers.size());
  logs.resize(powers.size());

  // Relative to the largest of its line every power of two is in range, and a product sums them all.
  const auto finite = [](double value) { return value > -kInfinity ? value : 0.0; };
  const double* c = axis.cost.data();
  const bool are_rows = lines.along == 1;
  if (are_rows) {
    for (Index q = 0; q < count; ++q) {
      const double* line = in + q * n;
      const double largest = finite(kernels.max_exponent(c, 0.0, line, n));
      kernels.exponentials(c, 0.0, line, -largest, n, powers.data() + q * n);
      top[static_cast<std::size_t>(q)] = largest;
    }
  } else {
    for (Index j = 0; j < n; ++j) kernels.raise_columns(in + j * lines.along, -1.0, 0.0, count, top.data());
    for (double& largest : top) largest = finite(largest);
    for (Index j = 0; j < n; ++j) {
      kernels.exponentials(top.data(), 1.0, in + j * lines.along, 0.0, count, powers.data() + j * count);
    }
  }
  multiply_lines(axis, powers.data(), are_rows ? 1 : count, count, sums.data());
  kernels.logarithms(sums.data(), n * count, logs.data());

  double least = kInfinity;
  const Index rows = are_rows ? count : n, cols = are_rows ? n : count;
  for (Index r = 0; r < rows; ++r) {
    const double* log = logs.data() + r * cols;
    const double* sum = sums.data() + r * cols;
    double* to = out + r * (are_rows ? lines.across : lines.along);
    for (Index k = 0; k < cols; ++k) {
      to[k] = -top[static_cast<std::size_t>(are_rows ? r : k)] - log[k];
      least = std::min(least, sum[k]);
    }
  }
  if (least >= kSafe) return;
  // The others begin anew, term by term.
  for (Index q = 0; q < count; ++q) {
    double* line = powers.data();
    for (Index j = 0; j < n; ++j) line[j] = in[q * lines.across + j * lines.along];
    for (Index i = 0; i < n; ++i) {
      if (sums[static_cast<std::size_t>(are_rows ? q * n + i : i * count + q)] >= kSafe) continue;
      out[q * lines.across + i * lines.along] = softmin_of_line(c + i * n, line, n, logs.data());
    }
  }
}

std::vector<double> GridOperator::average(std::vector<double> x, bool with_cost, Pulse& pulse) const {
  for (const Axis& axis : axes_) x = average_along(axis, x, with_cost, pulse);
  return x;
}

std::vector<double> GridOperator::average_along(const Axis& axis, const std::vector<double>& x, bool with_cost,
                                                Pulse& pulse) const {
  const isa::Kernels<double>& kernels = isa::kernels<double>();
  const Index n = axis.length, after = axis.after;
  std::vector<double> result(x.size());
  for_lines(x.size(), n, after, pulse, [&](Index first, Index line, Index i) {
    const double* c = axis.cost.data() + i * n;
    const double* in = axis.in.data() + line * n * after;
    const double* values = x.data() + line * n * after;
    const double* softmin = axis.out.data() + first;
    double* out = result.data() + first;
    thread_local AlignedVector<double> e;
    e.resize(static_cast<std::size_t>(std::max(n, after)));
    if (after == 1) {
      if (!(*softmin < kInfinity)) return;
      double total = 0.0;
      for (Index j = 0; j < n; j += 4096) {
        const Index count = std::min<Index>(4096, n - j);
        kernels.exponentials(c + j, 1.0, in + j, *softmin, count, e.data() + j);
        for (Index k = j; k < j + count; ++k) {
          total += e[static_cast<std::size_t>(k)] * (with_cost ? values[k] + c[k] / scale_ : values[k]);
        }
      }
      *out = total;
      return;
    }
    for (Index j = 0; j < n; ++j) {
      const double more = with_cost ? c[j] / scale_ : 0.0;
      for (Index q = 0; q < after; q += 4096) {
        const Index count = std::min<Index>(4096, after - q);
        kernels.exponentials(softmin + q, -1.0, in + j * after + q, -c[j], count, e.data() + q);
      }
      const double* row = values + j * after;
      for (Index q = 0; q < after; ++q) out[q] += e[static_cast<std::size_t>(q)] * (row[q] + more);
    }
  });
  return result;
}

std::vector<double> GridOperator::multiply(const std::vector<double>& x, Pulse& pulse) const {
  std::vector<double> out, scratch;
  multiply(x, out, scratch, pulse);
  return out;
}

void GridOperator::multiply(const std::vector<double>& x, std::vector<double>& out, std::vector<double>& scratch,
                            Pulse& pulse) const {
  out.resize(x.size());
  scratch.resize(x.size());
  const std::vector<double>* from = &x;
  for (std::size_t k = 0; k < axes_.size(); ++k) {
    const Axis& axis = axes_[k];
    std::vector<double>& to = (axes_.size() - k) % 2 == 1 ? out : scratch;  // the last one is `out`
    for_blocks(x.size(), axis, pulse, [&](const Lines& lines) {
      multiply_lines(axis, from->data() + lines.first, lines.along, lines.count, to.data() + lines.first);
    });
    from = &to;
  }
}

void GridOperator::multiply_lines(const Axis& axis, const double* in, Index along, Index count, double* out) {
  thread_local AlignedVector<double> scratch;
  scratch.resize(static_cast<std::size_t>(isa::axis_scratch<double>(axis.length)));
  isa::kernels<double>().multiply_axis(axis.kernel.data(), axis.block_maxima.data(), axis.length, in, along, count,
                                       scratch.data(), out);
}

std::vector<double> GridOperator::log_sums(std::vector<double> in, Pulse& pulse) {
  const isa::Kernels<double>& kernels = isa::kernels<double>();
  const auto size = static_cast<std::size_t>(size_);
  const AlignedVector<double> zeros(size);
  std::vector<double> tops, sums(in.size());
  for (std::size_t first = 0; first < in.size(); first += size) {
    const FlushDenormals flush_denormals;
    const double largest = kernels.max_exponent(zeros.data(), 0.0, in.data() + first, size_);
    tops.push_back(largest > -kInfinity ? largest : 0.0);
    kernels.exponentials(zeros.data(), 0.0, in.data() + first, -tops.back(), size_, sums.data() + first);
  }
  sums = multiply(sums, pulse);
  for (std::size_t k = 0; k < tops.size(); ++k) {
    const double* of_k = sums.data() + k * size;
    double* values = in.data() + k * size;
    if (*std::min_element(of_k, of_k + size) < kSafe) {
      const std::vector<double> exact = softmin(std::vector<double>(values, values + size), pulse);
      for (std::size_t i = 0; i < size; ++i) values[i] = -exact[i];
      continue;
    }
    kernels.logarithms(of_k, size_, values);
    for (std::size_t i = 0; i < size; ++i) values[i] += tops[k];
  }
  return in;
}

}  // namespace otfast::entropic
