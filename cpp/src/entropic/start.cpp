#include "start.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "otfast/math/base2.hpp"
#include "solver.hpp"
#include "sweep.hpp"

namespace otfast::entropic {
namespace {

/// Problems of so many points are solved without a sample.
constexpr Index kSmall = 256;

/// Points of a sample: more where there is more to gain.
Index sample_size(Index points) { return points <= 512 ? 128 : 256; }

/// A bit mixer (splitmix64): the sample is random, and always the same.
std::uint64_t mixed(std::uint64_t bits) {
  bits += 0x9E3779B97F4A7C15U;
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9U;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBU;
  return bits ^ (bits >> 31);
}

struct Sample {
  std::vector<Node> points;     ///< ascending
  std::vector<double> weights;  ///< of the same total as those of all
};

/// Points at equal steps of mass along a random order: likely where the weight is, heavy ones several times.
Sample draw(VectorView<const double> weights, Index count, std::uint64_t seed) {
  std::vector<Node> order(static_cast<std::size_t>(weights.size));
  std::iota(order.begin(), order.end(), 0);
  const auto key = [seed](Node i) { return mixed(seed ^ static_cast<std::uint64_t>(i)); };
  std::sort(order.begin(), order.end(), [&](Node i, Node k) { return key(i) < key(k); });
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> share(order.size(), 0.0);
  double passed = 0.0;
  Index taken = 0;
  for (const Node i : order) {
    passed += weights[i];
    while (taken < count && (static_cast<double>(taken) + 0.5) * total < passed * static_cast<double>(count)) {
      share[static_cast<std::size_t>(i)] += 1.0 / static_cast<double>(count);
      ++taken;
    }
  }
  Sample sample;
  for (std::size_t i = 0; i < share.size(); ++i) {
    if (share[i] == 0.0) continue;
    sample.points.push_back(static_cast<Node>(i));
    sample.weights.push_back(share[i]);
  }
  const double drawn = std::accumulate(sample.weights.begin(), sample.weights.end(), 0.0);
  for (double& weight : sample.weights) weight *= total / drawn;
  return sample;
}

}  // namespace

template <class Real, class T>
std::vector<double> start_potentials(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b,
                                     const Options& options, Monitor& monitor) {
  const Index largest = std::max(a.size, b.size);
  if (largest <= kSmall) {
    return cool_down(b.size, options, monitor,
                     [&](const Options& level, Monitor& inner) { return solve<Real>(cost, a, b, level, inner); });
  }
  Whisper inner(monitor);

  const Index count = sample_size(largest);
  const Sample rows = draw(a, count, 1), cols = draw(b, count, 2);
  const auto coarse = cost.restrict(view(rows.points), view(cols.points));
  Options of_sample = options;
  of_sample.method = Method::newton;
  of_sample.tolerance = 2e-2;
  of_sample.max_iterations = 100;
  of_sample.may_store = true;
  const Potentials found = solve<Real>(*coarse, view(rows.weights), view(cols.weights), of_sample, inner);
  if (found.status == Status::infeasible) return std::vector<double>(static_cast<std::size_t>(b.size), 0.0);

  const double scale = kLog2E / options.epsilon;
  std::vector<double> x(found.f.size());
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = found.f[i] * scale + std::log2(rows.weights[i]);
  std::vector<Node> all(static_cast<std::size_t>(b.size));
  std::iota(all.begin(), all.end(), 0);
  const auto strip = cost.restrict(view(rows.points), view(all));
  Pulse pulse(inner);
  std::vector<double> g = column_softmin(Rows<Real>(*strip), x, scale, pulse);
  const double of_price = damping(options.rho_b, options.epsilon);
  for (double& potential : g) potential = std::isfinite(potential) ? of_price * potential / scale : 0.0;
  return g;
}

template std::vector<double> start_potentials<float>(const Cost<float>&, VectorView<const double>,
                                                     VectorView<const double>, const Options&, Monitor&);
template std::vector<double> start_potentials<float>(const Cost<double>&, VectorView<const double>,
                                                     VectorView<const double>, const Options&, Monitor&);
template std::vector<double> start_potentials<double>(const Cost<float>&, VectorView<const double>,
                                                      VectorView<const double>, const Options&, Monitor&);
template std::vector<double> start_potentials<double>(const Cost<double>&, VectorView<const double>,
                                                      VectorView<const double>, const Options&, Monitor&);

}  // namespace otfast::entropic
