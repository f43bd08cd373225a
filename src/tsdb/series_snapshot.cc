#include "tsdb/series_snapshot.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/mutation.h"
#include "core/varint.h"
#include "tsdb/block_format.h"
#include "tsdb/read_again.h"

#include <optional>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kMagic = "PTRLSER\x01";  // the last byte is the version
// magic, then frames {stored size, raw size, crc of the stored bytes}; sizes 0: the end.
constexpr size_t kFrameHeaderSize = 12;
constexpr size_t kFrameRawSize = 1 << 20U;
constexpr uint32_t kFrameRawSizeMax = 64U << 20U;  // an entry may be larger than a frame

constexpr char kTenantEntry = 't';  // holds for the entries that follow
constexpr char kSeriesEntry = 's';
constexpr char kMetadataEntry = 'm';
constexpr char kExemplarEntry = 'e';

bool take_metadata(std::string_view& rest, model::Metadata& metadata) {
  std::string_view metric, unit, help;
  uint64_t type = 0;
  if (!core::take_string(rest, metric) || !core::take_varint(rest, type) ||
      !core::take_string(rest, unit) || !core::take_string(rest, help) ||
      type > static_cast<uint64_t>(model::MetricType::StateSet)) {
    return false;
  }
  metadata = {std::string(metric), static_cast<model::MetricType>(type), std::string(unit),
              std::string(help)};
  return true;
}

bool take_exemplar(std::string_view& rest, std::string_view& series, model::Exemplar& exemplar) {
  std::string_view labels;
  uint64_t time = 0;
  if (!core::take_string(rest, series) || !core::take_string(rest, labels) ||
      !core::take_varint(rest, time) || rest.size() < sizeof(double)) {
    return false;
  }
  exemplar.labels = model::Labels::from_canonical(labels);
  exemplar.timestamp_ms = core::unzigzag(time);
  exemplar.value = core::load_le<double>(rest);
  rest.remove_prefix(sizeof(double));
  return true;
}

}  // namespace

std::string series_snapshot_name(uint64_t number) {
  return fmt::format("series_snapshot-{:010}", number);
}

Result<std::unique_ptr<SeriesSnapshotWriter>> SeriesSnapshotWriter::create(
    core::FileSystem& files, const std::string& path) {
  std::unique_ptr<core::File> file = TRY(files.open(path, core::OpenMode::CreateNew));
  TRY(file->write_at(0, kMagic));
  std::unique_ptr<SeriesSnapshotWriter> writer(new SeriesSnapshotWriter(std::move(file)));
  writer->offset_ = kMagic.size();
  return writer;
}

void SeriesSnapshotWriter::begin_entry(char kind, std::string_view tenant) {
  if (tenant_ != tenant) {
    entries_.push_back(kTenantEntry);
    core::append_string(entries_, tenant);
    tenant_ = tenant;
  }
  entries_.push_back(kind);
}

Result<void> SeriesSnapshotWriter::add_series(std::string_view tenant, uint64_t id,
                                              std::string_view labels) {
  begin_entry(kSeriesEntry, tenant);
  core::append_varint(entries_, id);
  core::append_string(entries_, labels);
  return write_frame_if_full();
}

Result<void> SeriesSnapshotWriter::add_metadata(std::string_view tenant,
                                                const model::Metadata& metadata) {
  begin_entry(kMetadataEntry, tenant);
  core::append_string(entries_, metadata.metric);
  core::append_varint(entries_, static_cast<uint64_t>(metadata.type));
  core::append_string(entries_, metadata.unit);
  core::append_string(entries_, metadata.help);
  return write_frame_if_full();
}

Result<void> SeriesSnapshotWriter::add_exemplar(std::string_view tenant, std::string_view labels,
                                                const model::Exemplar& exemplar) {
  begin_entry(kExemplarEntry, tenant);
  core::append_string(entries_, labels);
  core::append_string(entries_, exemplar.labels.bytes());
  core::append_varint(entries_, core::zigzag(exemplar.timestamp_ms));
  core::append_le(entries_, exemplar.value);
  return write_frame_if_full();
}

Result<void> SeriesSnapshotWriter::write_frame_if_full() {
  if (entries_.size() < kFrameRawSize) return {};
  return write_frame();
}

Result<void> SeriesSnapshotWriter::write_frame() {
  const std::string stored = compress(entries_);
  std::string frame;
  core::append_le(frame, static_cast<uint32_t>(stored.size()));
  core::append_le(frame, static_cast<uint32_t>(entries_.size()));
  core::append_le(frame, core::crc32c(stored));
  frame += stored;
  TRY(file_->write_at(offset_, frame));
  offset_ += frame.size();
  entries_.clear();
  tenant_.clear();  // every frame can be read alone
  return {};
}

Result<void> SeriesSnapshotWriter::finish() {
  if (!entries_.empty()) TRY(write_frame());
  TRY(file_->write_at(offset_, std::string(kFrameHeaderSize, '\0')));
  if (PETREL_MUTATED("snapshot-no-sync")) return {};
  return file_->sync();
}

Result<void> read_snapshot_entries(std::string_view entries, const SeriesSnapshotVisitor& visitor) {
  std::string_view rest = entries;
  std::string_view tenant;
  while (!rest.empty()) {
    const char kind = rest.front();
    rest.remove_prefix(1);
    bool good = false;
    std::string_view labels;
    if (kind == kTenantEntry) {
      good = core::take_string(rest, tenant);
    } else if (kind == kSeriesEntry) {
      uint64_t id = 0;
      good = core::take_varint(rest, id) && core::take_string(rest, labels);
      if (good) visitor.series(tenant, id, labels);
    } else if (kind == kMetadataEntry) {
      model::Metadata metadata;
      good = take_metadata(rest, metadata);
      if (good) visitor.metadata(tenant, metadata);
    } else if (kind == kExemplarEntry) {
      model::Exemplar exemplar;
      good = take_exemplar(rest, labels, exemplar);
      if (good) visitor.exemplar(tenant, labels, exemplar);
    }
    if (!good) {
      return core::fail(ErrorCode::Corruption, "snapshot: bad entry {} bytes before the end",
                        rest.size());
    }
  }
  return {};
}

