#include "otfast/entropic/sinkhorn.hpp"

#include <cmath>
#include <cstdint>
#include <vector>

#include "cost/clusters.hpp"
#include "row_pairs.hpp"
#include "solver.hpp"

namespace otfast::entropic {

namespace {

/// At low temperature most pairs do not matter, and blocks of pairs can be passed over where points lie in an order in
/// which neighbours are near. Worth it where blocks have bounds, and for as many pairs as make up for the ordering.
template <class T>
bool can_skip(const Cost<T>& cost, const Options& options) {
  constexpr double kCold = 1.0 / 100.0;  // of the range
  constexpr Index kWorthIt = Index{1} << 18;
  const bool is_balanced = std::isinf(options.rho_a) && std::isinf(options.rho_b);
  return is_balanced && options.epsilon < kCold * options.range && cost.rows() * cost.cols() >= kWorthIt &&
         cost.block_bounds(cost.rows(), cost.cols()) != nullptr;
}

template <class T>
std::vector<Node> near_order(const Cost<T>& cost, bool of_rows) {
  constexpr Index kCell = 8;
  const auto features = cost.features(of_rows);
  const std::vector<std::int64_t> ones(static_cast<std::size_t>(of_rows ? cost.rows() : cost.cols()), 1);
  return bisect(features.values, features.dim, ones, kCell).order;
}

std::vector<double> in_order(VectorView<const double> values, const std::vector<Node>& order) {
  std::vector<double> ordered;
  if (values.size == 0) return ordered;
  ordered.reserve(order.size());
  for (const Node i : order) ordered.push_back(values[i]);
  return ordered;
}

std::vector<double> out_of_order(const std::vector<double>& ordered, const std::vector<Node>& order) {
  std::vector<double> values(ordered.size());
  for (std::size_t k = 0; k < ordered.size(); ++k) values[static_cast<std::size_t>(order[k])] = ordered[k];
  return values;
}

template <class Real, class T>
Potentials solve_in_near_order(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b,
                               Options options, Monitor& monitor) {
  const std::vector<Node> rows = near_order(cost, true), cols = near_order(cost, false);
  const std::vector<double> near_a = in_order(a, rows), near_b = in_order(b, cols), g = in_order(options.g, cols);
  options.g = view(g);
  const auto near = cost.restrict(view(rows), view(cols));
  RowPairs<Real, T> pairs(*near, view(near_a), view(near_b), options, true);
  Potentials found = run_solver(pairs, view(near_a), view(near_b), options, monitor);
  if (found.status != Status::infeasible) {
    found.f = out_of_order(found.f, rows);
    found.g = out_of_order(found.g, cols);
  }
  return found;
}

}  // namespace

template <class Real, class T>
Potentials solve(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b, const Options& options,
                 Monitor& monitor) {
  if (can_skip(cost, options)) return solve_in_near_order<Real>(cost, a, b, options, monitor);
  RowPairs<Real, T> pairs(cost, a, b, options, false);
  return run_solver(pairs, a, b, options, monitor);
}

template Potentials solve<float>(const Cost<float>&, VectorView<const double>, VectorView<const double>, const Options&,
                                 Monitor&);
template Potentials solve<float>(const Cost<double>&, VectorView<const double>, VectorView<const double>,
                                 const Options&, Monitor&);
template Potentials solve<double>(const Cost<float>&, VectorView<const double>, VectorView<const double>,
                                  const Options&, Monitor&);
template Potentials solve<double>(const Cost<double>&, VectorView<const double>, VectorView<const double>,
                                  const Options&, Monitor&);

}  // namespace otfast::entropic
