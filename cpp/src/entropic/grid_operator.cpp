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

/// Calls body(first, p, i) for lines p before an axis and its coordinates i, where first is the place of (p, i, 0).
/// Threads share the work if there is enough of it.
template <class Body>
void for_lines(Index before, Index length, Index after, Pulse& pulse, const Body& body) {
  constexpr Index kPairs = Index{1} << 18;  // worth a thread
  const Index of_line = length * after;
  parallel_for(before * length, kPairs / of_line + 1, [&](Index begin, Index end) {
    Index since = 0;
    for (Index line = begin; line < end; ++line) {
      pulse.beat(of_line, since);
      const FlushDenormals flush_denormals;
      body(line * after, line / length, line % length);
    }
  });
}

}  // namespace

GridOperator::GridOperator(const AxisCosts& axes, double scale) : scale_(scale) {
  for (const auto& costs : axes) size_ *= costs.rows;
  Index after = 1;
  for (auto costs = axes.rbegin(); costs != axes.rend(); ++costs) {
    Axis axis;
    axis.before = size_ / (costs->rows * after);
    axis.length = costs->rows;
    axis.after = after;
    after *= axis.length;
    axis.cost.resize(static_cast<std::size_t>(axis.length * axis.length));
    axis.kernel.resize(axis.cost.size());
    for (Index i = 0; i < axis.length; ++i) {
      for (Index j = 0; j < axis.length; ++j) {
        const auto at = static_cast<std::size_t>(i * axis.length + j);
        axis.cost[at] = scale * (*costs)(i, j);
        axis.kernel[at] = std::exp2(-axis.cost[at]);
      }
    }
    axes_.push_back(std::move(axis));
  }
}

std::vector<double> GridOperator::softmin(const std::vector<double>& in, Pulse& pulse) {
  const std::vector<double>* from = &in;
  for (Axis& axis : axes_) {
    // The sums over one axis are what the next one sums over.
    axis.in = *from;
    if (from != &in) {
      for (double& value : axis.in) value = -value;
    }
    softmin_along(axis, pulse);
    from = &axis.out;
  }
  return *from;
}

void GridOperator::softmin_along(Axis& axis, Pulse& pulse) const {
  const isa::Kernels<double>& kernels = isa::kernels<double>();
  const Index n = axis.length, after = axis.after;
  axis.out.resize(axis.in.size());
  for_lines(axis.before, n, after, pulse, [&](Index first, Index line, Index i) {
    const double* c = axis.cost.data() + i * n;
    const double* in = axis.in.data() + line * n * after;
    double* out = axis.out.data() + first;
    thread_local AlignedVector<double> e, top, sum;
    if (after == 1) {
      e.resize(static_cast<std::size_t>(n));
      const double largest = kernels.max_exponent(c, 1.0, in, n);
      const double shift = largest > -kInfinity ? -largest : 0.0;
      double total = 0.0;
      for (Index j = 0; j < n; j += 4096) {
        total += kernels.exponentials(c + j, 1.0, in + j, shift, std::min<Index>(4096, n - j), e.data());
      }
      *out = shift - std::log2(total);
      return;
    }
    const auto width = static_cast<std::size_t>(after);
    e.resize(width);
    top.assign(width, -kInfinity);
    sum.assign(width, 0.0);
    for (Index j = 0; j < n; ++j) kernels.raise_columns(in + j * after, -1.0, -c[j], after, top.data());
    for (double& value : top) value = value > -kInfinity ? value : 0.0;
    const double one = 1.0;
    for (Index j = 0; j < n; ++j) {
      for (Index q = 0; q < after; q += 4096) {
        const Index count = std::min<Index>(4096, after - q);
        kernels.exponentials(top.data() + q, 1.0, in + j * after + q, -c[j], count, e.data() + q);
      }
      kernels.add_rows(e.data(), after, &one, 1, after, sum.data());
    }
    for (Index q = 0; q < after; ++q) {
      const auto at = static_cast<std::size_t>(q);
      out[q] = -top[at] - std::log2(sum[at]);
    }
  });
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
  for_lines(axis.before, n, after, pulse, [&](Index first, Index line, Index i) {
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

std::vector<double> GridOperator::multiply(std::vector<double> x, Pulse& pulse) const {
  for (const Axis& axis : axes_) x = multiply_along(axis, x, pulse);
  return x;
}

std::vector<double> GridOperator::multiply_along(const Axis& axis, const std::vector<double>& x, Pulse& pulse) const {
  const isa::Kernels<double>& kernels = isa::kernels<double>();
  const Index n = axis.length, after = axis.after;
  std::vector<double> result(x.size());
  if (after == 1) {
    // The kernel is symmetric: a line of results is a sum of its rows.
    for_lines(axis.before, 1, n, pulse, [&](Index first, Index, Index) {
      kernels.add_rows(axis.kernel.data(), n, x.data() + first, n, n, result.data() + first);
    });
  } else {
    for_lines(axis.before, n, after, pulse, [&](Index first, Index line, Index i) {
      const double* rows = x.data() + line * n * after;
      kernels.add_rows(rows, after, axis.kernel.data() + i * n, n, after, result.data() + first);
    });
  }
  return result;
}

}  // namespace otfast::entropic
