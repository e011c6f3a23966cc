#include "otfast/multimarginal/tensor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "isa/kernels.hpp"
#include "otfast/core/aligned.hpp"
#include "otfast/core/denormals.hpp"
#include "otfast/core/pulse.hpp"
#include "otfast/core/threads.hpp"
#include "otfast/math/base2.hpp"

namespace otfast::multimarginal {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Index kRun = 4096;  // the longest row that the kernels take
constexpr Index kSlices = 4;  // that are folded into the marginal together

/// A factor that is further from 1 comes from potentials that are no guess at all.
constexpr double kFarthest = 0x1p40;

/// Potentials of all axes together may move so far from those of a kept plan, as a power of two.
constexpr double kFarthestTogether = 40.0;

/// Below this a mass may have lost terms to the end of the range.
template <class Real>
constexpr double kFaint = std::is_same_v<Real, float> ? 0x1p-70 : 0x1p-900;

Index product(const std::vector<Index>& shape, std::size_t begin, std::size_t end) {
  Index size = 1;
  for (std::size_t k = begin; k < end; ++k) size *= shape[k];
  return size;
}

/// The first of the trailing axes whose tuples make a row for the kernels.
std::size_t first_trailing(const std::vector<Index>& shape) {
  std::size_t first = shape.size();
  while (first > 1 && product(shape, first - 1, shape.size()) <= kRun) --first;
  return first;
}

Index slices_together(const std::vector<Index>& shape, Index item_size) {
  constexpr Index kSmall = Index{1} << 21;
  const Index slice = product(shape, 1, shape.size()) * item_size;
  for (const Index count : {kSlices, Index{2}, Index{1}}) {
    // A tenth of the tensor at most, and half of that as long as there is a choice: large pages round up.
    const Index room = shape[0] * slice / (count > 1 ? 20 : 10);
    if ((count + 1) * slice <= std::max(kSmall, room)) return std::min(count, shape[0]);
  }
  return 0;
}

template <class Real, class T>
Real sum_exponentials(const T* c, Real scale, const Real* v, Real shift, Index n, Real* e) {
  if constexpr (std::is_same_v<Real, T>) {
    return isa::kernels<Real>().exponentials(c, scale, v, shift, n, e);
  } else {
    return isa::kernels<Real>().exponentials_of_other(c, scale, v, shift, n, e);
  }
}

/// The sums f_k + f_{k+1} + ... over all tuples of some axes.
std::vector<double> outer_sum(const std::vector<std::vector<double>>& vectors, std::size_t begin, std::size_t end) {
  std::vector<double> sums{0.0};
  for (std::size_t k = begin; k < end; ++k) {
    std::vector<double> longer;
    longer.reserve(sums.size() * vectors[k].size());
    for (const double sum : sums) {
      for (const double entry : vectors[k]) longer.push_back(sum + entry);
    }
    sums = std::move(longer);
  }
  return sums;
}

std::vector<double> outer_product(const std::vector<std::vector<double>>& vectors, std::size_t begin, std::size_t end) {
  std::vector<double> products{1.0};
  for (std::size_t k = begin; k < end; ++k) {
    std::vector<double> longer;
    longer.reserve(products.size() * vectors[k].size());
    for (const double factor : products) {
      for (const double entry : vectors[k]) longer.push_back(factor * entry);
    }
    products = std::move(longer);
  }
  return products;
}

/// The axes while they are visited. Masses are shares of the mass of the first axis.
template <class Real>
class Visits {
 public:
  Visits(const std::vector<Axis>& axes, double epsilon, bool update) : axes_(axes), epsilon_(epsilon), update_(update) {
    for (const Axis& axis : axes) {
      potentials.emplace_back(axis.potentials.begin(), axis.potentials.end());
      factors.emplace_back(static_cast<std::size_t>(axis.weights.size), 1.0);
      damping_.push_back(std::isinf(axis.rho) ? 1.0 : axis.rho / (axis.rho + epsilon));
      double total = 0.0;
      for (const double weight : axis.weights) total += weight;
      totals_.push_back(total);
    }
  }

  double total(std::size_t k) const { return totals_[k]; }

