// Passes over a whole cost matrix: transforms of potentials and the search for small reduced costs.
#pragma once

#include <memory>
#include <vector>

#include "otfast/core/cost.hpp"
#include "otfast/core/monitor.hpp"
#include "otfast/core/types.hpp"

namespace otfast::exact {

/// A pair with its cost and its reduced cost C[row, col] - f[row] - g[col].
struct Pair {
  Node row = 0;
  Node col = 0;
  double cost = 0.0;
  double reduced = 0.0;
};

/// Looks at all pairs of a cost, in O(rows + cols) memory: streaming the matrix, or, where the cost bounds its blocks,
/// only the blocks that can matter. Threads share the rows; the monitor is polled. A potential of -inf takes its row or
/// column out of the problem.
template <class T>
class ReducedCosts {
 public:
  ReducedCosts(const Cost<T>& cost, Monitor& monitor);

  /// f_i = min_j C_ij - g_j, the c-transform; +inf where a row has no allowed pair, and -inf stays where `f` says so.
  void transform_rows(const std::vector<double>& g, std::vector<double>& f) const;

  /// g_j = min_i C_ij - f_i, likewise.
  void transform_cols(const std::vector<double>& f, std::vector<double>& g) const;

  /// `transform_rows` from g, then `transform_cols` from the new f: one pass where the matrix is streamed.
  void transform_both(std::vector<double>& f, std::vector<double>& g) const;

  /// All pairs with reduced cost below `threshold`, by rows; of a row at most the `per_row` smallest.
  std::vector<Pair> below(const std::vector<double>& f, const std::vector<double>& g, double threshold,
                          Index per_row) const;

  /// `transform_rows`, and the pairs below `threshold` for the new f, in one pass.
  std::vector<Pair> transform_rows_and_find_below(const std::vector<double>& g, std::vector<double>& f,
                                                  double threshold, Index per_row) const;

  /// What reduced costs look like when f is the transform of g, estimated from some rows (`f` only says which rows take
  /// part).
  struct Scale {
    double near;     ///< about `per_row` pairs of a row lie below it
    double typical;  ///< like `near`, but a sixteenth to a quarter of all pairs lie below it
  };
  Scale scale(const std::vector<double>& f, const std::vector<double>& g, Index per_row) const;

 private:
  struct Scratch;

  void transform_block(Index block, const std::vector<double>& g, const std::vector<double>& g_max,
                       std::vector<double>& f, Scratch& scratch) const;
  void find_in_block(Index block, const std::vector<double>& f, const std::vector<double>& g,
                     const std::vector<double>& g_max, double threshold, Index per_row, Scratch& scratch,
                     std::vector<Pair>& found) const;
  Index row_blocks() const { return (cost_.rows() + row_block_ - 1) / row_block_; }
  template <class Potential>
  void stream_cols(Potential potential, std::vector<double>& g) const;
  void search_cols(const std::vector<double>& f, std::vector<double>& g) const;
  template <class Visit>
  void for_row_blocks(Visit visit) const;
  template <class Visit>
  std::vector<Pair> collect(Visit visit) const;

  const Cost<T>& cost_;
  Monitor& monitor_;
  std::unique_ptr<BlockBounds> bounds_;  ///< null: stream everything
  Index row_block_;
  Index col_block_;
};

}  // namespace otfast::exact
