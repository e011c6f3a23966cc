// An iteration of Sinkhorn's algorithm on a tensor in memory: one pass over it updates the potentials of all axes.
#pragma once

#include <vector>

#include "otfast/core/monitor.hpp"
#include "otfast/core/types.hpp"
#include "otfast/core/views.hpp"

namespace otfast::multimarginal {

/// What belongs to an axis of the tensor.
struct Axis {
  VectorView<const double> weights;     ///< a >= 0
  VectorView<const double> potentials;  ///< f, finite, in units of the cost
  double rho;                           ///< price of a deviation from `a`: +inf if it is exact, 0 if it is free
};

/// The plan of some potentials, relative to the weights of the first axis: with it in memory no exponentials are
/// needed as long as potentials are near those.
template <class Real>
struct KeptPlan {
  Real* entries;                                    ///< as many as the tensor has
  std::vector<VectorView<const double>> reference;  ///< those potentials, of the same temperature; empty: none yet
};

/// What an iteration leaves. `potentials`, `error` and `mass` mean something only if `trusted`.
struct Tour {
  bool trusted = false;  ///< false: something was out of range of the exponentials that the potentials make; start over
                         ///< in the log domain
  std::vector<std::vector<double>> potentials;  ///< of every axis; those of points without weight are as they were
  double error = 0.0;                           ///< largest violation of a marginal, each when its turn came
  double mass = 0.0;                            ///< of the plan, for these potentials
  bool has_replaced = false;                    ///< the kept plan: it is now that of the potentials that were given
};

/// Whether `tour` takes tensors of this shape: its buffers, a few slices, must be small beside the tensor, or small.
bool has_tour(const std::vector<Index>& shape, Index item_size);

/// Visits all axes in turn. `entries` of the tensor are finite or +inf, in C order. An axis is measured, and its
/// potential set to what maximises the dual if `update`. Exponentials are of precision `Real`.
///
/// The plan on a slice of the first axis, with all other potentials as they are, gives the potential of that slice;
/// with it the slice is added to the marginal on all other axes. They are visited in that marginal, `rounds` times
/// over. `kept` may be null.
template <class Real, class T>
Tour tour(const T* entries, const std::vector<Axis>& axes, double epsilon, bool update, Index rounds,
          const KeptPlan<Real>* kept, Monitor& monitor);

}  // namespace otfast::multimarginal
