// Chunks come from disk. What decodes must encode to something that decodes to the
// same, and nothing may read or write out of bounds.

#include "encoding/chunk.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::vector<int64_t> times;
  std::vector<double> values;
  if (encoding::decode_float_chunk(input, times, values)) {
    std::string again;
    encoding::append_float_chunk(again, times, values);
    std::vector<int64_t> times_back;
    std::vector<double> values_back;
    if (!encoding::decode_float_chunk(again, times_back, values_back)) std::abort();
    if (times_back != times || values_back.size() != values.size()) std::abort();
    for (size_t i = 0; i < values.size(); ++i) {
      if (!model::same_bits(values[i], values_back[i])) std::abort();
    }
  }
  std::vector<model::HistogramSample> histograms;
  if (encoding::decode_histogram_chunk(input, histograms)) {
    std::string again;
    encoding::append_histogram_chunk(again, histograms);
    std::vector<model::HistogramSample> back;
    if (!encoding::decode_histogram_chunk(again, back)) std::abort();
    if (back.size() != histograms.size()) std::abort();
  }
  return 0;
}
