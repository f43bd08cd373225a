#include "pipeline/record_v1.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/varint.h"
#include "encoding/record_blocks.h"
#include "model/labels.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <xxhash.h>
#include <zstd.h>

namespace pipeline {

using core::ErrorCode;
using core::Result;
using storage::LogBatch;
using storage::LogSeries;

namespace {

constexpr size_t kHeaderBytes = 1 + 1 + 8 + 8 + 8;
constexpr size_t kCrcBytes = 4;
constexpr uint8_t kFlagZstd = 1;
constexpr int kZstdLevel = 1;  // measured on scrapes: 8 to 10 bytes per sample; higher levels
                               // gain little and cost several times the time

int64_t distance(int64_t from, int64_t to) {
  return static_cast<int64_t>(static_cast<uint64_t>(to) - static_cast<uint64_t>(from));
}
int64_t advance(int64_t from, int64_t by) {
  return static_cast<int64_t>(static_cast<uint64_t>(from) + static_cast<uint64_t>(by));
}

// Label texts of one section, each once, in the order of their first use.
class SymbolTable {
 public:
  uint64_t ref(std::string_view text) {
    const auto [entry, added] = refs_.try_emplace(text, texts_.size());
    if (added) texts_.push_back(text);
    return entry->second;
  }
  const std::vector<std::string_view>& texts() const { return texts_; }

 private:
  std::unordered_map<std::string_view, uint64_t> refs_;
  std::vector<std::string_view> texts_;
};

template <typename T>
std::span<const T> part(const std::vector<T>& all, uint32_t begin, uint32_t end) {
  return std::span(all).subspan(begin, end - begin);
}

void append_series(std::string& out, const LogBatch& batch, const LogSeries& one,
                   const LogSeries& before, int64_t base_ms, SymbolTable& symbols) {
  core::append_le(out, series_hash(one.labels));
  const model::LabelsView labels(one.labels);
  uint64_t label_count = 0;
  for ([[maybe_unused]] const model::Label& label : labels) ++label_count;
  core::append_varint(out, label_count);
  for (const model::Label& label : labels) {
    core::append_varint(out, symbols.ref(label.name));
    core::append_varint(out, symbols.ref(label.value));
  }
  const auto samples = part(batch.samples, before.samples_end, one.samples_end);
  core::append_varint(out, samples.size());
  int64_t time_ms = base_ms;
  for (const model::Sample& sample : samples) {
    core::append_varint(out, core::zigzag(distance(time_ms, sample.timestamp_ms)));
    encoding::append_number(out, sample.value);
    time_ms = sample.timestamp_ms;
  }
  const auto histograms = part(batch.histograms, before.histograms_end, one.histograms_end);
  core::append_varint(out, histograms.size());
  for (const auto& sample : histograms) encoding::append_histogram_sample(out, sample, base_ms);
  const auto exemplars = part(batch.exemplars, before.exemplars_end, one.exemplars_end);
  core::append_varint(out, exemplars.size());
  for (const auto& exemplar : exemplars) encoding::append_exemplar(out, exemplar, base_ms);
}

void append_section(std::string& out, const LogBatch& batch, int64_t accepted_at_ms) {
  const int64_t base_ms =
      batch.samples.empty() ? accepted_at_ms : batch.samples.front().timestamp_ms;
  SymbolTable symbols;
  std::string series;
  LogSeries before;
  for (const LogSeries& one : batch.series) {
    append_series(series, batch, one, before, base_ms, symbols);
    before = one;
  }
  core::append_string(out, batch.tenant);
  core::append_varint(out, symbols.texts().size());
  for (const std::string_view text : symbols.texts()) core::append_string(out, text);
  core::append_le(out, base_ms);
  core::append_varint(out, batch.series.size());
  out += series;
  core::append_varint(out, batch.metadata.size());
  for (const model::Metadata& metadata : batch.metadata) encoding::append_metadata(out, metadata);
}

void append_compressed(std::string& out, std::string_view body) {
  const size_t begin = out.size();
  out.resize(begin + ZSTD_compressBound(body.size()));
  const size_t size =
      ZSTD_compress(out.data() + begin, out.size() - begin, body.data(), body.size(), kZstdLevel);
  ENSURE(ZSTD_isError(size) == 0);  // the bound leaves no way to fail but lack of memory
  out.resize(begin + size);
}

Result<void> expand(std::string_view compressed, std::string& body) {
  const unsigned long long size = ZSTD_getFrameContentSize(compressed.data(), compressed.size());
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN) {
    return core::fail(ErrorCode::Corruption, "record: no zstd frame with a size at byte {}",
                      kHeaderBytes);
  }
  if (size > kRecordBodyBytesMax) {
    return core::fail(ErrorCode::Corruption, "record: expands to {} bytes, at most {} are read",
                      size, kRecordBodyBytesMax);
  }
  body.resize(size);
  const size_t got =
      ZSTD_decompress(body.data(), body.size(), compressed.data(), compressed.size());
  if (ZSTD_isError(got) != 0 || got != size) {
    return core::fail(ErrorCode::Corruption, "record: zstd: {}", ZSTD_getErrorName(got));
  }
  return {};
}

// Takes a body apart; false where it is malformed.
class BodyReader {
 public:
  BodyReader(std::string_view body, DecodedRecord& record) : rest_(body), record_(record) {}

