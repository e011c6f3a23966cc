// The one file that asks which processor this is.
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#include "isa/kernels.hpp"
#include "otfast/core/isa.hpp"

namespace otfast {
namespace isa {
namespace {

constexpr Isa kAll[] = {Isa::v4, Isa::v3, Isa::base};  // best first

const char* name(Isa isa) {
  switch (isa) {
    case Isa::v4: return "v4";
    case Isa::v3: return "v3";
    default: return "base";
  }
}

/// By single features: the names of whole levels ("x86-64-v3") are not known to every compiler.
bool supported(Isa isa) {
#ifdef OTFAST_HAVE_V3_V4
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  switch (isa) {
    case Isa::v4:
      return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    case Isa::v3: return v3;
    default: return true;
  }
#else
  return isa == Isa::base;
#endif
}

/// OTFAST_ISA if set, else the best there is.
Isa choose() {
  const char* wanted = std::getenv("OTFAST_ISA");
  std::string known;
  for (const Isa isa : kAll) {
    if (!supported(isa)) continue;
    if (wanted == nullptr || std::string_view(wanted).empty() || std::string_view(wanted) == name(isa)) return isa;
    known = name(isa) + std::string(known.empty() ? "" : ", ") + known;
  }
  throw std::runtime_error("OTFAST_ISA is '" + std::string(wanted) + "'; this build on this processor has: " + known);
}

/// Chosen once. A choice that throws is made again at the next use.
Isa chosen() {
  static const Isa isa = choose();
  return isa;
}

}  // namespace

template <>
const Kernels<float>* kernels_of<float>(Isa isa) {
  if (!supported(isa)) return nullptr;
#ifdef OTFAST_HAVE_V3_V4
  if (isa == Isa::v4) return &v4_float;
  if (isa == Isa::v3) return &v3_float;
#endif
  return &base_float;
}

template <>
const Kernels<double>* kernels_of<double>(Isa isa) {
  if (!supported(isa)) return nullptr;
#ifdef OTFAST_HAVE_V3_V4
  if (isa == Isa::v4) return &v4_double;
  if (isa == Isa::v3) return &v3_double;
#endif
  return &base_double;
}

template <class T>
const Kernels<T>& kernels() {
  static const Kernels<T>* const table = kernels_of<T>(chosen());
  return *table;
}

template const Kernels<float>& kernels<float>();
template const Kernels<double>& kernels<double>();

}  // namespace isa

const char* isa_name() { return isa::name(isa::chosen()); }

}  // namespace otfast
