#include "otfast/barycenter/barrier.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "otfast/core/threads.hpp"

namespace otfast::barycenter {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Sums over columns and over everything, of the rows of one chunk.
struct Partial {
  std::vector<double> first, second;
  double least = kInfinity;
  double most = -kInfinity;
  double linear = 0.0;
  double quadratic = 0.0;
};

/// Calls body(i, partial) for every row, and adds up what the chunks found in their order: they are cut by size, so
/// sums do not depend on the number of threads.
template <class Body>
Partial over_rows(Index rows, Index cols, Index sums, const Body& body) {
  constexpr Index kPairs = Index{1} << 16;  // worth a thread
  const Index grain = std::max<Index>(kPairs / cols + 1, rows / 16 + 1);
  const auto width = static_cast<std::size_t>(sums > 0 ? cols : 0);
  std::vector<Partial> partials(static_cast<std::size_t>((rows + grain - 1) / grain));
  parallel_for(rows, grain, [&](Index begin, Index end) {
    Partial partial;
    partial.first.assign(width, 0.0);
    partial.second.assign(width, 0.0);
    for (Index i = begin; i < end; ++i) body(i, partial);
    partials[static_cast<std::size_t>(begin / grain)] = std::move(partial);
  });
  Partial total = std::move(partials.front());
  for (std::size_t chunk = 1; chunk < partials.size(); ++chunk) {
    const Partial& part = partials[chunk];
    for (std::size_t j = 0; j < width; ++j) {
      total.first[j] += part.first[j];
      total.second[j] += part.second[j];
    }
    total.least = std::min(total.least, part.least);
    total.most = std::max(total.most, part.most);
    total.linear += part.linear;
    total.quadratic += part.quadratic;
  }
  return total;
}

}  // namespace

Scaling scale_pairs(const PrimalDual& pairs, MatrixView<double> scaled) {
  const Index n = pairs.plan.rows, m = pairs.plan.cols;
  Scaling out;
  out.rows.resize(static_cast<std::size_t>(n));
  out.plan_rows.resize(static_cast<std::size_t>(n));
  Partial sums = over_rows(n, m, 2, [&](Index i, Partial& partial) {
    const double* x = pairs.plan.row(i);
    const double* s = pairs.slack.row(i);
    double* d = scaled.row(i);
    double* cols = partial.first.data();
    double* plan_cols = partial.second.data();
    double row = 0.0, plan_row = 0.0, product = 0.0;
    for (Index j = 0; j < m; ++j) {
      d[j] = x[j] / s[j];
      cols[j] += d[j];
      plan_cols[j] += x[j];
      row += d[j];
      plan_row += x[j];
      product += x[j] * s[j];
    }
    const double factor = 1.0 / std::sqrt(row);
    for (Index j = 0; j < m; ++j) d[j] *= factor;
    out.rows[static_cast<std::size_t>(i)] = row;
    out.plan_rows[static_cast<std::size_t>(i)] = plan_row;
    partial.linear += product;
  });
  out.cols = std::move(sums.first);
  out.plan_cols = std::move(sums.second);
  out.complementarity = sums.linear;
  return out;
}

Prediction predict(const PrimalDual& pairs, const Direction& affine) {
  const Index n = pairs.plan.rows, m = pairs.plan.cols;
  Prediction out;
  out.inverse_rows.resize(static_cast<std::size_t>(n));
  out.second_rows.resize(static_cast<std::size_t>(n));
  Partial sums = over_rows(n, m, 2, [&](Index i, Partial& partial) {
    const double* x = pairs.plan.row(i);
    const double* s = pairs.slack.row(i);
    const double* dg = affine.g.data;
    const double df = affine.f[i];
    double* inverse_cols = partial.first.data();
    double* second_cols = partial.second.data();
    double least = partial.least, most = partial.most;
    double inverse_row = 0.0, second_row = 0.0, linear = 0.0, quadratic = 0.0;
    for (Index j = 0; j < m; ++j) {
      const double inverse = 1.0 / s[j];
      const double change = df + dg[j];
      const double t = change * inverse;
      const double moved = x[j] * change;
      const double second = x[j] * t * (t - 1.0);
      least = std::min(least, t);
      most = std::max(most, t);
      linear += moved;
      quadratic += moved * t;
      inverse_row += inverse;
      inverse_cols[j] += inverse;
      second_row += second;
      second_cols[j] += second;
    }
    partial.least = least;
    partial.most = most;
    partial.linear += linear;
    partial.quadratic += quadratic;
    out.inverse_rows[static_cast<std::size_t>(i)] = inverse_row;
    out.second_rows[static_cast<std::size_t>(i)] = second_row;
  });
  out.least = sums.least;
  out.most = sums.most;
  out.linear = sums.linear;
  out.quadratic = sums.quadratic;
  out.inverse_cols = std::move(sums.first);
  out.second_cols = std::move(sums.second);
  return out;
}

namespace {

/// Calls body(j, change of X_ij, u_ij) along row i.
template <class Body>
void along_row(const PrimalDual& pairs, const Correction& correction, Index i, const Body& body) {
  const double* x = pairs.plan.row(i);
  const double* s = pairs.slack.row(i);
  const double* dg = correction.affine.g.data;
  const double* eg = correction.full.g.data;
  const double df = correction.affine.f[i], ef = correction.full.f[i];
  for (Index j = 0; j < pairs.plan.cols; ++j) {
    const double inverse = 1.0 / s[j];
    const double t = (df + dg[j]) * inverse;
    const double u = (ef + eg[j]) * inverse;
    body(j, correction.target * inverse + x[j] * (t * (t - 1.0) - 1.0 + u), u);
  }
}

}  // namespace

Extremes find_extremes(const PrimalDual& pairs, const Correction& correction) {
  const Partial sums = over_rows(pairs.plan.rows, pairs.plan.cols, 0, [&](Index i, Partial& partial) {
    const double* x = pairs.plan.row(i);
    double least = partial.least, most = partial.most;
    along_row(pairs, correction, i, [&](Index j, double change, double u) {
      least = std::min(least, change / x[j]);
      most = std::max(most, u);
    });
    partial.least = least;
    partial.most = most;
  });
  return {sums.least, sums.most};
}

void take_step(const PrimalDual& pairs, const Correction& correction, double plan_step, double slack_step) {
  over_rows(pairs.plan.rows, pairs.plan.cols, 0, [&](Index i, Partial&) {
    double* x = pairs.plan.row(i);
    double* s = pairs.slack.row(i);
    along_row(pairs, correction, i, [&](Index j, double change, double u) {
      x[j] += plan_step * change;
      s[j] *= 1.0 - slack_step * u;
    });
  });
}

}  // namespace otfast::barycenter
