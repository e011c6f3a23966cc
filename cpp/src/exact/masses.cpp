#include "masses.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "otfast/core/weights.hpp"

namespace otfast::exact {
namespace {

constexpr double kLargestTotal = 0x1p60;

/// Weights as multiples of the smallest positive one, when all of them are within rounding; else empty.
std::vector<Mass> as_multiples(VectorView<const double> weights) {
  double smallest = 0.0;
  for (const double w : weights) {
    if (w > 0.0 && (smallest == 0.0 || w < smallest)) smallest = w;
  }
  // Below the smallest weight may lie the common unit: {2, 3} are multiples of 1. A few divisors find such cases.
  std::vector<Mass> multiples;
  multiples.reserve(static_cast<std::size_t>(weights.size));
  for (int divisor = 1; divisor <= 6; ++divisor) {
    multiples.clear();
    for (const double w : weights) {
      const double ratio = w / smallest * divisor;
      const double whole = std::nearbyint(ratio);
      if (!(whole < 0x1p30) || std::abs(ratio - whole) > 1e-11 * ratio) break;
      multiples.push_back(static_cast<Mass>(whole));
    }
    if (static_cast<Index>(multiples.size()) == weights.size) return multiples;
  }
  return {};
}

std::vector<Mass> rounded(VectorView<const double> weights, double sum) {
  std::vector<Mass> masses(static_cast<std::size_t>(weights.size));
  for (Index i = 0; i < weights.size; ++i) {
    masses[i] = static_cast<Mass>(std::nearbyint(weights[i] / sum * kLargestTotal));
  }
  return masses;
}

/// Makes the totals equal: a difference of rounding, taken from (or given to) the largest entries in proportion.
void settle(std::vector<Mass>& masses, Mass difference) {
  while (difference != 0) {
    const auto largest = std::max_element(masses.begin(), masses.end());
    const Mass step = std::clamp<Mass>(difference, -*largest / 2, *largest / 2);
    *largest += step;
    difference -= step;
  }
}

}  // namespace

Masses whole_masses(VectorView<const double> a, VectorView<const double> b) {
  Masses masses;
  masses.rows = as_multiples(a);
  if (!masses.rows.empty()) masses.cols = as_multiples(b);
  if (!masses.cols.empty()) {
    const Mass sum_rows = std::accumulate(masses.rows.begin(), masses.rows.end(), Mass{0});
    const Mass sum_cols = std::accumulate(masses.cols.begin(), masses.cols.end(), Mass{0});
    const Mass common = std::gcd(sum_rows, sum_cols);
    const Mass scale_rows = sum_cols / common, scale_cols = sum_rows / common;
    if (static_cast<double>(sum_rows) * static_cast<double>(scale_rows) < kLargestTotal) {
      for (Mass& mass : masses.rows) mass *= scale_rows;
      for (Mass& mass : masses.cols) mass *= scale_cols;
      masses.unit = summarize(a).total / static_cast<double>(sum_rows * scale_rows);
      return masses;
    }
  }
  const double sum = summarize(a).total;
  masses.rows = rounded(a, sum);
  masses.cols = rounded(b, summarize(b).total);
  masses.unit = sum / kLargestTotal;
  const auto units = static_cast<Mass>(kLargestTotal);
  settle(masses.rows, units - std::accumulate(masses.rows.begin(), masses.rows.end(), Mass{0}));
  settle(masses.cols, units - std::accumulate(masses.cols.begin(), masses.cols.end(), Mass{0}));
  return masses;
}

}  // namespace otfast::exact
