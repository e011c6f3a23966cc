// Groups of near points, by recursive bisection.
#pragma once

#include <cstdint>
#include <vector>

#include "otfast/core/types.hpp"

namespace otfast {

/// The points of positive mass in an order in which neighbours are near, cut into cells.
struct Clusters {
  std::vector<Node> order;           ///< points, cell after cell
  std::vector<Node> start;           ///< cell c is order[start[c]:start[c + 1]]
  std::vector<Node> representative;  ///< of each cell: its point nearest to the cell's mean
  std::vector<std::int64_t> mass;    ///< of each cell
};

/// Halves the points at the median of the coordinate with the largest spread until a cell has at most `cell_size`
/// points. `features` are points x dim, row-major.
Clusters bisect(const std::vector<float>& features, Index dim, const std::vector<std::int64_t>& mass, Index cell_size);

/// How much smaller cells are than the whole: the mean distance between two points of a cell over that between two
/// distant cells. Near 1 where cells tell nothing (no geometry, or too many dimensions), and where they have but one
/// point.
double cell_size_ratio(const std::vector<float>& features, Index dim, const Clusters& cells);

}  // namespace otfast