  bool read() {
    uint64_t sections = 0;
    if (!count(sections)) return false;
    record_.sections.resize(sections);
    for (LogBatch& batch : record_.sections) {
      batch.clear();
      batch.accepted_at_ms = record_.header.accepted_at_ms;
      if (!read_section(batch)) return false;
    }
    return rest_.empty();
  }

  // Views of label bytes, when the buffer behind them no longer moves.
  void set_labels() {
    size_t next = 0;
    for (LogBatch& batch : record_.sections) {
      for (LogSeries& one : batch.series) {
        const size_t begin = next == 0 ? 0 : label_ends_[next - 1];
        one.labels = std::string_view(record_.labels).substr(begin, label_ends_[next] - begin);
        ++next;
      }
    }
  }

  size_t left() const { return rest_.size(); }

 private:
  // A number of things of at least one byte each.
  bool count(uint64_t& value) { return core::take_varint(rest_, value) && value <= rest_.size(); }

  template <typename T>
  bool fixed(T& value) {
    if (rest_.size() < sizeof(T)) return false;
    value = core::load_le<T>(rest_);
    rest_.remove_prefix(sizeof(T));
    return true;
  }

  bool read_section(LogBatch& batch) {
    uint64_t symbol_count = 0;
    uint64_t series_count = 0;
    int64_t base_ms = 0;
    if (!core::take_string(rest_, batch.tenant) || !model::is_valid_tenant(batch.tenant)) {
      return false;
    }
    if (!count(symbol_count)) return false;
    symbols_.resize(symbol_count);
    for (std::string_view& text : symbols_) {
      if (!core::take_string(rest_, text)) return false;
    }
    if (!fixed(base_ms) || !count(series_count)) return false;
    for (uint64_t i = 0; i < series_count; ++i) {
      if (!read_series(batch, base_ms)) return false;
    }
    uint64_t metadata_count = 0;
    if (!count(metadata_count)) return false;
    for (uint64_t i = 0; i < metadata_count; ++i) {
      if (!encoding::take_metadata(rest_, batch.metadata.emplace_back())) return false;
    }
    return true;
  }

  bool read_series(LogBatch& batch, int64_t base_ms) {
    LogSeries one;
    one.is_new = true;
    if (!fixed(one.id) || !read_labels(one.id)) return false;
    uint64_t items = 0;
    if (!count(items)) return false;
    int64_t time_ms = base_ms;
    for (uint64_t i = 0; i < items; ++i) {
      uint64_t step = 0;
      model::Sample sample;
      if (!core::take_varint(rest_, step)) return false;
      if (!encoding::take_number(rest_, sample.value)) return false;
      sample.timestamp_ms = time_ms = advance(time_ms, core::unzigzag(step));
      batch.samples.push_back(sample);
    }
    if (!count(items)) return false;
    for (uint64_t i = 0; i < items; ++i) {
      if (!encoding::take_histogram_sample(rest_, batch.histograms.emplace_back(), base_ms)) {
        return false;
      }
    }
    if (!count(items)) return false;
    for (uint64_t i = 0; i < items; ++i) {
      if (!encoding::take_exemplar(rest_, batch.exemplars.emplace_back(), base_ms)) return false;
    }
    one.samples_end = static_cast<uint32_t>(batch.samples.size());
    one.histograms_end = static_cast<uint32_t>(batch.histograms.size());
    one.exemplars_end = static_cast<uint32_t>(batch.exemplars.size());
    batch.series.push_back(one);
    return true;
  }