  /// Starts from the plan of other potentials. False if they are too far off.
  bool start_from(const std::vector<VectorView<const double>>& reference) {
    double together = 0.0;
    for (std::size_t k = 0; k < axes_.size(); ++k) {
      double farthest = 0.0;
      for (Index i = 0; i < axes_[k].weights.size; ++i) {
        if (!(axes_[k].weights[i] > 0.0)) continue;
        const double moved = (axes_[k].potentials[i] - reference[k][i]) / epsilon_;
        factors[k][static_cast<std::size_t>(i)] = std::exp(moved);
        farthest = std::max(farthest, std::abs(moved) * kLog2E);
      }
      together += farthest;
    }
    if (together < kFarthestTogether) return true;
    for (auto& of_axis : factors) std::fill(of_axis.begin(), of_axis.end(), 1.0);
    return false;
  }

  /// Visits point i of an axis, the plan on which is `density` times its weight. False if that is out of range.
  bool visit_point(std::size_t k, Index i, double density) {
    const Axis& axis = axes_[k];
    if (!(axis.weights[i] > 0.0)) return true;
    if (!(density > 1.0 / kFarthest && density < kFarthest)) return false;
    double& f = potentials[k][static_cast<std::size_t>(i)];
    const double due = damping_[k] * (f - epsilon_ * std::log(density));
    if (std::isinf(axis.rho)) {
      violation_ += std::abs(density - 1.0) * axis.weights[i];
    } else if (axis.rho > 0.0) {
      violation_ = std::max(violation_, std::abs(due - f) / epsilon_);
    }
    double factor = 1.0;
    if (update_) {
      factor = std::exp((due - f) / epsilon_);
      f = due;
    }
    factors[k][static_cast<std::size_t>(i)] *= factor;
    mass_ += density * factor * axis.weights[i];
    return factor > 1.0 / kFarthest && factor < kFarthest;
  }

  /// After all points of an axis.
  void finish_axis(std::size_t k, bool is_first_round) {
    const bool is_exact = std::isinf(axes_[k].rho);
    if (is_first_round) error = std::max(error, is_exact ? violation_ / totals_[k] : violation_);
    mass = is_exact && update_ ? totals_[k] : mass_;
    violation_ = mass_ = 0.0;
  }

  /// Visits the axes from `begin` to `end` in the marginal on them of the plan in memory.
  bool visit(const double* plan, std::size_t begin, std::size_t end, bool is_first_round) {
    if (begin == end) return true;
    const std::vector<double> later = outer_product(factors, begin + 1, end);
    const auto size = static_cast<Index>(factors[begin].size()), n = static_cast<Index>(later.size());
    for (Index i = 0; i < size; ++i) {
      double sum = 0.0;
      for (Index j = 0; j < n; j += kRun) {
        double part = 0.0;
        isa::kernels<double>().dot_rows(plan + i * n + j, n, later.data() + j, 1, std::min(kRun, n - j), &part);
        sum += part;
      }
      const double weight = axes_[begin].weights[i];
      if (weight > 0.0 && !(sum > kFaint<Real>)) return false;
      const double of_point = factors[begin][static_cast<std::size_t>(i)] * sum * totals_[0];
      if (!visit_point(begin, i, of_point / weight)) return false;
    }
    finish_axis(begin, is_first_round);
    if (begin + 1 == end) return true;
    std::vector<double> marginal(static_cast<std::size_t>(n), 0.0);
    isa::kernels<double>().add_rows(plan, n, factors[begin].data(), size, n, marginal.data());
    return visit(marginal.data(), begin + 1, end, is_first_round);
  }

  std::vector<std::vector<double>> potentials;
  std::vector<std::vector<double>> factors;  ///< by which the plan has grown from that in memory, for every point
  double error = 0.0;
  double mass = 0.0;

