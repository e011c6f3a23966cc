// Gaussians: facts about maps and barycenters of covariances that are regular, singular, small and large.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "check.hpp"
#include "otfast/gaussian/barycenter.hpp"
#include "otfast/gaussian/bures.hpp"

namespace {

using namespace otfast;
using namespace otfast::gaussian;

std::mt19937_64 generator(7);

double normal() { return std::normal_distribution<double>()(generator); }

struct Matrix {
  Index dim;
  std::vector<double> entries;

  explicit Matrix(Index size) : dim(size), entries(static_cast<std::size_t>(size * size), 0.0) {}

  double& operator()(Index i, Index j) { return entries[static_cast<std::size_t>(i * dim + j)]; }
  double operator()(Index i, Index j) const { return entries[static_cast<std::size_t>(i * dim + j)]; }
  MatrixView<const double> view() const { return {entries.data(), dim, dim, dim}; }
  MatrixView<double> written() { return {entries.data(), dim, dim, dim}; }

  double trace() const {
    double sum = 0.0;
    for (Index i = 0; i < dim; ++i) sum += (*this)(i, i);
    return sum;
  }
};

Matrix operator*(const Matrix& a, const Matrix& b) {
  Matrix c(a.dim);
  for (Index i = 0; i < a.dim; ++i) {
    for (Index j = 0; j < a.dim; ++j) {
      for (Index k = 0; k < a.dim; ++k) c(i, j) += a(i, k) * b(k, j);
    }
  }
  return c;
}

double distance(const Matrix& a, const Matrix& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.entries.size(); ++i) largest = std::max(largest, std::abs(a.entries[i] - b.entries[i]));
  return largest;
}

Matrix random_covariance(Index dim, Index rank) {
  Matrix S(dim);
  for (Index k = 0; k < rank; ++k) {
    std::vector<double> v(static_cast<std::size_t>(dim));
    for (double& x : v) x = normal();
    for (Index i = 0; i < dim; ++i) {
      for (Index j = 0; j < dim; ++j) S(i, j) += v[static_cast<std::size_t>(i)] * v[static_cast<std::size_t>(j)];
    }
  }
  return S;
}

/// The map pushes S to T, half of the way on the geodesic is half of the distance.
void test_pairs(Index dim) {
  const Matrix S = random_covariance(dim, dim + 2), T = random_covariance(dim, dim + 2);
  CHECK(is_semidefinite(S.view(), 1e-12));
  Matrix A(dim), middle(dim);
  transport_matrix(S.view(), T.view(), A.written());
  CHECK(distance(A * S * A, T) < 1e-9 * T.trace(), "dim %d", static_cast<int>(dim));
  geodesic_covariance(S.view(), T.view(), 0.5, middle.written());
  const double whole = bures_squared(S.view(), T.view()), half = bures_squared(S.view(), middle.view());
  CHECK(std::abs(whole - 4.0 * half) < 1e-9 * S.trace(), "dim %d", static_cast<int>(dim));
  CHECK(bures_squared(S.view(), S.view()) < 1e-20 * S.trace());
}

void test_indefinite() {
  Matrix S(2);
  CHECK(is_semidefinite(S.view(), 1e-8));
  S(0, 1) = S(1, 0) = 1.0;
  CHECK(!is_semidefinite(S.view(), 1e-8));
}

/// The value is sum_k w_k tr S_k - tr S, and the sum of the distances.
void test_barycenter(Index dim, Index rank) {
  const std::vector<double> weights{0.5, 0.2, 0.3};
  std::vector<Matrix> inputs;
  std::vector<double> all;
  double traces = 0.0;
  for (const double weight : weights) {
    inputs.push_back(random_covariance(dim, rank));
    traces += weight * inputs.back().trace();
    all.insert(all.end(), inputs.back().entries.begin(), inputs.back().entries.end());
  }
  Matrix S(dim);
  SilentMonitor monitor;
  const Barycenter found = find_barycenter({all.data(), view(weights), dim}, {}, S.written(), monitor);
  CHECK(found.status == Status::optimal, "dim %d, rank %d", static_cast<int>(dim), static_cast<int>(rank));
  CHECK(std::abs(found.value - (traces - S.trace())) < 1e-9 * traces, "dim %d", static_cast<int>(dim));
  double direct = 0.0;
  for (std::size_t k = 0; k < inputs.size(); ++k) direct += weights[k] * bures_squared(S.view(), inputs[k].view());
  CHECK(std::abs(found.value - direct) < 1e-9 * traces, "dim %d", static_cast<int>(dim));

  // A gradient in the weights sees no common factor: where all S_k grow alike, S grows as they do.
  std::vector<double> of_covariances(all.size()), of_weights(weights.size());
  Matrix u(dim);
  for (Index i = 0; i < dim; ++i) u(i, i) = 1.0;
  pull_back({all.data(), view(weights), dim}, S.view(), u.view(), of_covariances.data(), {of_weights.data(), 3},
            monitor);
  double along = 0.0;
  for (std::size_t i = 0; i < all.size(); ++i) along += of_covariances[i] * all[i];
  if (rank >= dim) CHECK(std::abs(along - S.trace()) < 1e-8 * S.trace(), "dim %d", static_cast<int>(dim));
}

}  // namespace

int main() {
  for (const Index dim : {1, 2, 3, 4, 17, 40}) test_pairs(dim);
  test_indefinite();
  for (const Index dim : {1, 2, 3, 5, 30}) {
    test_barycenter(dim, dim + 2);
    test_barycenter(dim, std::max<Index>(1, dim / 2));
  }
  return otfast::test::report();
}
