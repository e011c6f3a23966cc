// All instruction sets give the same answers on the same bytes, up to rounding where sums are reordered.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <vector>

#include "isa/kernels.hpp"

namespace {

using otfast::Index;
using otfast::Node;
using otfast::isa::Isa;
using otfast::isa::Kernels;

void require(bool holds) {
  if (!holds) std::abort();
}

/// The bytes as numbers.
template <class T>
std::vector<T> read(const std::uint8_t* data, std::size_t size) {
  std::vector<T> values(size / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), data, values.size() * sizeof(T));
  return values;
}

template <class T>
struct Answers {
  double least = 0.0;
  std::vector<Node> below;
  std::vector<double> lowered;
  otfast::isa::RunSummary summary;

  bool operator==(const Answers& other) const {
    return least == other.least && below == other.below && lowered == other.lowered &&
           summary.min == other.summary.min && summary.max == other.summary.max &&
           summary.infinite == other.summary.infinite && summary.first_bad == other.summary.first_bad;
  }
};

template <class T>
Answers<T> ask(const Kernels<T>& kernels, const std::vector<T>& c, const std::vector<double>& g, double threshold) {
  const auto n = static_cast<Index>(c.size());
  Answers<T> answers;
  answers.least = kernels.min_reduced(c.data(), g.data(), n);
  answers.below.resize(c.size());
  const Index count = kernels.find_below(c.data(), g.data(), n, threshold, answers.below.data());
  answers.below.resize(static_cast<std::size_t>(count));
  answers.lowered = g;
  kernels.lower_columns(c.data(), threshold, answers.lowered.data(), n);
  answers.summary = kernels.summarize(c.data(), n);
  return answers;
}

template <class T>
void compare(const std::uint8_t* data, std::size_t size) {
  const std::vector<T> raw = read<T>(data, size);
  std::vector<T> c = raw;
  std::vector<double> g(c.size());
  for (std::size_t j = 0; j < c.size(); ++j) {
    if (!(c[j] > -std::numeric_limits<T>::infinity())) c[j] = T{0};
    const auto reversed = static_cast<double>(raw[c.size() - 1 - j]);
    g[j] = std::isfinite(reversed) ? reversed : 1.0;
  }
  const double threshold = g.empty() ? 0.0 : g.front();

  const Kernels<T>& base = *otfast::isa::kernels_of<T>(Isa::base);
  const Answers<T> expected = ask(base, c, g, threshold);
  const otfast::isa::RunSummary spoilt = base.summarize(raw.data(), static_cast<Index>(raw.size()));
  for (const Isa isa : {Isa::v3, Isa::v4}) {
    const Kernels<T>* kernels = otfast::isa::kernels_of<T>(isa);
    if (kernels == nullptr) continue;
    require(ask(*kernels, c, g, threshold) == expected);
    require(kernels->summarize(raw.data(), static_cast<Index>(raw.size())).first_bad == spoilt.first_bad);
  }
}

/// Points of `dim` coordinates: few roundings apart.
template <class T>
void compare_points(const std::uint8_t* data, std::size_t size) {
  std::vector<T> values = read<T>(data, size);
  for (T& value : values) value = std::isfinite(value) ? std::remainder(value, T{16}) : T{1};
  const Index dim = 1 + (size > 0 ? data[0] % 5 : 0);
  const Index n = static_cast<Index>(values.size()) / dim - 1;
  if (n <= 0) return;
  const T* x = values.data() + n * dim;
  std::vector<T> padded = values;
  padded.resize(values.size() + static_cast<std::size_t>(otfast::isa::kOverread<T>));
  const otfast::isa::Coordinates<T> y{padded.data(), n, dim};

  std::vector<T> expected(static_cast<std::size_t>(n));
  std::vector<T> got(expected.size());
  const double tolerance = 4096.0 * static_cast<double>(std::numeric_limits<T>::epsilon());
  otfast::isa::kernels_of<T>(Isa::base)->sum_squares(x, y, 0, n, expected.data());
  for (const Isa isa : {Isa::v3, Isa::v4}) {
    const Kernels<T>* kernels = otfast::isa::kernels_of<T>(isa);
    if (kernels == nullptr) continue;
    kernels->sum_squares(x, y, 0, n, got.data());
    for (std::size_t j = 0; j < got.size(); ++j) {
      require(std::abs(static_cast<double>(got[j]) - static_cast<double>(expected[j])) <= tolerance);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  compare<float>(data, size);
  compare<double>(data, size);
  compare_points<float>(data, size);
  compare_points<double>(data, size);
  return 0;
}
