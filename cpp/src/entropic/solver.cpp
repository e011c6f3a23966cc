#include "solver.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include "newton.hpp"
#include "otfast/math/base2.hpp"

namespace otfast::entropic {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLn2 = 0.6931471805599453;

/// Thrown where a row or a column of positive mass has no way to go.
struct Infeasible {};

double sum(VectorView<const double> weights) { return std::accumulate(weights.begin(), weights.end(), 0.0); }

class Solver {
 public:
  Solver(Pairs& pairs, VectorView<const double> a, VectorView<const double> b, const Options& options, Monitor& monitor)
      : pairs_(pairs),
        a_(a),
        b_(b),
        options_(options),
        monitor_(monitor),
        pulse_(monitor),
        scale_(kLog2E / options.epsilon),
        damping_a_(damping(options.rho_a, options.epsilon)),
        damping_b_(damping(options.rho_b, options.epsilon)),
        mass_(sum(a)),
        log_b_(static_cast<std::size_t>(b.size)),
        u_(static_cast<std::size_t>(a.size), 0.0),
        v_(log_b_.size()) {
    for (std::size_t j = 0; j < log_b_.size(); ++j) log_b_[j] = std::log2(b[static_cast<Index>(j)]);
  }

  Potentials solve() {
    Potentials result;
    try {
      start(options_.g);
      switch (options_.method) {
        case Method::automatic: choose_and_run(); break;
        case Method::log: iterate(kNoLimit); break;
        case Method::stabilized: iterate_in_memory(kNoLimit); break;
        case Method::newton: ascend(); break;
      }
      result = potentials();
    } catch (const Infeasible&) {
      status_ = Status::infeasible;
    }
    result.status = status_;
    result.iterations = iterations_;
    result.error = error_;
    return result;
  }

 private:
  static constexpr Index kNoLimit = std::numeric_limits<Index>::max();

  /// At high temperature iterations converge fast, unless the plan nearly falls apart, and where marginals are so cheap
  /// that they matter little. Newton's method goes on, or does all.
  void choose_and_run() {
    constexpr double kHot = 1.0 / 20.0;  // of the range
    constexpr Index kPatience = 60;
    if (damping_a_ * damping_b_ < pairs_.fast_contraction()) return iterate(kNoLimit);
    if (!is_balanced() || options_.epsilon < kHot * options_.range) return ascend();
    iterate_in_memory(kPatience);
    if (!is_over_) climb_to_the_top();
  }

  bool is_balanced() const { return options_.rho_a == kInfinity && options_.rho_b == kInfinity; }

  void start(VectorView<const double> g) {
    v_ = log_b_;
    if (g.size == 0) return;
    for (std::size_t j = 0; j < v_.size(); ++j) v_[j] += g[static_cast<Index>(j)] * scale_;
  }

  /// Scales the rows. Far from the solution, methods that need no full precision there do with single precision.
  void sweep(PlanSink* keep) {
    constexpr double kRough = 2e-3;     // errors from which a step leaves what single precision tells well
    constexpr double kRoughest = 1e-5;  // and those that it cannot tell
    constexpr Index kMostRough = 16;    // whoever is not near by then may be kept away by rounding
    is_rough_ = may_be_rough_ && pairs_.has_rough() && error_ > kRough && options_.tolerance < kRoughest &&
                iterations_ + 1 < options_.max_iterations && rough_sweeps_ < kMostRough && is_tame();
    rough_sweeps_ += is_rough_ ? 1 : 0;
    ++iterations_;
    if (is_rough_) {
      pairs_.rough_sweep(v_, u_, column_, keep, pulse_);
    } else {
      pairs_.sweep(v_, u_, column_, keep, pulse_);
    }
    for (Index i = 0; i < a_.size; ++i) {
      if (a_[i] > 0.0 && u_[static_cast<std::size_t>(i)] == kInfinity) throw Infeasible{};
    }
    plan_mass_ = std::accumulate(column_.begin(), column_.end(), 0.0);
    if (is_rough_ && violation() <= kRoughest) {
      error_ = violation();
      sweep(keep);
    }
  }

