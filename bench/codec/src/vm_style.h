// Sizes as VictoriaMetrics would store a block: values as decimals of one exponent, constants and
// constant differences apart, else differences (gauges) or differences of differences (counters)
// as zigzag varints, zstd where they take 128 bytes and it saves a tenth
// (VictoriaMetrics, lib/decimal and lib/encoding). Headers are counted as little as they could
// be: a byte of type, the first value as varint, the exponent.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

inline constexpr int kVmZstdLevel = 1;

size_t vm_timestamps_size(std::span<const int64_t> timestamps_ms);

struct VmValues {
  size_t size = 0;
  size_t altered = 0;  // values that come back with other bits
};
VmValues vm_values_size(std::span<const double> values);
