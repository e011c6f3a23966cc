#include "otfast/core/aligned.hpp"

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace otfast {
namespace {

constexpr std::align_val_t kHugePage{std::size_t{2} << 20};

}  // namespace

void* allocate_large(std::size_t bytes) {
  void* const memory = ::operator new(bytes, kHugePage);
#ifdef __linux__
  // Only advice: whatever becomes of it, the memory is good.
  static_cast<void>(madvise(memory, bytes, MADV_HUGEPAGE));
#endif
  return memory;
}

void deallocate_large(void* memory) { ::operator delete(memory, kHugePage); }

}  // namespace otfast