  /// Whether single precision keeps digits behind the point of potentials, and holds the masses of all columns.
  bool is_tame() const {
    constexpr double kMost = 2048.0, kLightest = 0x1p-60;
    for (std::size_t j = 0; j < v_.size(); ++j) {
      const double weight = b_[static_cast<Index>(j)];
      if (weight > 0.0 && !(std::abs(v_[j]) < kMost && weight > kLightest * mass_)) return false;
    }
    return true;
  }

  /// The error that is left in the columns, all rows being right.
  double violation() const {
    if (!is_balanced()) {
      double largest = 0.0;
      for (std::size_t j = 0; j < v_.size(); ++j) {
        if (b_[static_cast<Index>(j)] == 0.0) continue;
        largest = std::max(largest, std::abs(damping_b_ * (v_[j] - std::log2(column_[j])) + log_b_[j] - v_[j]));
      }
      return largest * kLn2;
    }
    double total = 0.0;
    for (Index j = 0; j < b_.size; ++j) total += std::abs(column_[static_cast<std::size_t>(j)] - b_[j]);
    return total / mass_;
  }

  /// Half an iteration: the columns to their marginals.
  void move_columns() {
    const double faintest = pairs_.faintest() * mass_;
    std::vector<Node> faint;
    plan_mass_ = 0.0;
    for (std::size_t j = 0; j < v_.size(); ++j) {
      if (b_[static_cast<Index>(j)] == 0.0) continue;
      if (column_[j] > faintest) {
        const double softmin = v_[j] - std::log2(column_[j]);
        v_[j] = damping_b_ * softmin + log_b_[j];
        plan_mass_ += std::exp2(v_[j] - softmin);
      } else {
        faint.push_back(static_cast<Node>(j));
      }
    }
    if (faint.empty()) return;
    const std::vector<double> softmin = softmin_of(faint);
    for (std::size_t k = 0; k < faint.size(); ++k) {
      const auto j = static_cast<std::size_t>(faint[k]);
      if (softmin[k] == kInfinity) throw Infeasible{};
      v_[j] = damping_b_ * softmin[k] + log_b_[j];
      plan_mass_ += std::exp2(v_[j] - softmin[k]);
    }
  }

  /// The potentials that some columns take against those of the rows, before damping.
  std::vector<double> softmin_of(const std::vector<Node>& cols) {
    std::vector<double> x(u_.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double weight = a_[static_cast<Index>(i)];
      x[i] = weight > 0.0 ? u_[i] + std::log2(weight) : -kInfinity;
    }
    return pairs_.softmin(x, cols, pulse_);
  }

  /// Notes the error, tells it to the monitor, and says whether the work is over.
  bool is_done(double error) {
    is_over_ = is_over(error);
    return is_over_;
  }

  bool is_over(double error) {
    error_ = error;
    if (options_.tolerance > 0.0 && error <= options_.tolerance) {
      status_ = Status::optimal;
      return true;
    }
    if (iterations_ >= options_.max_iterations) {
      status_ = Status::iteration_limit;
      return true;
    }
    if (monitor_.stopped() || (monitor_.due() && monitor_.report({iterations_, error, value()}))) {
      status_ = Status::stopped;
      return true;
    }
    return false;
  }

  // --- Sinkhorn's iterations.

  /// Up to a limit, then on to the columns.
  void iterate(Index limit) {
    std::vector<double> u_before, v_before;
    while (iterations_ < limit) {
      if (is_balanced()) {
        sweep(nullptr);
        if (is_done(violation())) return;
        move_columns();
      } else {
        u_before = u_;
        v_before = v_;
        sweep(nullptr);
        move_columns();
        const double change = std::max(largest_change(u_before, u_), largest_change(v_before, v_));
        if (is_done(iterations_ == 1 ? kInfinity : change * kLn2)) return;
      }
    }
  }

