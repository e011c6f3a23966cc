// Points of equal costs, solved as one.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "basis.hpp"
#include "masses.hpp"
#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/types.hpp"

namespace otfast::exact {

/// Points of one side that may be told apart only by their mass.
struct Twins {
  std::vector<Node> first;  ///< of each group: the point that stands for it
  std::vector<Node> group;  ///< by point; -1 without mass
  std::vector<Mass> mass;   ///< of each group
};

/// A problem in which rows with the same costs are one row, and columns likewise: quantised colours, data on a grid,
/// samples drawn with repetition.
template <class T>
class MergedProblem {
 public:
  /// Nothing if there are too few repetitions for the smaller problem to be worth while. Takes one pass over the matrix
  /// where there may be some, and looks at one row and one column else.
  static std::optional<MergedProblem> find(const Cost<T>& cost, const Masses& masses, Monitor& monitor);

  const Cost<T>& cost() const { return *cost_; }
  const Masses& masses() const { return masses_; }

  /// The values that stand for the groups of rows.
  std::vector<double> of_groups(const std::vector<double>& f) const;

  /// The solution of the merged problem as one of the whole: twins share their potential and divide the flows. A basis
  /// stays a basis.
  Basis restore(Basis basis, const Masses& masses) const;

 private:
  Twins rows_;
  Twins cols_;
  Masses masses_;
  std::unique_ptr<Cost<T>> cost_;
};

}  // namespace otfast::exact
