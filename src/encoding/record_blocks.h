// Histograms, exemplars and metadata as bytes: the blocks that both logs put behind
// their float samples. Numbers are varints where they are integral, since bucket counts
// mostly are. Layout: docs/formats/record.md, "Blocks".

#pragma once

#include "model/sample.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace encoding {

// A float64, bit for bit (NaN payloads and -0 too): kind byte 1 and a zigzag varint for
// integers below 2^53, kind byte 0 and eight bytes otherwise.
void append_number(std::string& out, double value);
bool take_number(std::string_view& bytes, double& value);

// Timestamps are written as their distance from `base_ms`.
void append_histogram_sample(std::string& out, const model::HistogramSample& sample,
                             int64_t base_ms);
void append_exemplar(std::string& out, const model::Exemplar& exemplar, int64_t base_ms);
void append_metadata(std::string& out, const model::Metadata& metadata);

// Take one off the front of `bytes`; false when they are malformed. Counts are checked
// against the bytes that are left before memory is reserved.
bool take_histogram_sample(std::string_view& bytes, model::HistogramSample& sample,
                           int64_t base_ms);
bool take_exemplar(std::string_view& bytes, model::Exemplar& exemplar, int64_t base_ms);
bool take_metadata(std::string_view& bytes, model::Metadata& metadata);

}  // namespace encoding