  static double largest_change(const std::vector<double>& before, const std::vector<double>& after) {
    double largest = 0.0;
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (std::isfinite(after[i])) largest = std::max(largest, std::abs(after[i] - before[i]));
    }
    return largest;
  }

  /// The same on scalings, where there is a kernel for them and marginals are exact; sweeps check what they say and do
  /// what they cannot.
  void iterate_in_memory(Index limit) {
    const auto kernel = is_balanced() ? pairs_.new_kernel() : nullptr;
    if (!kernel) return iterate(limit);
    may_be_rough_ = true;
    while (iterations_ < limit) {
      sweep(kernel->sink());
      const double error = violation();
      if (is_done(error)) return;
      if (error < 2.0 * kernel->rounding() || !scale_in_memory(*kernel, limit)) move_columns();
    }
  }

  /// Iterations on the kernel of the last sweep; false if some scaling leaves the range of single precision at once.
  bool scale_in_memory(const ScalingKernel& kernel, Index limit) {
    constexpr double kFar = 0x1p40;
    const auto is_near = [](double scaling) { return scaling < kFar && scaling > 1.0 / kFar; };
    std::vector<double> scaling(v_.size(), 0.0);
    for (std::size_t j = 0; j < scaling.size(); ++j) {
      const double weight = b_[static_cast<Index>(j)];
      if (weight == 0.0) continue;
      scaling[j] = weight / column_[j];
      if (!is_near(scaling[j])) return false;
    }
    bool near = true;
    double error = kInfinity;
    const Index last = std::min(limit, options_.max_iterations - 1);  // leaves one for a sweep
    while (near && error > std::max(kernel.rounding(), 0.5 * options_.tolerance) && iterations_ < last) {
      ++iterations_;
      const std::vector<double> sums = kernel.scale_rows(scaling, pulse_);
      error = 0.0;
      for (std::size_t j = 0; j < scaling.size(); ++j) {
        const double weight = b_[static_cast<Index>(j)];
        if (weight == 0.0) continue;
        error += std::abs(scaling[j] * sums[j] - weight) / mass_;
        const double next = weight / sums[j];
        near = near && is_near(next);
        if (std::isfinite(next)) scaling[j] = next;
      }
      if (monitor_.due() && monitor_.report({iterations_, error, std::nan("")})) break;
    }
    for (std::size_t j = 0; j < scaling.size(); ++j) {
      if (scaling[j] > 0.0) v_[j] += std::log2(scaling[j]);
    }
    return true;
  }

  // --- Newton's method on the semi-dual.

  void ascend() {
    if (options_.g.size == 0) start(view(pairs_.start(monitor_)));
    climb_to_the_top();
  }

  void climb_to_the_top() {
    may_be_rough_ = true;
    plan_ = pairs_.new_plan(v_, pulse_);
    sweep_to_plan();
    if (is_done(violation())) return;
    move_columns();
    sweep_to_plan();
    // Where a step fails, through rounding or far from the solution, Sinkhorn's iterations gain something in any case:
    // few at first, more each time.
    Index burst = 1;
    const Index enough = iterations_ + patience();
    while (!is_done(violation())) {
      if (iterations_ >= enough) return iterate(kNoLimit);
      if (!has_faint_columns() && climb()) continue;
      if (iterations_ >= options_.max_iterations) continue;
      if (burst == 1) {
        move_columns();
      } else {
        iterate(iterations_ + burst);
        if (is_over_) return;
      }
      burst = std::min<Index>(2 * burst, 256);
      sweep_to_plan();
    }
  }

