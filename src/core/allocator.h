// How the C library's allocator is used (docs/decisions/0005-allocator.md).

#pragma once

namespace core {

// Keeps the memory of a process with many threads close to what it uses: as many arenas as
// processors, and large blocks go back to the kernel when they are freed. To be called before
// there are threads.
void tune_allocator();

}  // namespace core
