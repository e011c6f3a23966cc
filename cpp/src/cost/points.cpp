#include "otfast/cost/points.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

#include "box_bounds.hpp"
#include "isa/kernels.hpp"

namespace otfast {
namespace {

/// Points in a panel: few enough for a panel of many coordinates to be in cache, enough to make a call worth it.
constexpr Index kPanel = 256;

/// Panels are padded to whole vectors, so that every coordinate of a panel starts on a vector boundary.
constexpr Index padded(Index count) { return (count + 15) / 16 * 16; }

/// Larger dimensions are projected to this one before anybody compares features.
constexpr Index kFeatures = 16;

template <class T>
T largest(MatrixView<const T> points) {
  T largest{0};
  for (Index i = 0; i < points.rows; ++i) {
    for (Index k = 0; k < points.cols; ++k) largest = std::max(largest, std::abs(points(i, k)));
  }
  return largest;
}

/// The exponent s for which the metric is computed on coordinates times 2^-s: squares of tiny or huge distances leave
/// the range of T even where the distances themselves do not. In all ordinary cases 0: coordinates as they are.
template <class T>
int choose_shift(MatrixView<const T> x, MatrixView<const T> y, const Metric& metric) {
  if (metric.fold != Metric::Fold::squares || metric.exponent == 1.0) return 0;
  int shift = 0;
  std::frexp(std::max(largest(x), largest(y)), &shift);
  return std::abs(shift) > 32 ? shift : 0;
}

template <class T>
std::vector<T> copy_shifted(MatrixView<const T> points, int shift) {
  std::vector<T> copy(static_cast<std::size_t>(points.rows * points.cols));
  auto to = copy.begin();
  for (Index i = 0; i < points.rows; ++i) {
    for (Index k = 0; k < points.cols; ++k) *to++ = shift == 0 ? points(i, k) : std::ldexp(points(i, k), -shift);
  }
  return copy;
}

/// A random bit for each pair (k, l): the signs of projection l.
float sign(Index k, Index l) {
  std::uint64_t bits = static_cast<std::uint64_t>(k * kFeatures + l) + 0x9E3779B97F4A7C15U;  // splitmix64
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9U;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBU;
  return (bits >> 63) != 0 ? 1.0F : -1.0F;
}

}  // namespace

template <class T>
PointCost<T>::PointCost(MatrixView<const T> x, MatrixView<const T> y, const Metric& metric)
    : PointCost(x, y, metric, choose_shift(x, y, metric)) {}

template <class T>
PointCost<T>::PointCost(MatrixView<const T> x, MatrixView<const T> y, const Metric& metric, int shift)
    : PointCost(copy_shifted(x, shift), copy_shifted(y, shift), x.rows, y.rows, x.cols, metric, shift) {}

template <class T>
PointCost<T>::PointCost(std::vector<T> x, const std::vector<T>& y, Index rows, Index cols, Index dim,
                        const Metric& metric, int shift)
    : Cost<T>(rows, cols), dim_(dim), metric_(metric), shift_(shift), kernels_(&isa::kernels<T>()), x_(std::move(x)) {
  // Of far points that are near each other the cost may be in range where the scale is not: then part of it comes
  // before the power. (Clamped: finite times zero is zero, and what is larger overflows anyway.)
  constexpr int kRoom = std::numeric_limits<T>::max_exponent - 24;
  const double power = 2.0 * metric.exponent * shift;
  const bool split = power >= std::numeric_limits<T>::max_exponent;
  const double before = split ? std::exp2(2.0 * shift - kRoom / metric.exponent) : 1.0;
  scale_ = static_cast<T>(std::exp2(split ? kRoom : power));
  scale_before_ = static_cast<T>(std::min(before, static_cast<double>(std::numeric_limits<T>::max())));
  panels_.resize(static_cast<std::size_t>(padded(cols) * dim + isa::kOverread<T>));
  for (Index j = 0; j < cols; ++j) {
    T* to = panels_.data() + panel_offset(j);
    for (Index k = 0; k < dim; ++k) to[k * panel_stride(j)] = y[static_cast<std::size_t>(j * dim + k)];
  }
}

template <class T>
Index PointCost<T>::panel_offset(Index j) const {
  return j / kPanel * kPanel * dim_ + j % kPanel;
}

template <class T>
Index PointCost<T>::panel_stride(Index j) const {
  return std::min(kPanel, padded(this->cols() - j / kPanel * kPanel));
}

template <class T>
const T* PointCost<T>::row(Index i, Index begin, Index end, T* buffer) const {
  const T* x = x_.data() + i * dim_;
  for (Index j = begin; j < end;) {
    const isa::Coordinates<T> y{panels_.data() + panel_offset(j), panel_stride(j), dim_};
    const Index size = std::min(end - j, kPanel - j % kPanel);
    T* out = buffer + (j - begin);
    switch (metric_.fold) {
      case Metric::Fold::squares: kernels_->sum_squares(x, y, metric_.negative, size, out); break;
      case Metric::Fold::absolute: kernels_->sum_absolute(x, y, size, out); break;
      case Metric::Fold::maximum: kernels_->max_absolute(x, y, size, out); break;
      case Metric::Fold::powers: kernels_->sum_powers(x, y, metric_.p, size, out); break;
      case Metric::Fold::norm: kernels_->norm(x, y, metric_.p, size, out); break;
      case Metric::Fold::dot: kernels_->offset_minus_dot(x, y, static_cast<T>(metric_.offset), size, out); break;
    }
    if (scale_before_ != T{1}) {
      for (Index k = 0; k < size; ++k) out[k] *= scale_before_;
    }
    if (metric_.exponent != 1.0) kernels_->raise(out, metric_.exponent, scale_, size);
    j += size;
  }
  return buffer;
}

template <class T>
std::vector<T> PointCost<T>::unpack_y() const {
  std::vector<T> y(static_cast<std::size_t>(this->cols() * dim_));
  for (Index j = 0; j < this->cols(); ++j) {
    const T* from = panels_.data() + panel_offset(j);
    for (Index k = 0; k < dim_; ++k) y[static_cast<std::size_t>(j * dim_ + k)] = from[k * panel_stride(j)];
  }
  return y;
}

template <class T>
std::unique_ptr<Cost<T>> PointCost<T>::restrict(VectorView<const Node> rows, VectorView<const Node> cols) const {
  std::vector<T> x;
  x.reserve(static_cast<std::size_t>(rows.size * dim_));
  for (const Node i : rows) x.insert(x.end(), x_.data() + i * dim_, x_.data() + (i + 1) * dim_);
  std::vector<T> y;
  y.reserve(static_cast<std::size_t>(cols.size * dim_));
  for (const Node j : cols) {
    const T* from = panels_.data() + panel_offset(j);
    for (Index k = 0; k < dim_; ++k) y.push_back(from[k * panel_stride(j)]);
  }
  return std::unique_ptr<Cost<T>>(new PointCost(std::move(x), y, rows.size, cols.size, dim_, metric_, shift_));
}

template <class T>
typename Cost<T>::Features PointCost<T>::features(bool of_rows) const {
  const std::vector<T> points = of_rows ? x_ : unpack_y();
  const Index count = of_rows ? this->rows() : this->cols();
  // On a common scale, because a double may be too large or too small for a float.
  T largest{0};
  for (const T coordinate : points) largest = std::max(largest, std::abs(coordinate));
  const T unit = largest > T{0} ? largest : T{1};

  typename Cost<T>::Features features;
  features.dim = std::min(dim_, kFeatures);
  features.values.assign(static_cast<std::size_t>(count * features.dim), 0.0F);
  for (Index i = 0; i < count; ++i) {
    const T* point = points.data() + i * dim_;
    float* to = features.values.data() + i * features.dim;
    for (Index k = 0; k < dim_; ++k) {
      const auto coordinate = static_cast<float>(point[k] / unit);
      if (dim_ <= kFeatures) {
        to[k] = coordinate;
      } else {
        for (Index l = 0; l < kFeatures; ++l) to[l] += sign(k, l) * coordinate;
      }
    }
  }
  return features;
}

template <class T>
std::unique_ptr<BlockBounds> PointCost<T>::block_bounds(Index row_block, Index col_block) const {
  constexpr Index kMaxDim = 8;  // boxes of more dimensions overlap too much to tell anything
  if (dim_ > kMaxDim || metric_.fold == Metric::Fold::dot || metric_.negative > 0) return nullptr;
  // Too small where it overflows: still a lower bound.
  const double scale = std::min(std::exp2(2.0 * metric_.exponent * shift_), std::numeric_limits<double>::max());
  return std::make_unique<BoxBounds<T>>(enclose(x_, this->rows(), dim_, row_block),
                                        enclose(unpack_y(), this->cols(), dim_, col_block), dim_, metric_, scale);
}

template class PointCost<float>;
template class PointCost<double>;

}  // namespace otfast
