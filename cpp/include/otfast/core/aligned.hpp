// Memory in which vector loads never straddle cache lines.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

namespace otfast {

/// Hands out memory that starts on a cache line.
template <class T>
struct CacheLineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kCacheLine{64};

  CacheLineAllocator() = default;
  template <class U>
  explicit CacheLineAllocator(const CacheLineAllocator<U>&) {}

  T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kCacheLine)); }
  void deallocate(T* memory, std::size_t) { ::operator delete(memory, kCacheLine); }

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
