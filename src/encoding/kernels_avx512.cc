// AVX-512 with VBMI (Ice Lake, Zen 4 and later): eight numbers at a time. Their bytes are
// brought into lanes by one permutation, then shifted and masked.

#include "encoding/kernels_baseline.h"

#if defined(__x86_64__)

#include <algorithm>
#include <array>
#include <bit>
#include <immintrin.h>
#include <limits>

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

// Classes of any width.
AVX512 size_t unpack_wide_classes(const char* planes, size_t plane_size, const char* in,
                                  size_t count, const ClassTable& table, uint64_t* out) {
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
    const __mmask8 here = first_lanes(std::min(count - i, kGroup));
    __m512i id = _mm512_maskz_mov_epi64(static_cast<__mmask8>(plane0[group]), one);
    id = _mm512_mask_or_epi64(id, static_cast<__mmask8>(plane1[group]), id, bit1);
    id = _mm512_mask_or_epi64(id, static_cast<__mmask8>(plane2[group]), id, bit2);
    const __m512i width = _mm512_maskz_permutexvar_epi64(here, id, widths);
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
  return bit;
}

// Eight numbers of such a width end within 255 bits.
constexpr unsigned kByteWidthMax = 31;

AVX512 inline __m512i load_to_all(const void* eight_bytes) {
  return _mm512_broadcastq_epi64(_mm_loadl_epi64(static_cast<const __m128i*>(eight_bytes)));
}

AVX512 inline __m512i load_bytes_as_words(const void* eight_bytes) {
  return _mm512_cvtepu8_epi64(_mm_loadl_epi64(static_cast<const __m128i*>(eight_bytes)));
}

AVX512 inline uint64_t plane_bits(const char* at) {
  uint64_t bits = 0;
  __builtin_memcpy(&bits, at, sizeof(bits));
  return bits;
}

// Where the numbers of a block of 64 are, found for all of them at once: a byte for each, the
// bytes of one group in one word.
struct ClassedBlock {
  alignas(64) std::array<uint64_t, kGroup> begins;  // of groups: bytes from the first number on
  alignas(64) std::array<uint64_t, kGroup> bytes;   // from the byte where the group begins
  alignas(64) std::array<uint64_t, kGroup> shifts;  // in that byte
  alignas(64) std::array<uint64_t, kGroup> ids;
};

// Of `count` numbers. Gives where they end.
AVX512 inline uint64_t locate(const char* planes, size_t plane_size, unsigned plane_count,
                              size_t count, __m512i widths, uint64_t bit, ClassedBlock& block) {
  __m512i id = _mm512_maskz_mov_epi8(plane_bits(planes), _mm512_set1_epi8(1));
  if (plane_count > 1) {
    id = _mm512_mask_add_epi8(id, plane_bits(planes + plane_size), id, _mm512_set1_epi8(2));
  }
  if (plane_count > 2) {
    id = _mm512_mask_add_epi8(id, plane_bits(planes + 2 * plane_size), id, _mm512_set1_epi8(4));
  }
  const __mmask64 here = _bzhi_u64(~uint64_t{0}, static_cast<unsigned>(count));
  const __m512i width = _mm512_maskz_shuffle_epi8(here, widths, id);
  __m512i ends = _mm512_add_epi8(width, _mm512_slli_epi64(width, 8));
  ends = _mm512_add_epi8(ends, _mm512_slli_epi64(ends, 16));
  ends = _mm512_add_epi8(ends, _mm512_slli_epi64(ends, 32));
  const __m512i sizes = _mm512_srli_epi64(ends, 56);
  const __m512i group_ends =
      _mm512_add_epi64(running_sum(sizes), _mm512_set1_epi64(static_cast<int64_t>(bit)));
  const __m512i begins = _mm512_sub_epi64(group_ends, sizes);
  const __m512i low_to_all = _mm512_set4_epi32(0x08080808, 0x08080808, 0, 0);
  const __m512i sevens = _mm512_set1_epi8(7);
  const __m512i first = _mm512_shuffle_epi8(_mm512_and_si512(begins, sevens), low_to_all);
  const __m512i offsets = _mm512_add_epi8(_mm512_sub_epi8(ends, width), first);
  _mm512_store_si512(block.begins.data(), _mm512_srli_epi64(begins, 3));
  _mm512_store_si512(block.bytes.data(),
                     _mm512_and_si512(_mm512_srli_epi64(offsets, 3), _mm512_set1_epi8(31)));
  _mm512_store_si512(block.shifts.data(), _mm512_and_si512(offsets, sevens));
  _mm512_store_si512(block.ids.data(), id);
  return last_lane(group_ends);
}

