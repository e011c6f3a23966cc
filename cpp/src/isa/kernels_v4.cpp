// x86-64-v4: AVX-512 F, DQ, BW and VL.
#define OTFAST_VECTOR_BYTES 64
#include "isa/kernels.inc.hpp"

namespace otfast::isa {

constinit const Kernels<float> v4_float = kTable<float>;
constinit const Kernels<double> v4_double = kTable<double>;

}  // namespace otfast::isa
