#include "otfast/cost/dense.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <utility>

namespace otfast {
namespace {

template <class T>
using Entries = std::shared_ptr<const std::vector<T>>;

template <class T>
std::unique_ptr<Cost<T>> restrict_dense(MatrixView<const T> matrix, Entries<T> owner, std::vector<Node> rows,
                                        std::vector<Node> cols);

/// Costs to a few others place a row (column) among its like. The others are scattered at random: evenly spaced ones
/// may all lie on one line of a grid. (Multiples of the golden ratio modulo 2^64 are as good as random, and always the
/// same.)
template <class T>
typename Cost<T>::Features sample_features(const Cost<T>& cost, bool of_rows) {
  constexpr Index kDim = 16;
  const Index count = of_rows ? cost.rows() : cost.cols();
  const Index others = of_rows ? cost.cols() : cost.rows();
  const Index dim = std::min(kDim, others);
  std::vector<T> samples(static_cast<std::size_t>(count * dim));
  std::vector<T> buffer(static_cast<std::size_t>(of_rows ? 1 : count));
  for (Index k = 0; k < dim; ++k) {
    const auto scattered = static_cast<std::uint64_t>(k + 1) * 0x9E3779B97F4A7C15U >> 11;
    const Index other = others == dim ? k : static_cast<Index>(scattered % static_cast<std::uint64_t>(others));
    if (of_rows) {
      for (Index i = 0; i < count; ++i) samples[i * dim + k] = *cost.row(i, other, other + 1, buffer.data());
    } else {
      const T* row = cost.row(other, 0, count, buffer.data());
      for (Index j = 0; j < count; ++j) samples[j * dim + k] = row[j];
    }
  }

  // Onto [0, 1]; halves, because the range of doubles is wider than the largest double.
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const T sample : samples) {
    if (std::isinf(sample)) continue;
    low = std::min(low, static_cast<double>(sample));
    high = std::max(high, static_cast<double>(sample));
  }
  const double half_range = 0.5 * high - 0.5 * low;
  constexpr float kForbidden = 2.0F;
  typename Cost<T>::Features features;
  features.dim = dim;
  features.values.reserve(samples.size());
  for (const T sample : samples) {
    const double place = half_range > 0.0 ? (0.5 * static_cast<double>(sample) - 0.5 * low) / half_range : 0.0;
    features.values.push_back(std::isinf(sample) ? kForbidden : static_cast<float>(place));
  }
  return features;
}

/// C[rows, cols] of a matrix too large to copy.
template <class T>
class GatheredCost final : public Cost<T> {
 public:
  GatheredCost(MatrixView<const T> matrix, Entries<T> owner, std::vector<Node> rows, std::vector<Node> cols)
      : Cost<T>(static_cast<Index>(rows.size()), static_cast<Index>(cols.size())),
        matrix_(matrix),
        owner_(std::move(owner)),
        rows_(std::move(rows)),
        cols_(std::move(cols)) {}

  const T* row(Index i, Index begin, Index end, T* buffer) const override {
    const T* from = matrix_.row(rows_[static_cast<std::size_t>(i)]);
    for (Index j = begin; j < end; ++j) buffer[j - begin] = from[cols_[static_cast<std::size_t>(j)]];
    return buffer;
  }

  std::unique_ptr<Cost<T>> restrict(VectorView<const Node> rows, VectorView<const Node> cols) const override {
    std::vector<Node> inner_rows;
    std::vector<Node> inner_cols;
    for (const Node i : rows) inner_rows.push_back(rows_[static_cast<std::size_t>(i)]);
    for (const Node j : cols) inner_cols.push_back(cols_[static_cast<std::size_t>(j)]);
    return restrict_dense(matrix_, owner_, std::move(inner_rows), std::move(inner_cols));
  }

  typename Cost<T>::Features features(bool of_rows) const override { return sample_features(*this, of_rows); }

 private:
  MatrixView<const T> matrix_;
  Entries<T> owner_;
  std::vector<Node> rows_;
  std::vector<Node> cols_;
};

template <class T>
std::unique_ptr<Cost<T>> restrict_dense(MatrixView<const T> matrix, Entries<T> owner, std::vector<Node> rows,
                                        std::vector<Node> cols) {
  constexpr std::size_t kCopied = std::size_t{1} << 20;
  if (rows.size() * cols.size() > kCopied) {
    return std::make_unique<GatheredCost<T>>(matrix, std::move(owner), std::move(rows), std::move(cols));
  }
  std::vector<T> entries(rows.size() * cols.size());
  T* to = entries.data();
  for (const Node i : rows) {
    const T* from = matrix.row(i);
    for (const Node j : cols) *to++ = from[j];
  }
  return std::make_unique<DenseCost<T>>(std::move(entries), static_cast<Index>(rows.size()),
                                        static_cast<Index>(cols.size()));
}

}  // namespace

template <class T>
DenseCost<T>::DenseCost(MatrixView<const T> matrix) : Cost<T>(matrix.rows, matrix.cols), matrix_(matrix) {}

template <class T>
DenseCost<T>::DenseCost(std::vector<T> entries, Index rows, Index cols)
    : Cost<T>(rows, cols), owner_(std::make_shared<const std::vector<T>>(std::move(entries))) {
  matrix_ = {owner_->data(), rows, cols, cols};
}

template <class T>
std::unique_ptr<Cost<T>> DenseCost<T>::restrict(VectorView<const Node> rows, VectorView<const Node> cols) const {
  return restrict_dense(matrix_, owner_, std::vector<Node>(rows.begin(), rows.end()),
                        std::vector<Node>(cols.begin(), cols.end()));
}

template <class T>
typename Cost<T>::Features DenseCost<T>::features(bool of_rows) const {
  return sample_features(*this, of_rows);
}

template class DenseCost<float>;
template class DenseCost<double>;

}  // namespace otfast
