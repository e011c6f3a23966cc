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

  Lists() = default;
  template <class Key>
  Lists(Index keys, Index count, Key key) {
    build(keys, count, key);
  }

  template <class Key>
  void build(Index keys, Index count, Key key) {
    // Counted one place too far right; filling moves every start to where the next list begins, which is its place.
    start.assign(keys + 2, 0);
    values.resize(count);
    for (Index e = 0; e < count; ++e) ++start[key(e) + 2];
    std::partial_sum(start.begin(), start.end(), start.begin());
    for (Index e = 0; e < count; ++e) values[start[key(e) + 1]++] = e;
  }
};

}  // namespace otfast::exact
