#include "box_bounds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace otfast {

template <class T>
Boxes enclose(const std::vector<T>& points, Index count, Index dim, Index block) {
  const auto size = static_cast<std::size_t>((count + block - 1) / block * dim);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Boxes boxes{std::vector<double>(size, kInfinity), std::vector<double>(size, -kInfinity)};
  for (Index i = 0; i < count; ++i) {
    for (Index k = 0; k < dim; ++k) {
      const double coordinate = points[static_cast<std::size_t>(i * dim + k)];
      double& low = boxes.low[static_cast<std::size_t>(i / block * dim + k)];
      double& high = boxes.high[static_cast<std::size_t>(i / block * dim + k)];
      low = std::min(low, coordinate);
      high = std::max(high, coordinate);
    }
  }
  return boxes;
}

template Boxes enclose(const std::vector<float>&, Index, Index, Index);
template Boxes enclose(const std::vector<double>&, Index, Index, Index);

template <class T>
BoxBounds<T>::BoxBounds(Boxes rows, Boxes cols, Index dim, const Metric& metric, double scale)
    : rows_(std::move(rows)), cols_(std::move(cols)), dim_(dim), metric_(metric), scale_(scale) {
  // Relative errors of a fold: one eps for a difference, p more for its power, one for each sum; the outer power
  // multiplies them, and adds some of its own. Doubled, for the same errors here.
  const double fold_error = static_cast<double>(dim) + 2.0 * metric.p + 4.0;
  const double error = metric.exponent * fold_error + 4.0;
  kept_ = std::max(0.0, 1.0 - 2.0 * error * static_cast<double>(std::numeric_limits<T>::epsilon()));
}

template <class T>
double BoxBounds<T>::lower(Index row_block, Index col_block) const {
  const double* row_low = rows_.low.data() + row_block * dim_;
  const double* row_high = rows_.high.data() + row_block * dim_;
  const double* col_low = cols_.low.data() + col_block * dim_;
  const double* col_high = cols_.high.data() + col_block * dim_;
  const double fold = fold_gaps(row_low, row_high, col_low, col_high);
  // What underflows is lost in full: in the sum, and again in the result.
  constexpr double kTiny = static_cast<double>(std::numeric_limits<T>::min());
  const double certain = std::max(0.0, fold - static_cast<double>(dim_) * kTiny);
  const double cost = metric_.exponent == 1.0   ? certain
                      : metric_.exponent == 0.5 ? std::sqrt(certain)
                                                : std::pow(certain, metric_.exponent);
  return std::max(0.0, cost * scale_ * kept_ - kTiny);
}

template <class T>
double BoxBounds<T>::fold_gaps(const double* row_low, const double* row_high, const double* col_low,
                               const double* col_high) const {
  const auto gap = [&](Index k) { return std::max({0.0, row_low[k] - col_high[k], col_low[k] - row_high[k]}); };
  double sum = 0.0;
  double max = 0.0;
  switch (metric_.fold) {
    case Metric::Fold::squares:
      for (Index k = 0; k < dim_; ++k) sum += gap(k) * gap(k);
      return sum;
    case Metric::Fold::absolute:
      for (Index k = 0; k < dim_; ++k) sum += gap(k);
      return sum;
    case Metric::Fold::powers:
      for (Index k = 0; k < dim_; ++k) sum += std::pow(gap(k), metric_.p);
      return sum;
    default: break;
  }
  for (Index k = 0; k < dim_; ++k) max = std::max(max, gap(k));
  if (metric_.fold == Metric::Fold::maximum || max == 0.0 || std::isinf(max)) return max;
  for (Index k = 0; k < dim_; ++k) sum += std::pow(gap(k) / max, metric_.p);
  return max * std::pow(sum, 1.0 / metric_.p);
}

template class BoxBounds<float>;
template class BoxBounds<double>;

}  // namespace otfast