AVX512 size_t unpack_classes(const char* planes, size_t plane_size, const char* in, size_t count,
                             const ClassTable& table, uint64_t* out) {
  if (*std::max_element(table.width.begin(), table.width.end()) > kByteWidthMax) {
    return unpack_wide_classes(planes, plane_size, in, count, table, out);
  }
  const __m512i one = _mm512_set1_epi64(1);
  const __m512i masks =
      _mm512_sub_epi64(_mm512_sllv_epi64(one, load_bytes_as_words(table.width.data())), one);
  const __m512i bases = _mm512_loadu_si512(table.base.data());
  const __m512i widths = load_to_all(table.width.data());
  const auto plane_count = static_cast<unsigned>(std::bit_width(table.count - 1));
  const __m512i own_byte = _mm512_set_epi64(56, 48, 40, 32, 24, 16, 8, 0);
  const __m512i spread = _mm512_mullo_epi64(_mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0),
                                            _mm512_set1_epi64(0x0101010101010101));
  const __m512i next_bytes = _mm512_set1_epi64(0x0706050403020100);
  const __m512i low_byte = _mm512_set1_epi64(0xff);
  ClassedBlock block;
  uint64_t bit = 0;
  for (size_t begin = 0; begin < count; begin += 64) {
    const size_t here = std::min<size_t>(64, count - begin);
    bit = locate(planes + begin / 8, plane_size, plane_count, here, widths, bit, block);
    const size_t groups = (here + kGroup - 1) / kGroup;
    for (size_t g = 0; g < groups; ++g) {
      const __m512i bytes = _mm512_loadu_si512(in + block.begins[g]);
      const __m512i indexes =
          _mm512_add_epi8(_mm512_shuffle_epi8(load_to_all(&block.bytes[g]), spread), next_bytes);
      const __m512i shifts =
          _mm512_and_si512(_mm512_srlv_epi64(load_to_all(&block.shifts[g]), own_byte), low_byte);
      const __m512i ids = _mm512_srlv_epi64(load_to_all(&block.ids[g]), own_byte);
      const __m512i numbers = _mm512_srlv_epi64(_mm512_permutexvar_epi8(indexes, bytes), shifts);
      _mm512_storeu_si512(
          out + begin + g * kGroup,
          _mm512_add_epi64(_mm512_and_si512(numbers, _mm512_permutexvar_epi64(ids, masks)),
                           _mm512_permutexvar_epi64(ids, bases)));
    }
  }
  return bit;
}

// Sums of all numbers so far, eight at a time. A group is added to neighbours one, two and four
// places before, in the group before where need be: that makes sums of eight, to which lane by
// lane the sums of the group before are added. No lane has to be spread over all.
struct RunningSum {
  __m512i ones;
  __m512i pairs;
  __m512i fours;
  __m512i sum;
};

AVX512 inline RunningSum running_sum_from(uint64_t start) {
  const __m512i zero = _mm512_setzero_si512();
  return {zero, zero, zero, _mm512_set1_epi64(static_cast<int64_t>(start))};
}

AVX512 inline __m512i add_to(RunningSum& so_far, __m512i ones) {
  const __m512i pairs = _mm512_add_epi64(ones, _mm512_alignr_epi64(ones, so_far.ones, 7));
  const __m512i fours = _mm512_add_epi64(pairs, _mm512_alignr_epi64(pairs, so_far.pairs, 6));
  const __m512i eights = _mm512_add_epi64(fours, _mm512_alignr_epi64(fours, so_far.fours, 4));
  so_far = {ones, pairs, fours, _mm512_add_epi64(so_far.sum, eights)};
  return so_far.sum;
}

AVX512 inline uint64_t sum_of(const uint64_t* in, size_t whole_groups) {
  __m512i sum = _mm512_setzero_si512();
  for (size_t i = 0; i < whole_groups; i += kGroup) {
    sum = _mm512_add_epi64(sum, _mm512_loadu_si512(in + i));
  }
  return last_lane(running_sum(sum));
}

