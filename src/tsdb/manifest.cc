#include "tsdb/manifest.h"

#include "core/crc32c.h"
#include "core/log.h"
#include "core/metrics.h"
#include "core/mutation.h"

#include <charconv>
#include <optional>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kFirstLine = "petrel-manifest ";
constexpr int kVersion = 3;

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

template <typename... Numbers>
bool take_numbers(std::string_view& line, Numbers&... numbers) {
  return (take_number(line, numbers) && ...);
}

bool take_tenant(std::string_view& line, std::string& tenant) {
  tenant = take_word(line);
  return !tenant.empty();
}

// Letters, digits and underscores as they are, other bytes as %XX.
void append_escaped(std::string& out, std::string_view text) {
  for (const char c : text) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (plain) {
      out.push_back(c);
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<uint8_t>(c));
    }
  }
}

bool unescape(std::string_view text, std::string& out) {
  while (!text.empty()) {
    if (text.front() != '%') {
      out.push_back(text.front());
      text.remove_prefix(1);
      continue;
    }
    if (text.size() < 3) return false;
    uint8_t byte = 0;
    const auto [end, error] = std::from_chars(text.data() + 1, text.data() + 3, byte, 16);
    if (error != std::errc() || end != text.data() + 3) return false;
    out.push_back(static_cast<char>(byte));
    text.remove_prefix(3);
  }
  return true;
}

std::optional<model::MatchType> match_type(std::string_view text) {
  for (const auto type : {model::MatchType::Equal, model::MatchType::NotEqual,
                          model::MatchType::Regex, model::MatchType::NotRegex}) {
    if (model::match_symbol(type) == text) return type;
  }
  return std::nullopt;
}

bool decode_tombstone(std::string_view& line, Tombstone& one) {
  if (!take_tenant(line, one.tenant) || !take_numbers(line, one.range.start_ms, one.range.end_ms,
                                                      one.blocks_before, one.log_before)) {
    return false;
  }
  while (!line.empty()) {
    std::string name;
    std::string value;
    const std::string_view name_word = take_word(line);
    const std::optional<model::MatchType> type = match_type(take_word(line));
    if (!type || !unescape(name_word, name) || !unescape(take_word(line), value)) return false;
    core::Result<model::Matcher> matcher = model::Matcher::create(*type, name, value);
    if (!matcher) return false;
    one.matchers.push_back(*std::move(matcher));
  }
  return true;
}

bool decode_block(std::string_view& line, int version, BlockMeta& meta) {
  if (!take_number(line, meta.number) || !take_tenant(line, meta.tenant)) return false;
  meta.order = meta.number;
  if (version > 1 && !take_numbers(line, meta.level, meta.order)) return false;
  if (!take_numbers(line, meta.start_ms, meta.end_ms)) return false;
  meta.min_time_ms = meta.start_ms;
  if (version > 1 && !take_number(line, meta.min_time_ms)) return false;
  return take_numbers(line, meta.max_time_ms, meta.size_bytes, meta.series, meta.samples);
}

bool decode_line(std::string_view line, int version, Manifest& manifest) {
  const std::string_view key = take_word(line);
  bool good = false;
  if (key == "next_number") {
    good = take_number(line, manifest.next_number);
  } else if (key == "next_series_id") {
    good = take_number(line, manifest.next_series_id);
  } else if (key == "snapshot") {
    good = take_number(line, manifest.snapshot_number);
  } else if (key == "closed") {
    std::string tenant;
    Closed closed{.before_ms = 0, .log_before = Closed::kWholeLog};
    good = take_tenant(line, tenant) && take_number(line, closed.before_ms) &&
           (version == 1 || take_number(line, closed.log_before));
    manifest.closed[tenant] = closed;
  } else if (key == "evicted" && version > 2) {
    std::string tenant;
    storage::LogPosition before = 0;
    good = take_tenant(line, tenant) && take_number(line, before);
    manifest.evicted[tenant] = before;
  } else if (key == "block") {
    good = decode_block(line, version, manifest.blocks.emplace_back());
  } else if (key == "tombstone" && version > 1) {
    good = decode_tombstone(line, manifest.tombstones.emplace_back());
  } else if (key == "incomplete" && version > 1) {
    Incomplete& one = manifest.incomplete.emplace_back();
    good = take_tenant(line, one.tenant) &&
           take_numbers(line, one.range.start_ms, one.range.end_ms) &&
           unescape(take_word(line), one.key) && unescape(take_word(line), one.text);
    if (one.tenant == "/") one.tenant.clear();
  }
  return good && line.empty();
}

