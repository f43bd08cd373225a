#include "tsdb/manifest.h"

#include "core/crc32c.h"

#include <charconv>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kFirstLine = "petrel-manifest 1";

// The next word of a line; empty at its end.
std::string_view take_word(std::string_view& line) {
  const size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

template <typename Number>
bool take_number(std::string_view& line, Number& number) {
  const std::string_view word = take_word(line);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size() && !word.empty();
}

bool decode_line(std::string_view line, Manifest& manifest) {
  const std::string_view key = take_word(line);
  bool good = false;
  if (key == "next_number") {
    good = take_number(line, manifest.next_number);
  } else if (key == "next_series_id") {
    good = take_number(line, manifest.next_series_id);
  } else if (key == "snapshot") {
    good = take_number(line, manifest.snapshot_number);
  } else if (key == "closed") {
    const std::string_view tenant = take_word(line);
    int64_t before = 0;
    good = !tenant.empty() && take_number(line, before);
    manifest.closed_before_ms[std::string(tenant)] = before;
  } else if (key == "block") {
    BlockMeta meta;
    good = take_number(line, meta.number);
    meta.tenant = take_word(line);
    good = good && !meta.tenant.empty() && take_number(line, meta.start_ms) &&
           take_number(line, meta.end_ms) && take_number(line, meta.max_time_ms) &&
           take_number(line, meta.size_bytes) && take_number(line, meta.series) &&
           take_number(line, meta.samples);
    manifest.blocks.push_back(std::move(meta));
  }
  return good && line.empty();
}

}  // namespace

std::string BlockMeta::file_name() const {
  return fmt::format("{:010}.block", number);
}

std::string Manifest::encode() const {
  std::string text = fmt::format("{}\nnext_number {}\nnext_series_id {}\nsnapshot {}\n", kFirstLine,
                                 next_number, next_series_id, snapshot_number);
  for (const auto& [tenant, before] : closed_before_ms) {
    text += fmt::format("closed {} {}\n", tenant, before);
  }
  for (const BlockMeta& meta : blocks) {
    text += fmt::format("block {} {} {} {} {} {} {} {}\n", meta.number, meta.tenant, meta.start_ms,
                        meta.end_ms, meta.max_time_ms, meta.size_bytes, meta.series, meta.samples);
  }
  text += fmt::format("crc {:08x}\n", core::crc32c(text));
  return text;
}

Result<Manifest> Manifest::decode(std::string_view text) {
  const size_t crc_at = text.rfind("crc ");
  if (crc_at == std::string_view::npos ||
      text.substr(crc_at) != fmt::format("crc {:08x}\n", core::crc32c(text.substr(0, crc_at)))) {
    return core::fail(ErrorCode::Corruption, "manifest of {} bytes: bad checksum", text.size());
  }
  text = text.substr(0, crc_at);
  Manifest manifest;
  int number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    ++number;
    const bool good = number == 1 ? line == kFirstLine : decode_line(line, manifest);
    if (!good) {
      return core::fail(ErrorCode::Corruption, "manifest line {}: cannot read \"{}\"", number,
                        line);
    }
  }
  if (number == 0) return core::fail(ErrorCode::Corruption, "manifest is empty");
  return manifest;
}

Result<Manifest> Manifest::load(core::FileSystem& files, const std::string& data_dir) {
  const std::string path = path_in(data_dir);
  if (!files.exists(path)) return Manifest{};
  const std::string text = TRY(files.read_file(path));
  return decode(text).context("{}", path);
}

Result<void> Manifest::store(core::FileSystem& files, const std::string& data_dir) const {
  return files.write_file_atomically(path_in(data_dir), encode());
}

}  // namespace tsdb
