// Potentials to start Newton's method from.
#pragma once

#include <vector>

#include "otfast/entropic/sinkhorn.hpp"

namespace otfast::entropic {

/// Potentials g of the columns. Small problems are solved roughly at falling temperatures; of large ones a sample is,
/// and its potentials are extended to all columns.
template <class Real, class T>
std::vector<double> start_potentials(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b,
                                     const Options& options, Monitor& monitor);

}  // namespace otfast::entropic
