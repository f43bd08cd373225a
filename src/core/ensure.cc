#include "core/result.h"

#include <cstdio>
#include <cstdlib>

namespace core {

void ensure_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "petrel: bug: %s does not hold at %s:%d\n", condition, file, line);
  std::abort();
}

}  // namespace core
