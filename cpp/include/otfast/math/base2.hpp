// From natural exponents to those of base 2, in which the kernels compute.
#pragma once

namespace otfast {

inline constexpr double kLog2E = 1.4426950408889634;  ///< log2(e)

}  // namespace otfast