  /// Half the passes that iterations are sure to need where marginals are cheap. Where cost is far dearer than they
  /// are, Newton's steps may stay too short for ever.
  Index patience() const {
    constexpr double kFinest = 1e-12, kMany = 1e9;
    constexpr Index kFewest = 20;
    const double contraction = std::log(damping_a_ * damping_b_);
    const double needed = std::log(std::max(options_.tolerance, kFinest)) / contraction;
    return contraction < 0.0 && needed < kMany ? std::max(kFewest, static_cast<Index>(0.5 * needed)) : kNoLimit / 2;
  }

  void sweep_to_plan() {
    plan_->follow(error_);
    sweep(plan_.get());
  }

  /// Whether the plan misses some columns so far that no derivative tells the way.
  bool has_faint_columns() const {
    const double faintest = pairs_.faintest() * mass_;
    for (std::size_t j = 0; j < column_.size(); ++j) {
      const double weight = b_[static_cast<Index>(j)];
      if (weight > 0.0 && !(column_[j] > std::min(faintest, 1e-3 * weight))) return true;
    }
    return false;
  }

  /// A Newton step, cut until it gains enough (Armijo's rule); false if none does, and then nothing has changed.
  bool climb() {
    constexpr double kGain = 1e-4, kShortest = 1e-4;
    const double error = violation();
    std::vector<double> residual(v_.size(), 0.0), extra(v_.size(), 0.0);
    for (std::size_t j = 0; j < residual.size(); ++j) {
      const double weight = b_[static_cast<Index>(j)];
      if (weight == 0.0) continue;
      const double wanted = weight * std::exp2((log_b_[j] - v_[j]) * options_.epsilon / options_.rho_b);
      residual[j] = wanted - column_[j];
      extra[j] = kRidge * std::min(1.0, error) * weight + options_.epsilon / options_.rho_b * wanted;
      // The mass of a column grows like an exponential: far below what is wanted, the secant and not the tangent tells
      // how far to go. Their slopes are the logarithmic mean of both masses and the lower one.
      if (is_balanced() && column_[j] < 0.5 * wanted)
        extra[j] += residual[j] / std::log(wanted / column_[j]) - column_[j];
    }
    // Enough for quadratic convergence, but no more than ends the work.
    const double reduction = std::max(std::min(0.1, error), 0.3 * options_.tolerance / error);
    const std::vector<double> step = newton_step(*plan_, damping_a_, column_, extra, residual, reduction, pulse_);
    double slope = 0.0;
    for (std::size_t j = 0; j < step.size(); ++j) slope += residual[j] * step[j] * kLog2E;
    const std::vector<double> u = u_, v = v_, column = column_;
    const double mass = plan_mass_;
    const double terms = size_of_terms();
    bool is_rough = is_rough_;
    // Where rounding hides the gain, the error has to fall; fast, if iterations would do as well.
    const double worth_it = is_balanced() ? 0.95 : 0.5;
    for (double length = 1.0; length > kShortest; length *= 0.5) {
      for (std::size_t j = 0; j < step.size(); ++j) v_[j] = v[j] + length * kLog2E * step[j];
      sweep_to_plan();
      double gain = (mass - plan_mass_) * kLog2E;
      for (std::size_t i = 0; i < u.size(); ++i) {
        const double weight = a_[static_cast<Index>(i)];
        if (weight > 0.0) gain += weight * worth_of_change(u[i], u_[i], options_.rho_a);
      }
      for (std::size_t j = 0; j < v.size(); ++j) {
        const double weight = b_[static_cast<Index>(j)];
        if (weight > 0.0) gain += weight * worth_of_change(v[j] - log_b_[j], v_[j] - log_b_[j], options_.rho_b);
      }
      is_rough = is_rough || is_rough_;
      const double precision = is_rough ? std::numeric_limits<float>::epsilon() : pairs_.precision();
      const bool is_visible = length * slope > 100.0 * precision * terms;
      if (is_visible ? gain >= kGain * length * slope : violation() < worth_it * error) return true;
      if (iterations_ >= options_.max_iterations) break;
    }
    u_ = u;
    v_ = v;
    column_ = column;
    plan_mass_ = mass;
    return false;
  }

