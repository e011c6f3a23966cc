// Sums that lose no digits to their length.
#pragma once

#include <cmath>

namespace otfast {

/// Neumaier's sum: the rounding error of every addition is kept and added at the end. Not for infinities.
class CompensatedSum {
 public:
  explicit CompensatedSum(double start = 0.0) : sum_(start) {}

  void add(double term) {
    const double next = sum_ + term;
    error_ += std::abs(sum_) >= std::abs(term) ? (sum_ - next) + term : (term - next) + sum_;
    sum_ = next;
  }

  void scale(double factor) {
    sum_ *= factor;
    error_ *= factor;
  }

  double value() const { return sum_ + error_; }

 private:
  double sum_;
  double error_ = 0.0;
};

}  // namespace otfast
