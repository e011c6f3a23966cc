#include "grid_operator.hpp"
#include "otfast/core/threads.hpp"
#include "units.hpp"

namespace otfast::entropic {

std::vector<double> softmin_on_grid(const AxisCosts& axes, MatrixView<const double> h, double epsilon,
                                    Monitor& monitor) {
  const double scale = kLog2E / epsilon;
  const GridOperator kernel(axes, scale);
  std::vector<double> out(static_cast<std::size_t>(h.rows * h.cols));
  Pulse pulse(monitor);
  parallel_for(h.rows, 1, [&](Index begin, Index end) {
    GridOperator own(kernel);  // it remembers the exponents of its last softmin
    std::vector<double> exponents(static_cast<std::size_t>(h.cols));
    for (Index k = begin; k < end; ++k) {
      for (Index j = 0; j < h.cols; ++j) exponents[static_cast<std::size_t>(j)] = h(k, j) * scale;
      const std::vector<double> softmin = own.softmin(exponents, pulse);
      double* row = out.data() + k * h.cols;
      for (const double exponent : softmin) *row++ = exponent / scale;
    }
  });
  return out;
}

}  // namespace otfast::entropic