namespace {

struct Frame {
  uint64_t stored_size = 0;
  uint64_t raw_size = 0;
  uint32_t crc = 0;
  bool is_end() const { return stored_size == 0; }
};

std::optional<Frame> frame_header(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderSize) return std::nullopt;
  const Frame frame{.stored_size = core::load_le<uint32_t>(bytes),
                    .raw_size = core::load_le<uint32_t>(bytes.substr(4)),
                    .crc = core::load_le<uint32_t>(bytes.substr(8))};
  if (frame.is_end())
    return frame.raw_size == 0 && frame.crc == 0 ? std::optional(frame) : std::nullopt;
  if (frame.raw_size > kFrameRawSizeMax || frame.stored_size > frame.raw_size) return std::nullopt;
  return frame;
}

// Reads again what the disk refuses, and remembers that it did to the end.
struct Reader {
  const core::File& file;
  mutable bool has_failed = false;

  Result<std::string> read_at(uint64_t offset, size_t size) const {
    Result<std::string> bytes = read_again([&] { return file.read_at(offset, size); });
    has_failed |= !bytes && is_unread(bytes.error());
    return bytes;
  }
};

// The entries of the frame at `offset`.
Result<std::string> read_frame(const Reader& file, uint64_t offset, const Frame& frame) {
  const std::string stored = TRY(file.read_at(offset + kFrameHeaderSize, frame.stored_size));
  if (stored.size() != frame.stored_size) {
    return core::fail(ErrorCode::Corruption, "frame at byte {} is cut short", offset);
  }
  if (core::crc32c(stored) != frame.crc && !PETREL_MUTATED("snapshot-no-checksum")) {
    return core::fail(ErrorCode::Corruption, "frame at byte {}: bad checksum", offset);
  }
  return decompress(stored, frame.raw_size).context("frame at byte {}", offset);
}

// Where the next whole frame begins, or the size of the file. A frame begins with what
// zstd does, or is as large as its content, which begins with a tenant: that leaves few
// places whose checksum has to be computed.
uint64_t find_frame(const Reader& file, uint64_t from, uint64_t size) {
  constexpr uint64_t kWindow = 64 << 10;
  constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
  constexpr size_t kNeeded = kFrameHeaderSize + kZstdMagic.size();
  for (uint64_t at = from; at < size; at += kWindow) {
    const Result<std::string> read = file.read_at(at, kWindow + kNeeded);
    if (!read) continue;  // the disk cannot give this part
    const std::string_view bytes = *read;
    for (uint64_t i = 0; i < kWindow && i + kNeeded <= bytes.size(); ++i) {
      const std::optional<Frame> frame = frame_header(bytes.substr(i));
      if (!frame || frame->is_end()) continue;
      const std::string_view content = bytes.substr(i + kFrameHeaderSize);
      const bool fits = frame->stored_size == frame->raw_size ? content.front() == kTenantEntry
                                                              : content.starts_with(kZstdMagic);
      if (fits && read_frame(file, at + i, *frame)) return at + i;
    }
  }
  return size;
}

}  // namespace

Result<std::vector<SnapshotDamage>> read_series_snapshot(const core::File& from,
                                                         const SeriesSnapshotVisitor& visitor) {
  const Reader file{from};
  std::vector<SnapshotDamage> damage;
  Result<std::string> magic = file.read_at(0, kMagic.size());
  const std::string_view name = kMagic.substr(0, kMagic.size() - 1);
  if (magic && magic->size() == kMagic.size() && magic->starts_with(name) &&
      magic->back() > kMagic.back()) {
    return core::fail(ErrorCode::Unsupported,
                      "series snapshot of version {}, this program reads version {}",
                      static_cast<int>(magic->back()), static_cast<int>(kMagic.back()));
  }
  if (!magic || *magic != kMagic) {
    damage.push_back({0, magic ? "not a series snapshot, version 1" : magic.error().message,
                      !magic && is_unread(magic.error())});
  }
  const Result<uint64_t> known_size = read_again([&] { return from.size(); });
  if (!known_size) {
    damage.push_back({0, known_size.error().message, true});
    return damage;
  }
  const uint64_t size = *known_size;
  uint64_t offset = kMagic.size();
  while (true) {
    file.has_failed = false;
    const Result<std::string> header = file.read_at(offset, kFrameHeaderSize);
    const std::optional<Frame> frame = header ? frame_header(*header) : std::nullopt;
    if (frame && frame->is_end() && offset + kFrameHeaderSize == size) return damage;
    Result<void> done =
        core::fail(ErrorCode::Corruption, "no frame at byte {} of {}", offset, size);
    if (!header) {
      done = tl::unexpected(header.error());
    } else if (frame && !frame->is_end()) {
      const Result<std::string> entries = read_frame(file, offset, *frame);
      if (entries) {
        done = read_snapshot_entries(*entries, visitor).context("frame at byte {}", offset);
      } else {
        done = tl::unexpected(entries.error());
      }
    }
    if (done) {
      offset += kFrameHeaderSize + frame->stored_size;
      continue;
    }
    const uint64_t next = find_frame(file, offset + 1, size);
    damage.push_back({offset, done.error().message, file.has_failed});
    offset = next;
    if (offset >= size) return damage;
  }
}

}  // namespace tsdb
