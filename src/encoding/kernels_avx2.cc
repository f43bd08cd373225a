// AVX2: four numbers at a time, loaded where their bits begin.

#include "encoding/kernels_baseline.h"

#if defined(__x86_64__)

#include <algorithm>
#include <bit>
#include <cmath>
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,bmi,bmi2,lzcnt,popcnt")))

namespace encoding {
namespace {

constexpr size_t kLanes = 4;

AVX2 inline __m256i load4(const char* a, const char* b, const char* c, const char* d) {
  const __m128i low = _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(a)),
                                         _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b)));
  const __m128i high = _mm_unpacklo_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(c)),
                                          _mm_loadl_epi64(reinterpret_cast<const __m128i*>(d)));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

// The numbers of a group begin at the same bit offsets in every group.
AVX2 void unpack(const char* in, size_t count, unsigned width, uint64_t base, uint64_t* out) {
  const __m256i mask = _mm256_set1_epi64x(static_cast<int64_t>((uint64_t{1} << width) - 1));
  const __m256i bases = _mm256_set1_epi64x(static_cast<int64_t>(base));
  const size_t w = width;
  const __m256i low_shift =
      _mm256_set_epi64x(static_cast<int64_t>(3 * w % 8), static_cast<int64_t>(2 * w % 8),
                        static_cast<int64_t>(w % 8), 0);
  const __m256i high_shift =
      _mm256_set_epi64x(static_cast<int64_t>(7 * w % 8), static_cast<int64_t>(6 * w % 8),
                        static_cast<int64_t>(5 * w % 8), static_cast<int64_t>(4 * w % 8));
  for (size_t i = 0; i < count; i += kGroup) {
    const __m256i low = load4(in, in + w / 8, in + 2 * w / 8, in + 3 * w / 8);
    const __m256i high = load4(in + 4 * w / 8, in + 5 * w / 8, in + 6 * w / 8, in + 7 * w / 8);
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(out + i),
        _mm256_add_epi64(_mm256_and_si256(_mm256_srlv_epi64(low, low_shift), mask), bases));
    _mm256_storeu_si256(
        reinterpret_cast<__m256i*>(out + i + kLanes),
        _mm256_add_epi64(_mm256_and_si256(_mm256_srlv_epi64(high, high_shift), mask), bases));
    in += width;
  }
}

AVX2 void unpack_classes(const char* planes, size_t plane_size, const char* in, size_t count,
                         const ClassTable& table, uint64_t* out) {
  const auto plane_count = static_cast<unsigned>(std::bit_width(table.count - 1));
  size_t bit = 0;
  for (size_t begin = 0; begin < count; begin += kGroup) {
    // Bit i of a plane goes to byte i of the word of classes.
    constexpr uint64_t kLowBits = 0x0101010101010101;
    uint64_t ids = 0;
    for (unsigned k = 0; k < plane_count; ++k) {
      const auto plane = static_cast<uint8_t>(planes[k * plane_size + begin / kGroup]);
      ids |= _pdep_u64(plane, kLowBits) << k;
    }
    const size_t here = std::min(kGroup, count - begin);
    for (size_t i = 0; i < here; ++i) {
      const auto id = static_cast<size_t>(ids & 0xff);
      ids >>= 8;
      uint64_t word = 0;
      __builtin_memcpy(&word, in + (bit >> 3U), sizeof(word));
      out[begin + i] = _bzhi_u64(word >> (bit & 7U), table.width[id]) + table.base[id];
      bit += table.width[id];
    }
  }
}

AVX2 void prefix_sum(uint64_t* values, size_t count) {
  __m256i sum = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    __m256i one = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i));
    one = _mm256_add_epi64(one, _mm256_slli_si256(one, 8));
    const __m256i carry = _mm256_permute4x64_epi64(one, 0x55);  // the sum of the lower half
    one = _mm256_add_epi64(one, _mm256_blend_epi32(_mm256_setzero_si256(), carry, 0xf0));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + i), _mm256_add_epi64(one, sum));
    sum = _mm256_add_epi64(sum, _mm256_permute4x64_epi64(one, 0xff));
  }
  auto rest = static_cast<uint64_t>(_mm256_extract_epi64(sum, 0));
  for (; i < count; ++i) {
    rest += values[i];
    values[i] = rest;
  }
}

