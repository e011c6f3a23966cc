#include "clusters.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace otfast {
namespace {

struct Bisection {
  const std::vector<float>& features;
  Index dim;
  const std::vector<std::int64_t>& mass;
  Index cell_size;
  Clusters result;
  std::vector<float> low, high;  ///< scratch: of the points of a part, by coordinate

  const float* point(Node i) const { return features.data() + static_cast<Index>(i) * dim; }

  Index widest_coordinate(Index begin, Index end) {
    low.assign(dim, std::numeric_limits<float>::infinity());
    high.assign(dim, -std::numeric_limits<float>::infinity());
    for (Index p = begin; p < end; ++p) {
      const float* x = point(result.order[p]);
      for (Index k = 0; k < dim; ++k) {
        low[k] = std::min(low[k], x[k]);
        high[k] = std::max(high[k], x[k]);
      }
    }
    Index widest = 0;
    for (Index k = 1; k < dim; ++k) {
      if (high[k] - low[k] > high[widest] - low[widest]) widest = k;
    }
    return widest;
  }

  Node nearest_to_mean(Index begin, Index end) const {
    std::vector<float> mean(dim, 0.0F);
    for (Index p = begin; p < end; ++p) {
      for (Index k = 0; k < dim; ++k) mean[k] += point(result.order[p])[k];
    }
    for (float& x : mean) x /= static_cast<float>(end - begin);
    Node nearest = result.order[begin];
    float least = std::numeric_limits<float>::infinity();
    for (Index p = begin; p < end; ++p) {
      float distance = 0.0F;
      for (Index k = 0; k < dim; ++k) {
        const float d = point(result.order[p])[k] - mean[k];
        distance += d * d;
      }
      if (distance < least) {
        least = distance;
        nearest = result.order[p];
      }
    }
    return nearest;
  }

  void split(Index begin, Index end) {
    if (end - begin <= cell_size) {
      std::int64_t sum = 0;
      for (Index p = begin; p < end; ++p) sum += mass[result.order[p]];
      result.mass.push_back(sum);
      result.representative.push_back(nearest_to_mean(begin, end));
      result.start.push_back(static_cast<Node>(end));
      return;
    }
    const Index k = widest_coordinate(begin, end), middle = begin + (end - begin) / 2;
    std::nth_element(result.order.begin() + begin, result.order.begin() + middle, result.order.begin() + end,
                     [&](Node a, Node b) { return point(a)[k] < point(b)[k]; });
    split(begin, middle);
    split(middle, end);
  }
};

double distance(const std::vector<float>& features, Index dim, Node i, Node j) {
  double sum = 0.0;
  for (Index k = 0; k < dim; ++k) {
    const double d = features[i * dim + k] - features[j * dim + k];
    sum += d * d;
  }
  return std::sqrt(sum);
}

}  // namespace

Clusters bisect(const std::vector<float>& features, Index dim, const std::vector<std::int64_t>& mass, Index cell_size) {
  Bisection work{features, dim, mass, cell_size, {}, {}, {}};
  for (Node i = 0; i < static_cast<Node>(mass.size()); ++i) {
    if (mass[i] > 0) work.result.order.push_back(i);
  }
  work.result.start.push_back(0);
  if (!work.result.order.empty()) work.split(0, static_cast<Index>(work.result.order.size()));
  return work.result;
}

double cell_size_ratio(const std::vector<float>& features, Index dim, const Clusters& cells) {
  const std::size_t count = cells.representative.size();
  double within = 0.0, across = 0.0;
  for (std::size_t c = 0; c < count; ++c) {
    within += distance(features, dim, cells.order[cells.start[c]], cells.order[cells.start[c + 1] - 1]);
    across += distance(features, dim, cells.representative[c], cells.representative[(c + count / 2) % count]);
  }
  return count == cells.order.size() || across == 0.0 ? 1.0 : within / across;
}

}  // namespace otfast