 private:
  const std::vector<Axis>& axes_;
  double epsilon_;
  bool update_;
  std::vector<double> damping_, totals_;
  double violation_ = 0.0, mass_ = 0.0;
};

/// One pass over the tensor, a few slices of its first axis after another.
template <class Real, class T>
class Pass {
 public:
  /// `kept` is null, or room for the plan of all slices, which is there already if `is_known`.
  Pass(const T* entries, const std::vector<Axis>& axes, double epsilon, Real* kept, bool is_known, Monitor& monitor)
      : entries_(entries), scale_(kLog2E / epsilon), pulse_(monitor), kept_(kept), is_known_(is_known) {
    std::vector<std::vector<double>> exponents;
    for (const Axis& axis : axes) {
      shape_.push_back(axis.weights.size);
      std::vector<double>& own = exponents.emplace_back();
      for (Index i = 0; i < axis.weights.size; ++i) {
        const bool is_first = exponents.size() == 1;
        own.push_back(axis.potentials[i] * scale_ + (is_first ? 0.0 : std::log2(axis.weights[i])));
      }
    }
    first_trailing_ = first_trailing(shape_);
    run_ = product(shape_, first_trailing_, shape_.size());
    runs_ = product(shape_, 1, first_trailing_);
    of_slice_ = std::move(exponents[0]);
    of_run_ = outer_sum(exponents, 1, first_trailing_);
    const std::vector<double> trailing = outer_sum(exponents, first_trailing_, shape_.size());
    // What cancels between runs and their entries would cost digits.
    const double top = *std::max_element(trailing.begin(), trailing.end());
    for (double& exponent : of_run_) exponent += top;
    for (const double exponent : trailing) v_.push_back(static_cast<Real>(exponent - top));
    together_ = slices_together(shape_, static_cast<Index>(sizeof(Real)));
    if (kept_ == nullptr) e_.resize(static_cast<std::size_t>(together_ * runs_ * run_));
    marginal_.resize(static_cast<std::size_t>(runs_ * run_), Real{0});
    sums_.resize(static_cast<std::size_t>(together_ * runs_));
  }

  /// Visits the first axis, and adds the plan up over it.
  bool run(const Axis& axis, Visits<Real>& visits) {
    const Index slice = runs_ * run_;
    const std::vector<double> of_runs = outer_product(visits.factors, 1, first_trailing_);
    const std::vector<double> later = outer_product(visits.factors, first_trailing_, shape_.size());
    const AlignedVector<Real> of_entries(later.begin(), later.end());
    for (Index begin = 0; begin < shape_[0]; begin += together_) {
      const Index count = std::min(together_, shape_[0] - begin);
      Real* e = kept_ == nullptr ? e_.data() : kept_ + begin * slice;
      for_runs(count, [&](Index q) {
        Real sums[kSlices] = {};
        if (is_known_) {
          isa::kernels<Real>().dot_rows(e + q * run_, slice, of_entries.data(), count, run_, sums);
        } else {
          for (Index r = 0; r < count; ++r) sums[r] = exponentiate(begin + r, q, e + r * slice + q * run_);
        }
        for (Index r = 0; r < count; ++r) sums_[static_cast<std::size_t>(r * runs_ + q)] = sums[r];
      });
      Real weights[kSlices] = {};
      for (Index r = 0; r < count; ++r) {
        const Index i = begin + r;
        double density = 0.0;
        for (Index q = 0; q < runs_; ++q) {
          const auto sum = static_cast<double>(sums_[static_cast<std::size_t>(r * runs_ + q)]);
          density += of_runs[static_cast<std::size_t>(q)] * sum;
        }
        density *= visits.factors[0][static_cast<std::size_t>(i)];
        if (!visits.visit_point(0, i, density)) return false;
        const double share = axis.weights[i] / visits.total(0);
        weights[r] = static_cast<Real>(share * visits.factors[0][static_cast<std::size_t>(i)]);
      }
      for_runs(count, [&](Index q) {
        isa::kernels<Real>().add_rows(e + q * run_, slice, weights, count, run_, marginal_.data() + q * run_);
      });
    }
    visits.finish_axis(0, true);
    return true;
  }

