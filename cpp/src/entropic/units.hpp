// From natural exponents to those of base 2, in which this room computes.
#pragma once

namespace otfast::entropic {

inline constexpr double kLog2E = 1.4426950408889634;  ///< log2(e)

}  // namespace otfast::entropic
