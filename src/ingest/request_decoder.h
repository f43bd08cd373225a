// What the two versions of remote write share: samples, histograms, the fate of
// exemplars and metadata, and how a message fails.

#pragma once

#include "core/bytes.h"
#include "core/result.h"
#include "ingest/limits.h"
#include "ingest/wire_reader.h"
#include "storage/sample_sink.h"
#include "storage/write_batch.h"

#include <bit>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingest {

// OpenMetrics allows exemplars 128 characters of labels; UTF-8 has up to 4 bytes each.
inline constexpr size_t kExemplarLabelsSizeMax = 1024;

// Base of the decoder of one message. Reads return false, with error() set, when the
// message is malformed or too large. Borrows all of its arguments.
class RequestDecoder {
 protected:
  RequestDecoder(std::string_view message, const Limits& limits, storage::WriteBatch& batch,
                 storage::AppendSummary& refused)
      : message_(message), limits_(limits), batch_(batch), refused_(refused) {}

  void begin_series() {
    storage::BatchSeries& one = batch_.series.emplace_back();
    one.samples_begin = one.samples_end = static_cast<uint32_t>(batch_.samples.size());
    one.histograms_begin = one.histograms_end = static_cast<uint32_t>(batch_.histograms.size());
    one.exemplars_begin = one.exemplars_end = static_cast<uint32_t>(batch_.exemplars.size());
  }

  // A Sample, or a Histogram, to the newest series of the batch. `start_ms` becomes when
  // it began to count if the message says so, and stays otherwise. A histogram that
  // contradicts itself is noted for refuse_bad_histograms().
  bool sample(std::string_view bytes, int64_t& start_ms) {
    // Nearly every sample is a value, then a time of six bytes (1971 to 2109). In here, as
    // begin_series(), because it is done for every sample of a fleet.
    constexpr size_t kUsualSize = 1 + 8 + 1 + 6;
    constexpr uint64_t kTopBits = 0x808080808080;
    constexpr uint64_t kSixBytes = kTopBits & ~(uint64_t{0x80} << 40);  // the last has none
    if (bytes.size() == kUsualSize && static_cast<uint8_t>(bytes[0]) == kSampleValue &&
        static_cast<uint8_t>(bytes[9]) == kSampleTimestamp) {
      const uint64_t raw = core::load_le<uint64_t>(bytes.substr(8)) >> 16;
      if ((raw & kTopBits) == kSixBytes) {
        uint64_t time = 0;
        for (unsigned i = 0; i < 6; ++i) time |= (raw >> (8 * i) & 0x7f) << (7 * i);
        if (!count()) return false;
        batch_.samples.push_back({static_cast<int64_t>(time),
                                  std::bit_cast<double>(core::load_le<uint64_t>(bytes.substr(1)))});
        batch_.series.back().samples_end = static_cast<uint32_t>(batch_.samples.size());
        return true;
      }
    }
    return any_sample(bytes, start_ms);
  }
  bool histogram(std::string_view bytes, int64_t& start_ms);
  bool has_bad_histograms() const { return !bad_histograms_.empty(); }
  void refuse_bad_histograms(std::string_view label_bytes);

  // Losing an exemplar or metadata never costs a sample: what is not fit to keep is left
  // out. `labels_size`: bytes of names and values; above kExemplarLabelsSizeMax it goes.
  bool add_exemplar(model::Exemplar exemplar,
                    std::vector<std::pair<std::string, std::string>> labels, size_t labels_size);
  bool add_metadata(model::Metadata metadata);

  tl::unexpected<core::Error> malformed(const char* position, std::string_view what) const;
  tl::unexpected<core::Error> malformed(const WireReader& in, std::string_view what) const {
    return malformed(in.position(), what);
  }
  bool fail(const char* position, std::string_view what) {
    error_ = malformed(position, what);
    return false;
  }
  bool fail(const WireReader& in, std::string_view what) { return fail(in.position(), what); }

  const std::string_view message_;
  const Limits& limits_;
  storage::WriteBatch& batch_;
  storage::AppendSummary& refused_;
  tl::unexpected<core::Error> error_{core::Error{}};

 private:
  static constexpr uint32_t kSampleValue = wire_tag(1, WireType::Fixed64);
  static constexpr uint32_t kSampleTimestamp = wire_tag(2, WireType::Varint);

  bool any_sample(std::string_view bytes, int64_t& start_ms);
  bool count() { return ++count_ <= limits_.samples_max || too_many(); }
  bool too_many();

  size_t count_ = 0;  // samples, histograms, exemplars and metadata
  // Of the series in hand.
  std::vector<std::pair<storage::RefusalReason, std::string>> bad_histograms_;
};

// Runs `decode`; what it appended to the batch is taken back when it fails, so that a
// batch never holds half a message. What it refused goes to `refused` when it succeeds.
core::Result<void> decode_whole(
    storage::WriteBatch& batch, storage::AppendSummary& refused,
    const std::function<core::Result<void>(storage::AppendSummary& found)>& decode);

}  // namespace ingest