  /// Visits all other axes in the marginal that `run` has left.
  bool visit_others(Visits<Real>& visits, bool is_first_round) const {
    const std::size_t end = shape_.size();
    if (first_trailing_ > 1) {
      const std::vector<double> later = outer_product(visits.factors, first_trailing_, end);
      const AlignedVector<Real> of_entries(later.begin(), later.end());
      AlignedVector<Real> dots(static_cast<std::size_t>(runs_));
      isa::kernels<Real>().dot_rows(marginal_.data(), run_, of_entries.data(), runs_, run_, dots.data());
      const std::vector<double> leading(dots.begin(), dots.end());
      if (!visits.visit(leading.data(), 1, first_trailing_, is_first_round)) return false;
    }
    const std::vector<double> earlier = outer_product(visits.factors, 1, first_trailing_);
    const AlignedVector<Real> of_runs(earlier.begin(), earlier.end());
    AlignedVector<Real> sums(static_cast<std::size_t>(run_), Real{0});
    isa::kernels<Real>().add_rows(marginal_.data(), run_, of_runs.data(), runs_, run_, sums.data());
    const std::vector<double> trailing(sums.begin(), sums.end());
    return visits.visit(trailing.data(), first_trailing_, end, is_first_round);
  }

 private:
  template <class Body>
  void for_runs(Index count, Body body) {
    constexpr Index kGrain = Index{1} << 17;
    parallel_for(runs_, std::max<Index>(1, kGrain / (count * run_)), [&](Index begin, Index end) {
      Index since = 0;
      for (Index q = begin; q < end; ++q) {
        pulse_.beat(count * run_, since);
        const FlushDenormals flush_denormals;
        body(q);
      }
    });
  }

  /// Run q of slice i of the plan; returns its sum.
  Real exponentiate(Index i, Index q, Real* e) const {
    const double shift = of_run_[static_cast<std::size_t>(q)] + of_slice_[static_cast<std::size_t>(i)];
    if (!(shift > -kInfinity)) {
      std::fill_n(e, run_, Real{0});
      return Real{0};
    }
    const T* c = entries_ + (i * runs_ + q) * run_;
    return sum_exponentials(c, static_cast<Real>(scale_), v_.data(), static_cast<Real>(shift), run_, e);
  }

  const T* entries_;
  double scale_;
  Pulse pulse_;
  Real* kept_;
  bool is_known_;
  std::vector<Index> shape_;
  std::size_t first_trailing_ = 0;
  Index run_ = 0, runs_ = 0, together_ = 0;
  std::vector<double> of_slice_, of_run_;  // exponents
  AlignedVector<Real> v_;                  // exponents of the entries of a run
  UnfilledVector<Real> e_;                 // a few slices of the plan, each relative to the weight of its point
  AlignedVector<Real> marginal_;           // the plan summed over the first axis
  std::vector<Real> sums_;                 // of the runs of e
};

}  // namespace

bool has_tour(const std::vector<Index>& shape, Index item_size) {
  return shape.size() > 1 && shape.back() <= kRun && slices_together(shape, item_size) > 0;
}

template <class Real, class T>
Tour tour(const T* entries, const std::vector<Axis>& axes, double epsilon, bool update, Index rounds,
          const KeptPlan<Real>* kept, Monitor& monitor) {
  Visits<Real> visits(axes, epsilon, update);
  const bool is_known = kept != nullptr && !kept->reference.empty() && visits.start_from(kept->reference);
  Pass<Real, T> pass(entries, axes, epsilon, kept == nullptr ? nullptr : kept->entries, is_known, monitor);
  bool trusted = pass.run(axes[0], visits);
  for (Index round = 0; trusted && round < (update ? rounds : 1); ++round) {
    trusted = pass.visit_others(visits, round == 0);
  }
  return {trusted, std::move(visits.potentials), visits.error, visits.mass, kept != nullptr && !is_known};
}

#define OTFAST_INSTANTIATE(Real, T) \
  template Tour tour<Real>(const T*, const std::vector<Axis>&, double, bool, Index, const KeptPlan<Real>*, Monitor&);
OTFAST_INSTANTIATE(float, float)
OTFAST_INSTANTIATE(double, float)
OTFAST_INSTANTIATE(double, double)
#undef OTFAST_INSTANTIATE

}  // namespace otfast::multimarginal
