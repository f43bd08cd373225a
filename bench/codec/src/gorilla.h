// The size of Gorilla's encoding (Pelkonen et al., VLDB 2015), as Prometheus's XOR chunks.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct GorillaSize {
  size_t timestamp_bits = 0;
  size_t value_bits = 0;
};

GorillaSize gorilla_size(std::span<const int64_t> timestamps_ms, std::span<const double> values);