  /// The sum of the absolute terms of the dual value, in base 2.
  double size_of_terms() const {
    double size = 0.0;
    for (Index i = 0; i < a_.size; ++i) {
      if (a_[i] > 0.0) size += a_[i] * std::abs(u_[static_cast<std::size_t>(i)]);
    }
    for (Index j = 0; j < b_.size; ++j) {
      if (b_[j] > 0.0) size += b_[j] * std::abs(v_[static_cast<std::size_t>(j)]);
    }
    return size;
  }

  // --- What comes out.

  Potentials potentials() {
    Potentials found;
    found.f.resize(u_.size());
    for (std::size_t i = 0; i < u_.size(); ++i) found.f[i] = std::isfinite(u_[i]) ? u_[i] / scale_ : 0.0;
    found.g.resize(v_.size());
    std::vector<Node> weightless;
    for (std::size_t j = 0; j < v_.size(); ++j) {
      if (b_[static_cast<Index>(j)] > 0.0) {
        found.g[j] = (v_[j] - log_b_[j]) / scale_;
      } else {
        weightless.push_back(static_cast<Node>(j));
      }
    }
    if (!weightless.empty()) {
      const std::vector<double> softmin = softmin_of(weightless);
      for (std::size_t k = 0; k < weightless.size(); ++k) {
        if (std::isfinite(softmin[k]))
          found.g[static_cast<std::size_t>(weightless[k])] = damping_b_ * softmin[k] / scale_;
      }
    }
    found.value = value();
    return found;
  }

  /// Of the dual, at the present potentials.
  double value() const {
    double total = options_.epsilon * mass_ * sum(b_);
    for (Index i = 0; i < a_.size; ++i) {
      if (a_[i] > 0.0) total += a_[i] * worth(u_[static_cast<std::size_t>(i)] / scale_, options_.rho_a);
    }
    for (Index j = 0; j < b_.size; ++j) {
      const auto at = static_cast<std::size_t>(j);
      if (b_[j] > 0.0) total += b_[j] * worth((v_[at] - log_b_[at]) / scale_, options_.rho_b);
    }
    return total - options_.epsilon * plan_mass_;
  }

  /// What the step of a potential, in base 2, adds to the dual for a unit of weight, in units of epsilon ln 2.
  double worth_of_change(double before, double after, double rho) const {
    if (rho == kInfinity) return after - before;
    const double unit = scale_ * rho;
    return -unit * std::exp(-before / unit) * std::expm1((before - after) / unit);
  }

  /// What a potential adds to the dual for a unit of weight.
  static double worth(double potential, double rho) {
    return rho == kInfinity ? potential : -rho * std::expm1(-potential / rho);
  }

  Pairs& pairs_;
  VectorView<const double> a_;
  VectorView<const double> b_;
  const Options& options_;
  Monitor& monitor_;
  Pulse pulse_;
  double scale_;
  double damping_a_;
  double damping_b_;
  double mass_;  ///< of a
  std::vector<double> log_b_;
  std::vector<double> u_;  ///< potentials of rows and columns, as `Pairs` has them
  std::vector<double> v_;
  std::vector<double> column_;  ///< sums of the columns of the plan at the last sweep
  double plan_mass_ = 0.0;      ///< of the plan at the present potentials
  std::unique_ptr<KeptPlan> plan_;
  Status status_ = Status::optimal;
  bool is_over_ = false;
  bool may_be_rough_ = false;
  bool is_rough_ = false;  ///< the last sweep
  Index rough_sweeps_ = 0;
  double error_ = kInfinity;
  Index iterations_ = 0;
};

}  // namespace

Potentials run_solver(Pairs& pairs, VectorView<const double> a, VectorView<const double> b, const Options& options,
                      Monitor& monitor) {
  return Solver(pairs, a, b, options, monitor).solve();
}

}  // namespace otfast::entropic
