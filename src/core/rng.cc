#include "core/rng.h"

#include "core/result.h"

#include <sys/random.h>

namespace core {

uint64_t SystemRng::next() {
  uint64_t value = 0;
  ENSURE(getrandom(&value, sizeof(value), 0) == sizeof(value));
  return value;
}

}  // namespace core
