// What every processor of the architecture runs: SSE2 on x86-64, NEON on aarch64.
#define OTFAST_VECTOR_BYTES 16
#include "isa/kernels.inc.hpp"

namespace otfast::isa {

constinit const Kernels<float> base_float = kTable<float>;
constinit const Kernels<double> base_double = kTable<double>;

}  // namespace otfast::isa
