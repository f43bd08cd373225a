// AVX-512 with VBMI (Ice Lake, Zen 4 and later): eight numbers at a time. Their bytes are
// brought into lanes by one permutation, then shifted and masked.

#include "encoding/kernels_baseline.h"

#if defined(__x86_64__)

#include <bit>
#include <immintrin.h>

#define AVX512 \
  __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx2,fma,bmi2")))

namespace encoding {
namespace {

// For every lane the eight byte indexes that begin at the byte in its low bits.
AVX512 inline __m512i byte_indexes(__m512i bit_offsets) {
  const __m512i bytes = _mm512_srli_epi64(bit_offsets, 3);
  const __m512i low_to_all = _mm512_set4_epi32(0x08080808, 0x08080808, 0, 0);
  return _mm512_add_epi8(_mm512_shuffle_epi8(bytes, low_to_all),
                         _mm512_set1_epi64(0x0706050403020100));
}

AVX512 inline __m512i lanes(__m512i bytes, __m512i indexes, __m512i bit_offsets) {
  return _mm512_srlv_epi64(_mm512_permutexvar_epi8(indexes, bytes),
                           _mm512_and_si512(bit_offsets, _mm512_set1_epi64(7)));
}

AVX512 inline __m512i running_sum(__m512i one) {
  const __m512i zero = _mm512_setzero_si512();
  one = _mm512_add_epi64(one, _mm512_alignr_epi64(one, zero, 7));
  one = _mm512_add_epi64(one, _mm512_alignr_epi64(one, zero, 6));
  return _mm512_add_epi64(one, _mm512_alignr_epi64(one, zero, 4));
}

AVX512 inline uint64_t last_lane(__m512i one) {
  return static_cast<uint64_t>(_mm_extract_epi64(_mm512_extracti64x2_epi64(one, 3), 1));
}

AVX512 inline __mmask8 first_lanes(size_t count) {
  return static_cast<__mmask8>((1U << count) - 1);
}

AVX512 void unpack(const char* in, size_t count, unsigned width, uint64_t base, uint64_t* out) {
  const __m512i offsets = _mm512_mullo_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0),
                                             _mm512_set1_epi64(static_cast<int64_t>(width)));
  const __m512i indexes = byte_indexes(offsets);
  const __m512i mask = _mm512_set1_epi64(static_cast<int64_t>((uint64_t{1} << width) - 1));
  const __m512i bases = _mm512_set1_epi64(static_cast<int64_t>(base));
  for (size_t i = 0; i < count; i += kGroup) {
    const __m512i one = lanes(_mm512_loadu_si512(in), indexes, offsets);
    _mm512_storeu_si512(out + i, _mm512_add_epi64(_mm512_and_si512(one, mask), bases));
    in += width;
  }
}

AVX512 void unpack_classes(const char* planes, size_t plane_size, const char* in, size_t count,
                           const ClassTable& table, uint64_t* out) {
  alignas(64) std::array<uint64_t, kClassesMax> width_of{};
  for (size_t i = 0; i < table.count; ++i) width_of[i] = table.width[i];
  const __m512i widths = _mm512_load_si512(width_of.data());
  const __m512i one = _mm512_set1_epi64(1);
  const __m512i masks = _mm512_sub_epi64(_mm512_sllv_epi64(one, widths), one);
  const __m512i bases = _mm512_loadu_si512(table.base.data());
  const auto plane_count = static_cast<unsigned>(std::bit_width(table.count - 1));
  // Planes that are not there read as the last one, and count for nothing.
  const char* const plane0 = planes;
  const char* const plane1 = planes + (plane_count > 1 ? plane_size : 0);
  const char* const plane2 = planes + (plane_count > 2 ? 2 * plane_size : 0);
  const __m512i bit1 = _mm512_set1_epi64(plane_count > 1 ? 2 : 0);
  const __m512i bit2 = _mm512_set1_epi64(plane_count > 2 ? 4 : 0);
  uint64_t bit = 0;
  for (size_t i = 0; i < count; i += kGroup) {
    const size_t group = i / kGroup;
    __m512i id = _mm512_maskz_mov_epi64(static_cast<__mmask8>(plane0[group]), one);
    id = _mm512_mask_or_epi64(id, static_cast<__mmask8>(plane1[group]), id, bit1);
    id = _mm512_mask_or_epi64(id, static_cast<__mmask8>(plane2[group]), id, bit2);
    const __m512i width = _mm512_permutexvar_epi64(id, widths);
    const __m512i ends = running_sum(width);
    const __m512i offsets = _mm512_add_epi64(_mm512_sub_epi64(ends, width),
                                             _mm512_set1_epi64(static_cast<int64_t>(bit & 7U)));
    const __m512i numbers =
        lanes(_mm512_loadu_si512(in + (bit >> 3U)), byte_indexes(offsets), offsets);
    _mm512_storeu_si512(
        out + i, _mm512_add_epi64(_mm512_and_si512(numbers, _mm512_permutexvar_epi64(id, masks)),
                                  _mm512_permutexvar_epi64(id, bases)));
    bit += last_lane(ends);
  }
}

