// AVX2: four numbers at a time, loaded where their bits begin.

#include "encoding/kernels_baseline.h"

#if defined(__x86_64__)

#include <algorithm>
#include <bit>
#include <cmath>
#include <immintrin.h>
#include <limits>

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

AVX2 size_t unpack_classes(const char* planes, size_t plane_size, const char* in, size_t count,
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
  return bit;
}

// Four numbers, each with those before it summed up.
AVX2 inline __m256i summed_up(__m256i one) {
  one = _mm256_add_epi64(one, _mm256_slli_si256(one, 8));
  const __m256i carry = _mm256_permute4x64_epi64(one, 0x55);  // the sum of the lower half
  return _mm256_add_epi64(one, _mm256_blend_epi32(_mm256_setzero_si256(), carry, 0xf0));
}

AVX2 inline __m256i add_to(__m256i& total, __m256i one) {
  const __m256i inside = summed_up(one);
  const __m256i sums = _mm256_add_epi64(total, inside);
  // Not from `sums`: the chain from group to group is one addition.
  total = _mm256_add_epi64(total, _mm256_permute4x64_epi64(inside, 0xff));
  return sums;
}

AVX2 inline __m256i multiply(__m256i a, __m256i b) {
  const __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), b),
                                         _mm256_mul_epu32(a, _mm256_srli_epi64(b, 32)));
  return _mm256_add_epi64(_mm256_mul_epu32(a, b), _mm256_slli_epi64(cross, 32));
}

// Any integer, rounded once: its upper 16 and its lower 48 bits are put under the exponents that
// make doubles of them.
AVX2 inline __m256d to_double(__m256i integer) {
  const __m256i high = _mm256_add_epi64(
      _mm256_blend_epi16(_mm256_srai_epi32(integer, 16), _mm256_setzero_si256(), 0x33),
      _mm256_castpd_si256(_mm256_set1_pd(0x3p67)));
  const __m256i low =
      _mm256_blend_epi16(integer, _mm256_castpd_si256(_mm256_set1_pd(0x1p52)), 0x88);
  return _mm256_add_pd(_mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(0x3p67 + 0x1p52)),
                       _mm256_castsi256_pd(low));
}

AVX2 inline __m256i first_lanes(size_t count) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<int64_t>(count)),
                            _mm256_set_epi64x(3, 2, 1, 0));
}

struct Integers {
  int64_t* out;

  AVX2 void put(size_t i, __m256i value) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), value);
  }
  AVX2 void put_some(size_t i, size_t count, __m256i value) const {
    _mm256_maskstore_epi64(reinterpret_cast<long long*>(out + i), first_lanes(count), value);
  }
};

struct Decimals {
  double* out;
  const DecimalScale& scale;

  AVX2 __m256d value_of(__m256i integer) const {
    const __m256d number = to_double(integer);
    if (scale.power == 1) return number;
    const __m256d inverse = _mm256_set1_pd(scale.inverse);
    const __m256d product = _mm256_mul_pd(number, inverse);
    if (scale.multiply) return product;
    // A correctly rounded quotient, see kernels_avx512.cc.
    const __m256d power = _mm256_set1_pd(scale.power);
    return _mm256_fmadd_pd(_mm256_fnmadd_pd(product, power, number), inverse, product);
  }
  AVX2 void put(size_t i, __m256i integer) const { _mm256_storeu_pd(out + i, value_of(integer)); }
  AVX2 void put_some(size_t i, size_t count, __m256i integer) const {
    _mm256_maskstore_pd(out + i, first_lanes(count), value_of(integer));
  }
};

