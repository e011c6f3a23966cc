#include "sparse_scaling.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace otfast::exact {
namespace {

/// Temperatures, each a quarter of the one before, and iterations at each.
constexpr int kLevels = 2;
constexpr int kSweeps = 3;

/// Weights in units of their mean. Far smaller ones would only make single precision overflow.
std::vector<float> weights(const std::vector<Mass>& masses) {
  const double total = std::accumulate(masses.begin(), masses.end(), 0.0);
  const double scale = static_cast<double>(masses.size()) / total;
  std::vector<float> weights;
  weights.reserve(masses.size());
  for (const Mass mass : masses)
    weights.push_back(static_cast<float>(std::max(1e-6, static_cast<double>(mass) * scale)));
  return weights;
}

/// The next scaling; over-relaxed, it goes half again as far from `now` in logarithms.
float advance(float next, float now, bool over) { return over ? next * std::sqrt(next / now) : next; }

class SparseScaling {
 public:
  SparseScaling(const ArcList& arcs, const std::vector<Mass>& rows, const std::vector<Mass>& cols, double epsilon)
      : arcs_(arcs),
        n_(static_cast<Node>(rows.size())),
        a_(weights(rows)),
        b_(weights(cols)),
        u_(rows.size()),
        v_(cols.size()),
        sums_(cols.size()) {
    // Columns are scaled to b in their own unit: with as many units in a as in b both sides agree.
    const float per_row = static_cast<float>(cols.size()) / static_cast<float>(rows.size());
    for (float& a : a_) a *= per_row;
    constexpr double kLeast = -80.0;  // single precision still holds its exponential, and products with it
    kernel_.reserve(arcs.cost.size());
    for (const double cost : arcs.cost)
      kernel_.push_back(static_cast<float>(std::exp(std::max(kLeast, -cost / epsilon))));
  }

  std::vector<double> run(double epsilon) {
    std::vector<double> gain(v_.size(), 0.0);
    for (int level = 0; level < kLevels; ++level, epsilon /= 4.0) {
      if (level > 0) sharpen();
      std::fill(v_.begin(), v_.end(), 1.0F);
      for (int k = 0; k < kSweeps; ++k) sweep(k > 0 && k + 1 < kSweeps);
      for (std::size_t j = 0; j < v_.size(); ++j) gain[j] += epsilon * static_cast<double>(std::log(v_[j]));
    }
    for (double& g : gain) {
      if (!std::isfinite(g)) g = 0.0;
    }
    return gain;
  }

 private:
  /// kernel = (u kernel v)^4: the plan at a quarter of its temperature.
  void sharpen() {
    for (Index e = 0; e < arcs_.size(); ++e) {
      const float entry = std::clamp(u_[arcs_.tail[e]] * kernel_[e] * v_[arcs_.head[e] - n_], 0x1p-30F, 0x1p30F);
      kernel_[e] = (entry * entry) * (entry * entry);
    }
  }

  void sweep(bool over) {
    std::fill(sums_.begin(), sums_.end(), 0.0F);
    const Index count = arcs_.size();
    for (Index begin = 0, end = 0; begin < count; begin = end) {
      const Node row = arcs_.tail[begin];
      float sum = 0.0F;
      for (; end < count && arcs_.tail[end] == row; ++end) sum += kernel_[end] * v_[arcs_.head[end] - n_];
      u_[row] = advance(a_[row] / sum, u_[row], over);
      for (Index e = begin; e < end; ++e) sums_[arcs_.head[e] - n_] += kernel_[e] * u_[row];
    }
    for (std::size_t j = 0; j < v_.size(); ++j) {
      if (sums_[j] > 0.0F) v_[j] = advance(b_[j] / sums_[j], v_[j], over);  // else no arc leads there
    }
  }

  const ArcList& arcs_;
  Node n_;                ///< rows
  std::vector<float> a_;  ///< weights
  std::vector<float> b_;
  std::vector<float> u_;  ///< scalings
  std::vector<float> v_;
  std::vector<float> sums_;    ///< of the columns
  std::vector<float> kernel_;  ///< by arc
};

}  // namespace

std::vector<double> scale_columns(const ArcList& arcs, const std::vector<Mass>& rows, const std::vector<Mass>& cols,
                                  double epsilon) {
  return SparseScaling(arcs, rows, cols, epsilon).run(epsilon);
}

}  // namespace otfast::exact
