#include "core/allocator.h"

#include <algorithm>
#include <malloc.h>
#include <thread>

namespace core {

namespace {

// Buffers of requests are smaller and stay; what a flush or a merge works with is larger. Left
// to itself glibc raises this to 32 MiB with the first large block that is freed, and the arenas
// of all threads that ever had such a block keep it.
constexpr int kMappedBytesMin = 1 << 20;
// What an arena keeps at its end; with a fixed threshold above, glibc keeps 128 KiB.
constexpr int kKeptBytes = 4 << 20;
constexpr unsigned kArenasMin = 2;
constexpr unsigned kArenasMax = 64;

}  // namespace

void tune_allocator() {
  const unsigned processors = std::thread::hardware_concurrency();
  mallopt(M_ARENA_MAX, static_cast<int>(std::clamp(processors, kArenasMin, kArenasMax)));
  mallopt(M_MMAP_THRESHOLD, kMappedBytesMin);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

}  // namespace core
