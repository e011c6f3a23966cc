#include "otfast/entropic/rounding.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "chunks.hpp"
#include "column_sums.hpp"
#include "rows.hpp"

namespace otfast::entropic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<Node> support(VectorView<const double> weights) {
  std::vector<Node> found;
  for (Index i = 0; i < weights.size; ++i) {
    if (weights[i] > 0.0) found.push_back(static_cast<Node>(i));
  }
  return found;
}

}  // namespace

template <class T>
std::vector<double> c_transform_of_columns(const Cost<T>& cost, VectorView<const double> g, Monitor& monitor) {
  const Rows<T> rows(cost);
  std::vector<double> f(static_cast<std::size_t>(cost.rows()));
  Pulse pulse(monitor);
  Chunks(cost.rows(), cost.cols()).run([&](Index, Index begin, Index end) {
    typename Rows<T>::Buffer buffer(rows);
    Index since = 0;
    for (Index i = begin; i < end; ++i) {
      pulse.beat(cost.cols(), since);
      f[static_cast<std::size_t>(i)] = isa::kernels<T>().min_reduced(rows.row(i, buffer), g.data, cost.cols());
    }
  });
  return f;
}

template <class T>
std::vector<double> c_transform_of_rows(const Cost<T>& cost, VectorView<const double> f, Monitor& monitor) {
  const Rows<T> rows(cost);
  const Chunks chunks(cost.rows(), cost.cols());
  std::vector<std::vector<double>> least(static_cast<std::size_t>(chunks.count),
                                         std::vector<double>(static_cast<std::size_t>(cost.cols()), kInfinity));
  Pulse pulse(monitor);
  chunks.run([&](Index chunk, Index begin, Index end) {
    typename Rows<T>::Buffer buffer(rows);
    double* best = least[static_cast<std::size_t>(chunk)].data();
    Index since = 0;
    for (Index i = begin; i < end; ++i) {
      pulse.beat(cost.cols(), since);
      isa::kernels<T>().lower_columns(rows.row(i, buffer), f[i], best, cost.cols());
    }
  });
  std::vector<double> g = least.front();
  for (const std::vector<double>& part : least) {
    for (std::size_t j = 0; j < g.size(); ++j) g[j] = std::min(g[j], part[j]);
  }
  return g;
}

template <class T>
double product_value(const Cost<T>& cost, VectorView<const double> r, VectorView<const double> c, Monitor& monitor) {
  // Pairs without weight go first: 0 times +inf would be NaN.
  const std::vector<Node> row_nodes = support(r), col_nodes = support(c);
  if (row_nodes.empty() || col_nodes.empty()) return 0.0;
  const auto part = cost.restrict(view(row_nodes), view(col_nodes));
  AlignedVector<double> weights(col_nodes.size());
  for (std::size_t j = 0; j < weights.size(); ++j) weights[j] = c[col_nodes[j]];
  const Rows<double> rows(*part);
  std::vector<double> of_row(row_nodes.size());
  Pulse pulse(monitor);
  Chunks(part->rows(), part->cols()).run([&](Index, Index begin, Index end) {
    Rows<double>::Buffer buffer(rows);
    Index since = 0;
    for (Index i = begin; i < end; ++i) {
      pulse.beat(part->cols(), since);
      const double* row = rows.row(i, buffer);
      const double weight = r[row_nodes[static_cast<std::size_t>(i)]];
      of_row[static_cast<std::size_t>(i)] = weight * dot(isa::kernels<double>(), row, weights.data(), part->cols());
    }
  });
  return std::accumulate(of_row.begin(), of_row.end(), 0.0);
}

#define OTFAST_INSTANTIATE(T)                                                                              \
  template std::vector<double> c_transform_of_columns(const Cost<T>&, VectorView<const double>, Monitor&); \
  template std::vector<double> c_transform_of_rows(const Cost<T>&, VectorView<const double>, Monitor&);    \
  template double product_value(const Cost<T>&, VectorView<const double>, VectorView<const double>, Monitor&);
OTFAST_INSTANTIATE(float)
OTFAST_INSTANTIATE(double)
#undef OTFAST_INSTANTIATE

}  // namespace otfast::entropic
