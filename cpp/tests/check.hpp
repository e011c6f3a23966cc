// A test is a program that counts what does not hold, says where, and returns whether anything failed.
#pragma once

#include <cstdio>

namespace otfast::test {

inline int failures = 0;

inline int report() {
  if (failures > 0) std::fprintf(stderr, "%d checks failed\n", failures);
  return failures > 0 ? 1 : 0;
}

}  // namespace otfast::test

/// Goes on after a failure; further arguments are printf's and tell the case.
#define CHECK(condition, ...)                                                          \
  do {                                                                                 \
    if (!(condition)) {                                                                \
      ++otfast::test::failures;                                                        \
      std::fprintf(stderr, "%s:%d: %s does not hold", __FILE__, __LINE__, #condition); \
      __VA_OPT__(std::fprintf(stderr, ": " __VA_ARGS__);)                              \
      std::fputc('\n', stderr);                                                        \
    }                                                                                  \
  } while (false)
