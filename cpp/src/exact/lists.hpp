// Numbers sorted by key into flat lists: arcs by node, pairs by row.
#pragma once

#include <numeric>
#include <vector>

#include "otfast/core/types.hpp"

namespace otfast::exact {

/// The numbers e < count with key(e) == k are values[start[k]:start[k + 1]], ascending.
struct Lists {
  std::vector<Index> start;
  std::vector<Index> values;

  template <class Key>
  Lists(Index keys, Index count, Key key) : start(keys + 1, 0), values(count) {
    for (Index e = 0; e < count; ++e) ++start[key(e) + 1];
    std::partial_sum(start.begin(), start.end(), start.begin());
    std::vector<Index> fill(start.begin(), start.end() - 1);
    for (Index e = 0; e < count; ++e) values[fill[key(e)]++] = e;
  }
};

}  // namespace otfast::exact
