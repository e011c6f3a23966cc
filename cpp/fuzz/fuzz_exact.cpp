// Any finite problem has a certified solution; whatever the bytes say, nothing reads or writes out of bounds.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <vector>

#include "otfast/cost/dense.hpp"
#include "otfast/exact/transport.hpp"

namespace {

using namespace otfast;

void require(bool holds) {
  if (!holds) std::abort();
}

/// Numbers from bytes, 0 when they run out.
class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  unsigned next() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

/// Weights of many magnitudes, zeros among them, of total 1.
std::vector<double> weights(Bytes& bytes, Index size) {
  std::vector<double> weights(size);
  double total = 0.0;
  for (double& w : weights) {
    const unsigned code = bytes.next();
    w = code < 64 ? 0.0 : std::ldexp(1.0 + code % 8, -static_cast<int>(code % 20));
    total += w;
  }
  if (total == 0.0) weights[0] = total = 1.0;
  for (double& w : weights) w /= total;
  return weights;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  const Index n = 1 + bytes.next() % 24, m = 1 + bytes.next() % 24;
  const auto start = static_cast<exact::Start>(bytes.next() % 3);
  const unsigned kind = bytes.next() % 3;  // small integers, many magnitudes, or some forbidden pairs
  const auto a = weights(bytes, n), b = weights(bytes, m);
  std::vector<double> entries(n * m);
  for (double& c : entries) {
    const unsigned code = bytes.next();
    c = kind == 1 ? std::ldexp(static_cast<double>(code), static_cast<int>(code % 40) - 20)
                  : static_cast<double>(code % 16) - 4.0;
    if (kind == 2 && code >= 128) c = std::numeric_limits<double>::infinity();
  }
  const DenseCost<double> cost(entries, n, m);
  SilentMonitor monitor;
  const auto result = exact::solve(cost, {a.data(), n}, {b.data(), m}, {.start = start, .max_pivots = 100000}, monitor);
  if (kind == 2 && result.status == Status::infeasible) return 0;
  require(result.status == Status::optimal);
  double scale = 0.0;
  for (Index i = 0; i < n; ++i) scale += a[i] * std::abs(result.f[i]);
  for (Index j = 0; j < m; ++j) scale += b[j] * std::abs(result.g[j]);
  require(std::abs(result.value - result.dual_value) <= 1e-12 * scale);
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < m; ++j) {
      const double c = cost.entry(i, j);
      require(result.f[i] + result.g[j] - c <= 1e-14 * (std::abs(c) + std::abs(result.f[i]) + std::abs(result.g[j])));
    }
  }
  return 0;
}
