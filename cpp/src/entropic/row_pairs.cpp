#include "row_pairs.hpp"

#include <limits>
#include <numeric>
#include <type_traits>

#include "otfast/math/base2.hpp"
#include "solver.hpp"
#include "start.hpp"
#include "stored_entries.hpp"

namespace otfast::entropic {
namespace {

/// The largest exponent, in base 2, that single precision holds to four digits behind the point.
constexpr double kRoughRange = 2048.0;

/// In single precision: half the memory, and twice the speed where memory is what limits it.
class StoredKernel final : public ScalingKernel, private PlanSink {
 public:
  StoredKernel(VectorView<const double> a, Index cols) : a_(a), entries_(a.size, cols) {}

  std::vector<double> scale_rows(const std::vector<double>& y, Pulse& pulse) const override {
    const auto weight = [this](Index i, double dot, double unit) { return dot > 0.0 ? a_[i] / (dot * unit) : 0.0; };
    return entries_.pass(y, weight, pulse);
  }

  PlanSink* sink() override { return this; }
  double rounding() const override { return 3e-7; }

 private:
  void clear(const Chunks&) override {}
  void put(Index, const RowGroup<float>& rows) override { put_rows(rows); }
  void put(Index, const RowGroup<double>& rows) override { put_rows(rows); }

  template <class Real>
  void put_rows(const RowGroup<Real>& rows) {
    for (Index r = 0; r < rows.count; ++r) entries_.put(rows.first + r, rows.e + r * rows.stride);
  }

  VectorView<const double> a_;
  StoredEntries<float> entries_;
};

}  // namespace

template <class Real, class T>
RowPairs<Real, T>::RowPairs(const Cost<T>& cost, VectorView<const double> a, VectorView<const double> b,
                            const Options& options, bool skips)
    : cost_(cost),
      a_(a),
      b_(b),
      options_(options),
      scale_(kLog2E / options.epsilon),
      damping_(damping(options.rho_a, options.epsilon)),
      skips_(skips),
      rows_(cost),
      sweep_(rows_, a, scale_, damping_, active(rows_)) {}

template <class Real, class T>
void RowPairs<Real, T>::sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column,
                              PlanSink* keep, Pulse& pulse) {
  sweep_.run(v, u, column, keep, pulse);
}

template <class Real, class T>
bool RowPairs<Real, T>::has_rough() const {
  // Neither costs nor the scale may leave the range of single precision.
  constexpr double kMost = 1e30;
  return std::is_same_v<Real, double> && options_.largest * scale_ <= kRoughRange && options_.largest < kMost &&
         scale_ < kMost && scale_ > 1.0 / kMost;
}

template <class Real, class T>
void RowPairs<Real, T>::rough_sweep(std::vector<double>& v, std::vector<double>& u, std::vector<double>& column,
                                    PlanSink* keep, Pulse& pulse) {
  if (!rough_) {
    const Rows<float> rows(cost_);
    rough_.emplace(rows, a_, scale_, damping_, active(rows));
  }
  rough_->run(v, u, column, keep, pulse);
}

template <class Real, class T>
std::vector<double> RowPairs<Real, T>::softmin(const std::vector<double>& x, const std::vector<Node>& cols,
                                               Pulse& pulse) {
  std::vector<Node> all(x.size());
  std::iota(all.begin(), all.end(), 0);
  const auto part = cost_.restrict(view(all), view(cols));
  return column_softmin(Rows<Real>(*part), x, scale_, pulse);
}

template <class Real, class T>
std::unique_ptr<ScalingKernel> RowPairs<Real, T>::new_kernel() {
  if (!options_.may_store) return nullptr;
  return std::make_unique<StoredKernel>(a_, b_.size);
}

template <class Real, class T>
std::unique_ptr<KeptPlan> RowPairs<Real, T>::new_plan(const std::vector<double>& v, Pulse& pulse) {
  // At low temperature few entries matter; products with them alone are then faster than with all, or than new ones.
  // They are in double precision, too, which small problems can well afford.
  constexpr double kSmall = 1024.0;
  constexpr double kMostBytes = 1 << 28;
  constexpr double kBytes = 8.0;     // of an entry that is kept by itself
  constexpr double kInBlocks = 6.0;  // and with its block, of which only a part matters
  const Index n = b_.size;
  const double pairs = static_cast<double>(a_.size) * static_cast<double>(n);
  const double tolerance = options_.tolerance;
  const double density = sweep_.density(v, Negligible(n, tolerance).least(), pulse);
  const double typical = sweep_.density(v, Negligible::kTypical, pulse);
  if (sweep_.skips() && density >= 0.02 && density * pairs * kInBlocks <= kMostBytes) {
    return std::make_unique<BlockPlan>(n, tolerance);
  }
  const bool is_sparse = pairs <= kSmall || typical <= (options_.may_store ? 0.12 : 0.25);
  if (is_sparse && density * pairs * kBytes <= kMostBytes) return std::make_unique<SparsePlan>(b_, tolerance);
  if (options_.may_store) return std::make_unique<DensePlan>(a_.size, b_.size);
  if (has_rough()) {
    const Rows<float> rows(cost_);
    return std::make_unique<RecomputedPlan<float>>(rows, scale_, v, active(rows), tolerance);
  }
  return std::make_unique<RecomputedPlan<Real>>(rows_, scale_, v, active(rows_), tolerance);
}

template <class Real, class T>
std::vector<double> RowPairs<Real, T>::start(Monitor& monitor) {
  if (std::is_same_v<Real, float> || has_rough()) return start_potentials<float>(cost_, a_, b_, options_, monitor);
  return start_potentials<double>(cost_, a_, b_, options_, monitor);
}

template <class Real, class T>
double RowPairs<Real, T>::fast_contraction() const {
  return 0.6;
}

template <class Real, class T>
double RowPairs<Real, T>::precision() const {
  return std::numeric_limits<Real>::epsilon();
}

template <class Real, class T>
double RowPairs<Real, T>::faintest() const {
  return std::is_same_v<Real, float> ? 1e-30 : 1e-290;
}

template class RowPairs<float, float>;
template class RowPairs<float, double>;
template class RowPairs<double, float>;
template class RowPairs<double, double>;

}  // namespace otfast::entropic
