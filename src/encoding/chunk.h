// Chunks: runs of samples of one series as bytes. A chunk starts with the id of its
// codec; ids are on disk and never used twice (docs/formats/chunk.md).

#pragma once

#include "core/result.h"
#include "encoding/int_column.h"
#include "model/sample.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace encoding {

enum class Codec : uint8_t {
  Floats = 1,      // count, int column of timestamps, float column of values
  Histograms = 2,  // count, then one record per histogram (histogram_chunk.cc)
  // Without timestamps: those are a column of their own, which many series share.
  FloatValues = 3,      // float column of values
  HistogramValues = 4,  // as Histograms, records without times
};

inline constexpr size_t kChunkSamplesMax = kColumnSizeMax;

// The codec of a chunk; Corruption when there is none.
core::Result<Codec> codec_of(std::string_view chunk);

// Append a chunk to `out`. Preconditions: 1..kChunkSamplesMax samples.
void append_float_chunk(std::string& out, std::span<const int64_t> timestamps_ms,
                        std::span<const double> values, Effort effort = Effort::Best);
void append_histogram_chunk(std::string& out, std::span<const model::HistogramSample> histograms);

// Decode a whole chunk behind what the vectors hold. On Corruption they are as before.
core::Result<void> decode_float_chunk(std::string_view chunk, std::vector<int64_t>& timestamps_ms,
                                      std::vector<double>& values);
// The same of the samples in [start_ms, end_ms). Their times must rise.
core::Result<void> decode_float_chunk(std::string_view chunk, int64_t start_ms, int64_t end_ms,
                                      std::vector<int64_t>& timestamps_ms,
                                      std::vector<double>& values);
core::Result<void> decode_histogram_chunk(std::string_view chunk,
                                          std::vector<model::HistogramSample>& histograms);

// The same for chunks whose timestamps stand elsewhere, which tell how many samples there are:
// floats do not repeat it. Corruption when the chunk does not have the form of so many.
void append_value_chunk(std::string& out, std::span<const double> values);
void append_histogram_value_chunk(std::string& out,
                                  std::span<const model::HistogramSample> histograms);
core::Result<void> decode_value_chunk(std::string_view chunk, size_t count_expected,
                                      std::vector<double>& values);
// The same into `values`, as many as the chunk has. Those before `from` need not be there
// afterwards; on Corruption none.
core::Result<void> decode_value_chunk(std::string_view chunk, std::span<double> values,
                                      size_t from = 0);
// The decoded histograms get `timestamps_ms`, one each.
core::Result<void> decode_histogram_value_chunk(std::string_view chunk,
                                                std::span<const int64_t> timestamps_ms,
                                                std::vector<model::HistogramSample>& histograms);

// Whether a chunk of floats stores its values as raw bits, because they are no decimals. False
// for what is no chunk of floats.
bool stores_raw_floats(std::string_view chunk);

// Timestamps that stand alone, 1..kChunkSamplesMax of them. `take` takes a column of out.size()
// off the front of `bytes`; false when they are not such a column.
void append_timestamp_column(std::string& out, std::span<const int64_t> timestamps_ms);
[[nodiscard]] bool take_timestamp_column(std::string_view& bytes, std::span<int64_t> out);

}  // namespace encoding