// As FileSystem::write_file_atomically(), and leaves nothing behind when it fails early.
Result<void> replace_file(core::FileSystem& files, const std::string& data_dir,
                          const std::string& path, std::string_view text,
                          bool* may_be_replaced = nullptr) {
  if (may_be_replaced != nullptr) *may_be_replaced = false;
  const std::string temporary = PETREL_MUTATED("manifest-in-place") ? path : path + ".tmp";
  const auto write = [&]() -> Result<void> {
    const std::unique_ptr<core::File> file =
        TRY(files.open(temporary, core::OpenMode::CreateOrTruncate));
    TRY(file->write_at(0, text));
    if (PETREL_MUTATED("manifest-no-sync")) return {};
    return file->sync();
  };
  if (Result<void> written = write(); !written) {
    (void)files.remove(temporary);
    return written;
  }
  if (PETREL_MUTATED("manifest-in-place")) return {};
  if (may_be_replaced != nullptr) *may_be_replaced = true;
  if (Result<void> renamed = files.rename(temporary, path); !renamed) {
    (void)files.remove(temporary);
    return renamed;
  }
  if (PETREL_MUTATED("manifest-no-dir-sync")) return {};
  return files.sync_dir(data_dir);
}

}  // namespace

std::string block_file_name(uint64_t number) {
  return fmt::format("{:010}.block", number);
}

std::map<std::string, int64_t> Manifest::newest_times_ms() const {
  std::map<std::string, int64_t> newest;
  for (const BlockMeta& meta : blocks) {
    int64_t& time = newest.try_emplace(meta.tenant, meta.max_time_ms).first->second;
    time = std::max(time, meta.max_time_ms);
  }
  return newest;
}

std::string Manifest::encode() const {
  std::string text =
      fmt::format("{}{}\nnext_number {}\nnext_series_id {}\nsnapshot {}\n", kFirstLine, kVersion,
                  next_number, next_series_id, snapshot_number);
  for (const auto& [tenant, one] : closed) {
    text += fmt::format("closed {} {} {}\n", tenant, one.before_ms, one.log_before);
  }
  for (const auto& [tenant, before] : evicted) {
    text += fmt::format("evicted {} {}\n", tenant, before);
  }
  for (const BlockMeta& meta : blocks) {
    text += fmt::format("block {} {} {} {} {} {} {} {} {} {} {}\n", meta.number, meta.tenant,
                        meta.level, meta.order, meta.start_ms, meta.end_ms, meta.min_time_ms,
                        meta.max_time_ms, meta.size_bytes, meta.series, meta.samples);
  }
  for (const Tombstone& one : tombstones) {
    text += fmt::format("tombstone {} {} {} {} {}", one.tenant, one.range.start_ms,
                        one.range.end_ms, one.blocks_before, one.log_before);
    for (const model::Matcher& matcher : one.matchers) {
      text.push_back(' ');
      append_escaped(text, matcher.name());
      text += fmt::format(" {} ", model::match_symbol(matcher.type()));
      append_escaped(text, matcher.value());
    }
    text.push_back('\n');
  }
  for (const Incomplete& one : incomplete) {
    text += fmt::format("incomplete {} {} {} ", one.tenant.empty() ? "/" : one.tenant,
                        one.range.start_ms, one.range.end_ms);
    append_escaped(text, one.key);
    text.push_back(' ');
    append_escaped(text, one.text);
    text.push_back('\n');
  }
  text += fmt::format("crc {:08x}\n", core::crc32c(text));
  return text;
}

Result<Manifest> Manifest::decode(std::string_view text) {
  const size_t crc_at = text.rfind("crc ");
  if (crc_at == std::string_view::npos) {
    return core::fail(ErrorCode::Corruption, "manifest of {} bytes: no checksum", text.size());
  }
  if (!PETREL_MUTATED("manifest-no-checksum") &&
      text.substr(crc_at) != fmt::format("crc {:08x}\n", core::crc32c(text.substr(0, crc_at)))) {
    return core::fail(ErrorCode::Corruption, "manifest of {} bytes: bad checksum", text.size());
  }
  text = text.substr(0, crc_at);
  Manifest manifest;
  int number = 0;
  int version = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    ++number;
    if (number == 1) {
      std::string_view rest = line;
      if (rest.starts_with(kFirstLine)) rest.remove_prefix(kFirstLine.size());
      if (!take_number(rest, version) || !rest.empty()) version = 0;
      if (version > kVersion) {
        return core::fail(ErrorCode::Unsupported,
                          "manifest has version {}, this program reads versions 1 to {}", version,
                          kVersion);
      }
    }
    const bool good = number == 1 ? version > 0 : decode_line(line, version, manifest);
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

Result<void> Manifest::store(core::FileSystem& files, const std::string& data_dir,
                             bool* may_be_stored) const {
  TRY(replace_file(files, data_dir, path_in(data_dir), encode(), may_be_stored));
  // What counts has happened: a copy that is missing or old is only less help.
  store_copy(files, data_dir);
  return {};
}

void Manifest::store_copy(core::FileSystem& files, const std::string& data_dir) const {
  static core::Counter& copy_failures = core::counter(
      "petrel_tsdb_manifest_copy_failures_total", "Copies of the manifest that were not stored.");
  const std::string text = encode();
  if (files.exists(copy_path_in(data_dir))) {
    const Result<std::string> stored = files.read_file(copy_path_in(data_dir));
    if (stored && *stored == text) return;
  }
  if (const Result<void> copied = replace_file(files, data_dir, copy_path_in(data_dir), text);
      !copied) {
    copy_failures.add();
    core::log_warn("tsdb", "the copy of the manifest is not stored",
                   {{"error", copied.error().message}});
  }
}

}  // namespace tsdb