template <unsigned kSums, typename Sink>
AVX2 void restore_with(const uint64_t* in, size_t count, const Restoring& how, const Sink& sink) {
  const bool has_unit = how.unit != 1;
  const auto step = static_cast<int64_t>(how.step);
  const __m256i units = _mm256_set1_epi64x(static_cast<int64_t>(how.unit));
  const __m256i firsts = _mm256_set1_epi64x(static_cast<int64_t>(how.first));
  const __m256i steps = multiply(_mm256_set1_epi64x(step), _mm256_set1_epi64x(kLanes));
  __m256i places = multiply(_mm256_set1_epi64x(step), _mm256_set_epi64x(4, 3, 2, 1));
  __m256i sum = _mm256_setzero_si256();
  __m256i sum_of_sums = _mm256_setzero_si256();
  for (size_t i = 0; i < count; i += kLanes) {
    __m256i one = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
    if constexpr (kSums > 0) one = add_to(sum, one);
    if constexpr (kSums > 1) one = add_to(sum_of_sums, one);
    if constexpr (kSums == 0) {
      one = _mm256_add_epi64(one, places);
      places = _mm256_add_epi64(places, steps);
    }
    if (has_unit) one = multiply(one, units);
    one = _mm256_add_epi64(one, firsts);
    if (i + kLanes <= count) [[likely]] {
      sink.put(i, one);
    } else {
      sink.put_some(i, count - i, one);
    }
  }
}

template <typename Sink>
AVX2 void restore_into(const uint64_t* in, size_t count, const Restoring& how, const Sink& sink) {
  if (how.sums == 0) return restore_with<0>(in, count, how, sink);
  if (how.sums == 1) return restore_with<1>(in, count, how, sink);
  return restore_with<2>(in, count, how, sink);
}

AVX2 void restore(const uint64_t* in, size_t count, const Restoring& how, int64_t* out) {
  restore_into(in, count, how, Integers{out});
}

AVX2 void restore_doubles(const uint64_t* in, size_t count, const Restoring& how,
                          const DecimalScale& scale, double* out) {
  restore_into(in, count, how, Decimals{out, scale});
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

AVX2 void linear(uint64_t first, uint64_t step, size_t count, int64_t* out) {
  const __m256i steps = _mm256_set1_epi64x(static_cast<int64_t>(kLanes * step));
  __m256i four = _mm256_set_epi64x(static_cast<int64_t>(first + 3 * step),
                                   static_cast<int64_t>(first + 2 * step),
                                   static_cast<int64_t>(first + step), static_cast<int64_t>(first));
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), four);
    four = _mm256_add_epi64(four, steps);
  }
  for (; i < count; ++i) out[i] = static_cast<int64_t>(first + i * step);
}

AVX2 void add_with_lost(const double* in, size_t count, double* sums, double* lost) {
  const __m256d sign = _mm256_set1_pd(-0.0);
  const __m256d infinity = _mm256_set1_pd(std::numeric_limits<double>::infinity());
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const __m256d value = _mm256_loadu_pd(in + i);
    const __m256d sum = _mm256_loadu_pd(sums + i);
    const __m256d total = _mm256_add_pd(sum, value);
    const __m256d in_order =
        _mm256_cmp_pd(_mm256_andnot_pd(sign, sum), _mm256_andnot_pd(sign, value), _CMP_GE_OQ);
    const __m256d large = _mm256_blendv_pd(value, sum, in_order);
    const __m256d small = _mm256_blendv_pd(sum, value, in_order);
    const __m256d more =
        _mm256_add_pd(_mm256_loadu_pd(lost + i), _mm256_add_pd(_mm256_sub_pd(large, total), small));
    const __m256d is_infinite = _mm256_cmp_pd(_mm256_andnot_pd(sign, total), infinity, _CMP_EQ_OQ);
    _mm256_storeu_pd(lost + i, _mm256_andnot_pd(is_infinite, more));
    _mm256_storeu_pd(sums + i, total);
  }
  kBaselineKernels.add_with_lost(in + i, count - i, sums + i, lost + i);
}

AVX2 bool window_increases(const double* values, const WindowColumns& windows, double* out) {
  return kBaselineKernels.window_increases(values, windows, out);
}

}  // namespace

constinit const Kernels kAvx2Kernels = {
    .name = "avx2",
    .unpack = unpack,
    .unpack_classes = unpack_classes,
    .restore = restore,
    .restore_doubles = restore_doubles,
    .to_integers = to_integers,
    .linear = linear,
    .is_rising = is_rising,
    .never_falls = never_falls,
    .add_with_lost = add_with_lost,
    .window_increases = window_increases,
};

}  // namespace encoding

#endif