struct Integers {
  int64_t* out;

  AVX512 void put(size_t i, __m512i value) const { _mm512_storeu_si512(out + i, value); }
  AVX512 void put_some(size_t i, __mmask8 here, __m512i value) const {
    _mm512_mask_storeu_epi64(out + i, here, value);
  }
};

enum class Scaling : uint8_t { None, Multiply, Divide };

template <Scaling kScaling>
struct Decimals {
  double* out;
  double power;
  double inverse;

  AVX512 __m512d value_of(__m512i integer) const {
    const __m512d number = _mm512_cvtepi64_pd(integer);
    if constexpr (kScaling == Scaling::None) return number;
    const __m512d product = _mm512_mul_pd(number, _mm512_set1_pd(inverse));
    if constexpr (kScaling == Scaling::Multiply) return product;
    // number / power, correctly rounded: with the rounded reciprocal and one correction
    // (Markstein 1990). Four times as fast as a division.
    const __m512d rest = _mm512_fnmadd_pd(product, _mm512_set1_pd(power), number);
    return _mm512_fmadd_pd(rest, _mm512_set1_pd(inverse), product);
  }
  AVX512 void put(size_t i, __m512i integer) const { _mm512_storeu_pd(out + i, value_of(integer)); }
  AVX512 void put_some(size_t i, __mmask8 here, __m512i integer) const {
    _mm512_mask_storeu_pd(out + i, here, value_of(integer));
  }
};

template <unsigned kSums, bool kHasUnit, typename Sink>
AVX512 void restore_with(const uint64_t* in, size_t count, const Restoring& how, const Sink& sink) {
  const __m512i units = _mm512_set1_epi64(static_cast<int64_t>(how.unit));
  const __m512i firsts = _mm512_set1_epi64(static_cast<int64_t>(how.first));
  // Of whole groups that nobody asks for only the sum counts.
  const size_t skipped = kSums > 1 ? 0 : how.from / kGroup * kGroup;
  uint64_t start = kHasUnit ? 0 : how.first;
  if constexpr (kSums == 1) start += sum_of(in, skipped);
  if constexpr (kSums == 0) start += how.step * skipped;
  const __m512i step = _mm512_set1_epi64(static_cast<int64_t>(how.step));
  const __m512i steps = _mm512_slli_epi64(step, 3);
  __m512i places =
      _mm512_add_epi64(_mm512_mullo_epi64(step, _mm512_set_epi64(8, 7, 6, 5, 4, 3, 2, 1)),
                       _mm512_set1_epi64(static_cast<int64_t>(start)));
  RunningSum sum = running_sum_from(kSums == 1 ? start : 0);
  RunningSum sum_of_sums = running_sum_from(start);
  const auto next = [&](size_t i) AVX512 {
    __m512i one = _mm512_loadu_si512(in + i);
    if constexpr (kSums > 0) one = add_to(sum, one);
    if constexpr (kSums > 1) one = add_to(sum_of_sums, one);
    if constexpr (kSums == 0) {
      one = _mm512_add_epi64(one, places);
      places = _mm512_add_epi64(places, steps);
    }
    if constexpr (kHasUnit) one = _mm512_add_epi64(_mm512_mullo_epi64(one, units), firsts);
    return one;
  };
  size_t i = skipped;
#pragma GCC unroll 4
  for (; i + kGroup <= count; i += kGroup) sink.put(i, next(i));
  if (i < count) sink.put_some(i, first_lanes(count - i), next(i));
}

template <unsigned kSums, typename Sink>
AVX512 void restore_summed(const uint64_t* in, size_t count, const Restoring& how,
                           const Sink& sink) {
  if (how.unit == 1) return restore_with<kSums, false>(in, count, how, sink);
  return restore_with<kSums, true>(in, count, how, sink);
}

template <typename Sink>
AVX512 void restore_into(const uint64_t* in, size_t count, const Restoring& how, const Sink& sink) {
  if (how.sums == 0) return restore_summed<0>(in, count, how, sink);
  if (how.sums == 1) return restore_summed<1>(in, count, how, sink);
  return restore_summed<2>(in, count, how, sink);
}

AVX512 void restore(const uint64_t* in, size_t count, const Restoring& how, int64_t* out) {
  restore_into(in, count, how, Integers{out});
}

