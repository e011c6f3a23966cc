#include "newton.hpp"

#include <cmath>

namespace otfast::entropic {
namespace {

double dot(const std::vector<double>& x, const std::vector<double>& y) {
  double sum = 0.0;
  for (std::size_t j = 0; j < x.size(); ++j) sum += x[j] * y[j];
  return sum;
}

double size_of(const std::vector<double>& x) {
  double sum = 0.0;
  for (const double value : x) sum += std::abs(value);
  return sum;
}

}  // namespace

std::vector<double> newton_step(const KeptPlan& plan, double damping, const std::vector<double>& column,
                                const std::vector<double>& extra, const std::vector<double>& residual, double reduction,
                                Pulse& pulse) {
  const std::size_t n = residual.size();
  const Index most = 100 + static_cast<Index>(n);
  std::vector<double> degree, diagonal, product;
  plan.multiply(std::vector<double>(n, 1.0), degree, pulse);
  plan.diagonal(diagonal);
  std::vector<double> inverse(n);
  for (std::size_t j = 0; j < n; ++j) {
    if (degree[j] < 0.5 * column[j]) degree[j] = column[j];
    const double entry = std::fmax(degree[j] - damping * diagonal[j], 0.0) + extra[j];
    inverse[j] = entry > 0.0 ? 1.0 / entry : 0.0;
    degree[j] += extra[j];
  }

  std::vector<double> step(n, 0.0), rest = residual, scaled(n), direction(n, 0.0);
  const double stop = reduction * size_of(residual);
  double size = 0.0;
  for (Index k = 0; k < most; ++k) {
    for (std::size_t j = 0; j < n; ++j) scaled[j] = inverse[j] * rest[j];
    const double next = dot(rest, scaled);
    if (!(size_of(rest) > stop && next > 0.0)) break;
    const double momentum = k == 0 ? 0.0 : next / size;
    size = next;
    for (std::size_t j = 0; j < n; ++j) direction[j] = scaled[j] + momentum * direction[j];
    plan.multiply(direction, product, pulse);
    for (std::size_t j = 0; j < n; ++j) product[j] = degree[j] * direction[j] - damping * product[j];
    const double curvature = dot(direction, product);
    if (!(curvature > 0.0)) break;  // rounding has eaten what is left
    const double length = size / curvature;
    for (std::size_t j = 0; j < n; ++j) {
      step[j] += length * direction[j];
      rest[j] -= length * product[j];
    }
  }
  return step;
}

}  // namespace otfast::entropic
