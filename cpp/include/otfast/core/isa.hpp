// Which instruction set the kernels in use were compiled for.
#pragma once

namespace otfast {

/// "base", "v3" (AVX2 and FMA) or "v4" (AVX-512): the best of this processor, or the environment's OTFAST_ISA. Throws
/// std::runtime_error when OTFAST_ISA asks for what does not exist here.
const char* isa_name();

}  // namespace otfast
