// Can mass be moved without forbidden pairs?
#pragma once

#include <algorithm>
#include <limits>
#include <memory>

#include "otfast/core/cost.hpp"

namespace otfast::exact {

/// The cost that is 1 on forbidden (+inf) pairs of another one, and 0 elsewhere: the least cost is the mass that must
/// cross them.
template <class T>
class ForbiddenPairs final : public Cost<T> {
 public:
  explicit ForbiddenPairs(const Cost<T>& cost) : Cost<T>(cost.rows(), cost.cols()), cost_(&cost) {}
  explicit ForbiddenPairs(std::unique_ptr<Cost<T>> cost) : ForbiddenPairs(*cost) { owned_ = std::move(cost); }

  const T* row(Index i, Index begin, Index end, T* buffer) const override {
    const T* entries = cost_->row(i, begin, end, buffer);
    std::transform(entries, entries + (end - begin), buffer,
                   [](T c) { return c == std::numeric_limits<T>::infinity() ? T{1} : T{0}; });
    return buffer;
  }

  std::unique_ptr<Cost<T>> restrict(VectorView<const Node> rows, VectorView<const Node> cols) const override {
    return std::make_unique<ForbiddenPairs>(cost_->restrict(rows, cols));
  }

  typename Cost<T>::Features features(bool of_rows) const override { return cost_->features(of_rows); }

 private:
  const Cost<T>* cost_;
  std::unique_ptr<Cost<T>> owned_;
};

}  // namespace otfast::exact