AVX2 void scale(const uint64_t* in, size_t count, uint64_t unit, uint64_t first, int64_t* out) {
  if (unit == 1) {
    for (size_t i = 0; i < count; ++i) out[i] = static_cast<int64_t>(first + in[i]);
    return;
  }
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<int64_t>(first + unit * in[i]);
}

AVX2 void to_doubles(const int64_t* in, size_t count, const DecimalScale& scale, double* out) {
  for (size_t i = 0; i < count; ++i) out[i] = static_cast<double>(in[i]);
  if (scale.power == 1) return;
  const __m256d power = _mm256_set1_pd(scale.power);
  const __m256d inverse = _mm256_set1_pd(scale.inverse);
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256d number = _mm256_loadu_pd(out + i);
    __m256d value = _mm256_mul_pd(number, inverse);
    // A correctly rounded quotient, see kernels_avx512.cc.
    if (!scale.multiply) {
      value = _mm256_fmadd_pd(_mm256_fnmadd_pd(value, power, number), inverse, value);
    }
    _mm256_storeu_pd(out + i, value);
  }
  for (; i < count; ++i) out[i] = scale.multiply ? out[i] * scale.inverse : out[i] / scale.power;
}

AVX2 size_t to_integers(const double* in, size_t count, const DecimalScale& scale, int64_t* out,
                        uint8_t* bad) {
  const __m256d power = _mm256_set1_pd(scale.power);
  const __m256d inverse = _mm256_set1_pd(scale.inverse);
  const __m256d rounder = _mm256_set1_pd(kRounder);
  const __m256d limit = _mm256_set1_pd(kDecimalLimit);
  const __m256d sign = _mm256_set1_pd(-0.0);
  const size_t whole = count / kGroup * kGroup;
  size_t bad_count = 0;
  for (size_t i = 0; i < whole; i += kGroup) {
    unsigned wrong = 0;
    for (size_t half = 0; half < kGroup; half += kLanes) {
      const __m256d value = _mm256_loadu_pd(in + i + half);
      const __m256d scaled = _mm256_mul_pd(value, power);
      const __m256d sum = _mm256_add_pd(scaled, rounder);
      const __m256d rounded = _mm256_sub_pd(sum, rounder);
      const __m256d back =
          scale.multiply ? _mm256_mul_pd(rounded, inverse) : _mm256_div_pd(rounded, power);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i + half),
                          _mm256_sub_epi64(_mm256_castpd_si256(sum), _mm256_castpd_si256(rounder)));
      const __m256d small = _mm256_cmp_pd(_mm256_andnot_pd(sign, scaled), limit, _CMP_LT_OQ);
      const __m256i same =
          _mm256_cmpeq_epi64(_mm256_castpd_si256(back), _mm256_castpd_si256(value));
      const int good = _mm256_movemask_pd(_mm256_and_pd(small, _mm256_castsi256_pd(same)));
      wrong |= (~static_cast<unsigned>(good) & 0xfU) << half;
    }
    bad[i / kGroup] = static_cast<uint8_t>(wrong);
    bad_count += static_cast<size_t>(std::popcount(wrong));
  }
  if (whole == count) return bad_count;
  return bad_count + kBaselineKernels.to_integers(in + whole, count - whole, scale, out + whole,
                                                  bad + whole / kGroup);
}

AVX2 bool is_rising(const int64_t* in, size_t count) {
  size_t i = 1;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256i before = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i - 1));
    const __m256i here = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
    if (_mm256_movemask_epi8(_mm256_cmpgt_epi64(here, before)) != -1) return false;
  }
  return i >= count || kBaselineKernels.is_rising(in + i - 1, count - i + 1);
}

AVX2 bool never_falls(const double* in, size_t count) {
  size_t i = 1;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256d good =
        _mm256_cmp_pd(_mm256_loadu_pd(in + i), _mm256_loadu_pd(in + i - 1), _CMP_GE_OQ);
    if (_mm256_movemask_pd(good) != 0xf) return false;
  }
  return i >= count || kBaselineKernels.never_falls(in + i - 1, count - i + 1);
}

}  // namespace

constinit const Kernels kAvx2Kernels = {
    .name = "avx2",
    .unpack = unpack,
    .unpack_classes = unpack_classes,
    .prefix_sum = prefix_sum,
    .scale = scale,
    .to_doubles = to_doubles,
    .to_integers = to_integers,
    .is_rising = is_rising,
    .never_falls = never_falls,
};

}  // namespace encoding

#endif
