// Memory in which vector loads never straddle cache lines.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace otfast {

/// Memory from here on is asked for in huge pages: touching fifty megabytes of small ones for the first time costs
/// more than filling them with exponentials.
inline constexpr std::size_t kLargeMemory = std::size_t{4} << 20;

/// Memory of at least `kLargeMemory` bytes, in huge pages where the system has them.
void* allocate_large(std::size_t bytes);
void deallocate_large(void* memory);

/// Hands out memory that starts on a cache line.
template <class T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kCacheLine{64};

  CacheLineAllocator() = default;
  template <class U>
  explicit CacheLineAllocator(const CacheLineAllocator<U>&) {}

  T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(-1) / sizeof(T)) throw std::bad_array_new_length();
    const std::size_t bytes = count * sizeof(T);
    return static_cast<T*>(bytes < kLargeMemory ? ::operator new(bytes, kCacheLine) : allocate_large(bytes));
  }
  void deallocate(T* memory, std::size_t count) {
    if (count * sizeof(T) < kLargeMemory) {
      ::operator delete(memory, kCacheLine);
    } else {
      deallocate_large(memory);
    }
  }

  bool operator==(const CacheLineAllocator&) const = default;
};

/// The same, for memory that somebody fills before it is read: nothing is written when it is made.
template <class T>
struct UnfilledAllocator : CacheLineAllocator<T> {
  UnfilledAllocator() = default;
  template <class U>
  explicit UnfilledAllocator(const UnfilledAllocator<U>&) {}

  template <class U>
  void construct(U* place) {
    ::new (static_cast<void*>(place)) U;
  }
};

template <class T>
using UnfilledVector = std::vector<T, UnfilledAllocator<T>>;

template <class T>
using AlignedVector = std::vector<T, CacheLineAllocator<T>>;

}  // namespace otfast