AVX512 void restore_doubles(const uint64_t* in, size_t count, const Restoring& how,
                            const DecimalScale& scale, double* out) {
  using enum Scaling;
  if (scale.power == 1) return restore_into(in, count, how, Decimals<None>{out, 1, 1});
  if (scale.multiply) {
    return restore_into(in, count, how, Decimals<Multiply>{out, scale.power, scale.inverse});
  }
  return restore_into(in, count, how, Decimals<Divide>{out, scale.power, scale.inverse});
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

AVX512 void linear(uint64_t first, uint64_t step, size_t count, int64_t* out) {
  const __m512i steps = _mm512_set1_epi64(static_cast<int64_t>(kGroup * step));
  __m512i eight = _mm512_add_epi64(_mm512_mullo_epi64(_mm512_set1_epi64(static_cast<int64_t>(step)),
                                                      _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0)),
                                   _mm512_set1_epi64(static_cast<int64_t>(first)));
  size_t i = 0;
  for (; i + kGroup <= count; i += kGroup) {
    _mm512_storeu_si512(out + i, eight);
    eight = _mm512_add_epi64(eight, steps);
  }
  _mm512_mask_storeu_epi64(out + i, first_lanes(count - i), eight);
}

AVX512 void add_with_lost(const double* in, size_t count, double* sums, double* lost) {
  const __m512d infinity = _mm512_set1_pd(std::numeric_limits<double>::infinity());
  for (size_t i = 0; i < count; i += kGroup) {
    const __mmask8 here = first_lanes(std::min(count - i, kGroup));
    const __m512d value = _mm512_maskz_loadu_pd(here, in + i);
    const __m512d sum = _mm512_maskz_loadu_pd(here, sums + i);
    const __m512d total = _mm512_add_pd(sum, value);
    const __mmask8 in_order =
        _mm512_cmp_pd_mask(_mm512_abs_pd(sum), _mm512_abs_pd(value), _CMP_GE_OQ);
    const __m512d large = _mm512_mask_blend_pd(in_order, value, sum);
    const __m512d small = _mm512_mask_blend_pd(in_order, sum, value);
    const __m512d more = _mm512_add_pd(_mm512_maskz_loadu_pd(here, lost + i),
                                       _mm512_add_pd(_mm512_sub_pd(large, total), small));
    const __mmask8 is_finite = _mm512_cmp_pd_mask(_mm512_abs_pd(total), infinity, _CMP_NEQ_UQ);
    _mm512_mask_storeu_pd(lost + i, here, _mm512_maskz_mov_pd(is_finite, more));
    _mm512_mask_storeu_pd(sums + i, here, total);
  }
}

AVX512 bool window_increases(const double* values, const WindowColumns& windows, double* out) {
  const __m512d zero = _mm512_setzero_pd();
  __mmask8 any = 0;
  for (size_t i = 0; i < windows.count; i += kGroup) {
    const __mmask8 here = first_lanes(std::min(windows.count - i, kGroup));
    const __m512d first = _mm512_mask_i32gather_pd(
        zero, here, _mm256_maskz_loadu_epi32(here, windows.first + i), values, 8);
    const __m512d last = _mm512_mask_i32gather_pd(
        zero, here, _mm256_maskz_loadu_epi32(here, windows.last + i), values, 8);
    const __m512d increase = _mm512_sub_pd(last, first);
    _mm512_mask_storeu_pd(out + i, here,
                          _mm512_mul_pd(increase, _mm512_maskz_loadu_pd(here, windows.factor + i)));
    const __m512d first_share =
        _mm512_mul_pd(first, _mm512_maskz_loadu_pd(here, windows.sampled_s + i));
    const __m512d reach =
        _mm512_mul_pd(_mm512_set1_pd(kReachRoom),
                      _mm512_mul_pd(_mm512_maskz_loadu_pd(here, windows.to_start_s + i), increase));
    const __mmask8 rises = _mm512_cmp_pd_mask(increase, zero, _CMP_GT_OQ);
    const __mmask8 above = _mm512_mask_cmp_pd_mask(rises, first, zero, _CMP_GE_OQ);
    any |= _mm512_mask_cmp_pd_mask(above, first_share, reach, _CMP_LE_OQ);
  }
  return any != 0;
}

}  // namespace

constinit const Kernels kAvx512Kernels = {
    .name = "avx512",
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
