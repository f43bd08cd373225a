// What every set of kernels falls back to. The definitions of available kernels that other
// files implement.

#pragma once

#include "encoding/kernels.h"

namespace encoding {

extern const Kernels kBaselineKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#endif

// Integers of |x| < 2^51: adding it leaves them in the low mantissa bits, rounded to even.
inline constexpr double kRounder = 0x1.8p52;
inline constexpr double kDecimalLimit = 0x1p51;

}  // namespace encoding
