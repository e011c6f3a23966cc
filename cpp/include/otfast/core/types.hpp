// The integer types that every room shares.
#pragma once

#include <cstdint>

namespace otfast {

/// Counts and offsets: n, m, n*m, strides.
using Index = std::int64_t;

/// Numbers of points, rows, columns and tree nodes. Half the memory of Index, which is what graph code waits for.
using Node = std::int32_t;

}  // namespace otfast
