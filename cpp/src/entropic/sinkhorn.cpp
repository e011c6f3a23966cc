#include "otfast/entropic/sinkhorn.hpp"

#include "row_pairs.hpp"
#include "solver.hpp"

namespace otfast::entropic {

template <class Real, class T>
Potentials solve(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b, const Options& options,
                 Monitor& monitor) {
  RowPairs<Real, T> pairs(cost, a, b, options);
  return run_solver(pairs, a, b, options, monitor);
}

template Potentials solve<float>(const Cost<float>&, VectorView<const double>, VectorView<const double>, const Options&,
                                 Monitor&);
template Potentials solve<float>(const Cost<double>&, VectorView<const double>, VectorView<const double>,
                                 const Options&, Monitor&);
template Potentials solve<double>(const Cost<float>&, VectorView<const double>, VectorView<const double>,
                                  const Options&, Monitor&);
template Potentials solve<double>(const Cost<double>&, VectorView<const double>, VectorView<const double>,
                                  const Options&, Monitor&);

}  // namespace otfast::entropic