AVX512 void prefix_sum(uint64_t* values, size_t count) {
  __m512i sum = _mm512_setzero_si512();
  const __m512i last = _mm512_set1_epi64(7);
  size_t i = 0;
  for (; i + kGroup <= count; i += kGroup) {
    const __m512i inside = running_sum(_mm512_loadu_si512(values + i));
    const __m512i sums = _mm512_add_epi64(inside, sum);
    _mm512_storeu_si512(values + i, sums);
    // Not from `sums`: the chain from group to group is one addition.
    sum = _mm512_add_epi64(sum, _mm512_permutexvar_epi64(last, inside));
  }
  uint64_t rest = last_lane(sum);
  for (; i < count; ++i) {
    rest += values[i];
    values[i] = rest;
  }
}

AVX512 void scale(const uint64_t* in, size_t count, uint64_t unit, uint64_t first, int64_t* out) {
  const __m512i units = _mm512_set1_epi64(static_cast<int64_t>(unit));
  const __m512i firsts = _mm512_set1_epi64(static_cast<int64_t>(first));
  for (size_t i = 0; i < count; i += kGroup) {
    const __mmask8 here = first_lanes(count - i < kGroup ? count - i : kGroup);
    __m512i one = _mm512_maskz_loadu_epi64(here, in + i);
    if (unit != 1) one = _mm512_mullo_epi64(one, units);
    _mm512_mask_storeu_epi64(out + i, here, _mm512_add_epi64(one, firsts));
  }
}

AVX512 void to_doubles(const int64_t* in, size_t count, const DecimalScale& scale, double* out) {
  const __m512d power = _mm512_set1_pd(scale.power);
  const __m512d inverse = _mm512_set1_pd(scale.inverse);
  const bool divide = scale.power != 1 && !scale.multiply;
  const bool multiply = scale.power != 1 && scale.multiply;
  for (size_t i = 0; i < count; i += kGroup) {
    const __mmask8 here = first_lanes(count - i < kGroup ? count - i : kGroup);
    const __m512d number = _mm512_cvtepi64_pd(_mm512_maskz_loadu_epi64(here, in + i));
    __m512d value = number;
    if (multiply) value = _mm512_mul_pd(number, inverse);
    if (divide) {
      // number / power, correctly rounded: with the rounded reciprocal and one correction
      // (Markstein 1990). Four times as fast as a division.
      const __m512d guess = _mm512_mul_pd(number, inverse);
      value = _mm512_fmadd_pd(_mm512_fnmadd_pd(guess, power, number), inverse, guess);
    }
    _mm512_mask_storeu_pd(out + i, here, value);
  }
}

AVX512 size_t to_integers(const double* in, size_t count, const DecimalScale& scale, int64_t* out,
                          uint8_t* bad) {
  const __m512d power = _mm512_set1_pd(scale.power);
  const __m512d inverse = _mm512_set1_pd(scale.inverse);
  const __m512d rounder = _mm512_set1_pd(kRounder);
  const __m512d limit = _mm512_set1_pd(kDecimalLimit);
  size_t bad_count = 0;
  for (size_t i = 0; i < count; i += kGroup) {
    const __mmask8 here = first_lanes(count - i < kGroup ? count - i : kGroup);
    const __m512d value = _mm512_maskz_loadu_pd(here, in + i);
    const __m512d scaled = _mm512_mul_pd(value, power);
    const __m512d sum = _mm512_add_pd(scaled, rounder);
    const __m512d rounded = _mm512_sub_pd(sum, rounder);
    const __m512d back =
        scale.multiply ? _mm512_mul_pd(rounded, inverse) : _mm512_div_pd(rounded, power);
    _mm512_mask_storeu_epi64(
        out + i, here, _mm512_sub_epi64(_mm512_castpd_si512(sum), _mm512_castpd_si512(rounder)));
    const __mmask8 small = _mm512_cmp_pd_mask(_mm512_abs_pd(scaled), limit, _CMP_LT_OQ);
    const __mmask8 same =
        _mm512_cmpeq_epi64_mask(_mm512_castpd_si512(back), _mm512_castpd_si512(value));
    const auto wrong = static_cast<uint8_t>(~(small & same) & here);
    bad[i / kGroup] = wrong;
    bad_count += static_cast<size_t>(std::popcount(wrong));
  }
  return bad_count;
}

AVX512 bool is_rising(const int64_t* in, size_t count) {
  for (size_t i = 1; i < count; i += kGroup) {
    const __mmask8 here = first_lanes(count - i < kGroup ? count - i : kGroup);
    const __m512i before = _mm512_maskz_loadu_epi64(here, in + i - 1);
    if (_mm512_mask_cmpgt_epi64_mask(here, _mm512_maskz_loadu_epi64(here, in + i), before) !=
        here) {
      return false;
    }
  }
  return true;
}

AVX512 bool never_falls(const double* in, size_t count) {
  for (size_t i = 1; i < count; i += kGroup) {
    const __mmask8 here = first_lanes(count - i < kGroup ? count - i : kGroup);
    const __m512d before = _mm512_maskz_loadu_pd(here, in + i - 1);
    if (_mm512_mask_cmp_pd_mask(here, _mm512_maskz_loadu_pd(here, in + i), before, _CMP_GE_OQ) !=
        here) {
      return false;
    }
  }
  return true;
}

}  // namespace

constinit const Kernels kAvx512Kernels = {
    .name = "avx512",
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
