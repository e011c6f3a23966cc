// Soft minima over the rows and columns of a cost: half an iteration of Sinkhorn's algorithm in the log domain.
#pragma once

#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/views.hpp"

namespace otfast::entropic {

/// -epsilon log sum_j exp((h_j - C_ij) / epsilon) for every row i; h_j may be -inf, and +inf comes out for a row
/// without a way. Arithmetic over pairs is in the precision Real, safe from overflow for any h. `guess` is empty, or
/// what may come out: where it is near, one exponential for each pair is all that is computed.
template <class Real, class T>
std::vector<double> softmin_of_rows(const Cost<T>& cost, VectorView<const double> h, double epsilon, Monitor& monitor,
                                    VectorView<const double> guess = {});

/// -epsilon log sum_i exp((h_i - C_ij) / epsilon) for every column j.
template <class Real, class T>
std::vector<double> softmin_of_columns(const Cost<T>& cost, VectorView<const double> h, double epsilon,
                                       Monitor& monitor, VectorView<const double> guess = {});

}  // namespace otfast::entropic
