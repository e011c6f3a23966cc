// One step of Newton's method on the semi-dual.
#pragma once

#include <vector>

#include "kept_plan.hpp"

namespace otfast::entropic {

/// Solves (D + E - damping p^T diag(r) p) step = residual approximately, by conjugate gradients with the diagonal as
/// preconditioner. D = diag(p^T r), so that the rows of D - p^T diag(r) p sum to zero; but the sum of the `column`
/// where the kept plan has next to nothing of it. E = diag(extra), with zeros where a column has no part in it.
/// `reduction` is that of the residual in the norm L1, in which errors are told, at which to stop.
std::vector<double> newton_step(const KeptPlan& plan, double damping, const std::vector<double>& column,
                                const std::vector<double>& extra, const std::vector<double>& residual, double reduction,
                                Pulse& pulse);

}  // namespace otfast::entropic
