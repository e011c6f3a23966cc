// x86-64-v3: AVX2 and FMA.
#define OTFAST_VECTOR_BYTES 32
#include "isa/kernels.inc.hpp"

namespace otfast::isa {

constinit const Kernels<float> v3_float = kTable<float>;
constinit const Kernels<double> v3_double = kTable<double>;

}  // namespace otfast::isa