  // Records may be written by programs other than Petrel: sets have to be canonical.
  bool read_labels(uint64_t hash) {
    std::string& labels = record_.labels;
    const size_t begin = labels.size();
    uint64_t label_count = 0;
    if (!count(label_count)) return false;
    for (uint64_t i = 0; i < label_count; ++i) {
      uint64_t name = 0;
      uint64_t value = 0;
      if (!core::take_varint(rest_, name) || !core::take_varint(rest_, value)) return false;
      if (name >= symbols_.size() || value >= symbols_.size()) return false;
      model::append_label(labels, symbols_[name], symbols_[value]);
      // A few bytes can repeat a long text a million times.
      if (labels.size() > kRecordBodyBytesMax) return false;
    }
    const std::string_view bytes = std::string_view(labels).substr(begin);
    label_ends_.push_back(labels.size());
    return model::is_canonical(model::LabelsView(bytes)) && series_hash(bytes) == hash;
  }

  std::string_view rest_;
  DecodedRecord& record_;
  std::vector<std::string_view> symbols_;
  std::vector<size_t> label_ends_;
};

Result<void> read_header(std::string_view bytes, RecordHeader& header, uint8_t& flags) {
  if (bytes.empty() || static_cast<uint8_t>(bytes[0]) != kRecordV1) {
    return core::fail(ErrorCode::Unsupported, "record: version {}, this program reads version {}",
                      bytes.empty() ? 0 : static_cast<int>(static_cast<uint8_t>(bytes[0])),
                      kRecordV1);
  }
  if (bytes.size() < kHeaderBytes + kCrcBytes) {
    return core::fail(ErrorCode::Corruption, "record: cut short at byte {}", bytes.size());
  }
  const size_t crc_at = bytes.size() - kCrcBytes;
  const auto stored = core::load_le<uint32_t>(bytes.substr(crc_at));
  const uint32_t computed = core::crc32c(bytes.substr(0, crc_at));
  if (stored != computed) {
    return core::fail(ErrorCode::Corruption,
                      "record: checksum {:#010x} at byte {}, computed {:#010x}", stored, crc_at,
                      computed);
  }
  flags = static_cast<uint8_t>(bytes[1]);
  if ((flags & ~kFlagZstd) != 0) {
    return core::fail(ErrorCode::Unsupported, "record: unknown flags {:#04x}", flags);
  }
  header = {.collector_id = core::load_le<uint64_t>(bytes.substr(2)),
            .seq = core::load_le<uint64_t>(bytes.substr(10)),
            .accepted_at_ms = core::load_le<int64_t>(bytes.substr(18))};
  return {};
}

}  // namespace

uint64_t series_hash(std::string_view label_bytes) {
  return XXH3_64bits(label_bytes.data(), label_bytes.size());
}

void append_record_v1(std::string& out, const RecordHeader& header,
                      std::span<const LogBatch> sections, Compression compression) {
  const size_t begin = out.size();
  out.push_back(static_cast<char>(kRecordV1));
  out.push_back(static_cast<char>(compression == Compression::Zstd ? kFlagZstd : 0));
  core::append_le(out, header.collector_id);
  core::append_le(out, header.seq);
  core::append_le(out, header.accepted_at_ms);
  std::string body;
  core::append_varint(body, sections.size());
  for (const LogBatch& batch : sections) append_section(body, batch, header.accepted_at_ms);
  if (compression == Compression::Zstd) {
    append_compressed(out, body);
  } else {
    out += body;
  }
  core::append_le(out, core::crc32c(std::string_view(out).substr(begin)));
}

Result<void> decode_record_v1(std::string_view bytes, DecodedRecord& record) {
  uint8_t flags = 0;
  record.sections.clear();
  record.labels.clear();
  TRY(read_header(bytes, record.header, flags));
  std::string_view body = bytes.substr(kHeaderBytes, bytes.size() - kHeaderBytes - kCrcBytes);
  if ((flags & kFlagZstd) != 0) {
    TRY(expand(body, record.body));
    body = record.body;
  }
  BodyReader reader(body, record);
  if (!reader.read()) {
    record.sections.clear();
    return core::fail(ErrorCode::Corruption, "record: malformed at byte {} of its body of {}",
                      body.size() - reader.left(), body.size());
  }
  reader.set_labels();
  return {};
}

}  // namespace pipeline
