#include "app/tsdb_repair.h"

#include "app/read_only_files.h"
#include "app/tsdb_command_impl.h"
#include "core/clock.h"
#include "core/rng.h"
#include "core/time.h"
#include "tsdb/block.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"
#include "tsdb/give_up.h"
#include "tsdb/incomplete.h"
#include "tsdb/manifest_recovery.h"

#include <algorithm>

namespace app {
namespace {

using core::ErrorCode;
using core::Result;
using tsdb::BlockMeta;

constexpr std::string_view kDamagedSuffix = ".damaged";

std::string human_range(const BlockMeta& meta) {
  return fmt::format("{} and {}", core::format_rfc3339(meta.min_time_ms),
                     core::format_rfc3339(meta.max_time_ms));
}

// A name that nothing has: what was kept aside before stays.
std::string aside_path(core::FileSystem& files, const std::string& path,
                       std::string_view suffix = kDamagedSuffix) {
  std::string aside = path + std::string(suffix);
  for (int number = 2; files.exists(aside); ++number) {
    aside = fmt::format("{}.{}{}", path, number, suffix);
  }
  return aside;
}

class Repair {
 public:
  Repair(core::FileSystem& files, const std::string& data_dir, const RepairOptions& options)
      : files_(files), data_dir_(data_dir), options_(options) {}

  Result<void> run();

 private:
  Result<std::string> damage_of(const BlockMeta& meta);
  Result<void> take_out_unreadable(tsdb::Manifest& manifest);
  Result<void> look_for_unread(const std::string& dir, const std::string& name);
  Result<void> find_unread_files();
  Result<void> note_unread_log(tsdb::Manifest& manifest);
  void note_unread_blocks(tsdb::RecoveredManifest& recovered);
  Result<void> set_aside(const tsdb::RecoveredManifest& recovered);
  std::string path_of(const BlockMeta& meta) const {
    return data_dir_ + "/blocks/" + meta.file_name();
  }

  core::FileSystem& files_;
  const std::string& data_dir_;
  const RepairOptions& options_;
  std::string log_dir() const {
    return options_.log_dir.empty() ? data_dir_ + "/log" : options_.log_dir;
  }

  struct GivenUp {
    std::string dir;
    std::string path;
    std::vector<tsdb::UnreadPart> parts;
  };

  std::vector<BlockMeta> unreadable_;
  std::vector<GivenUp> given_up_;
};

// Why nothing can be read from a block; empty when something can. Damage in the samples of
// some series leaves the others: such a block stays. Fails when the disk does not say: what
// it does not give now may be whole.
Result<std::string> Repair::damage_of(const BlockMeta& meta) {
  const std::string path = path_of(meta);
  const auto mend = [&](const core::Error& error) {
    return core::fail(ErrorCode::Io,
                      "{}: {}\nThe disk does not give the file, which may be whole: nothing was "
                      "changed. See to the disk (dmesg), or copy the file to where it can be read",
                      path, error.message);
  };
  const Result<std::unique_ptr<core::File>> file = files_.open(path, core::OpenMode::Read);
  if (!file && file.error().code == ErrorCode::NotFound) {
    // Half of an earlier repair.
    const std::string aside = path + std::string(kDamagedSuffix);
    if (files_.exists(aside)) return "it was set aside as " + aside;
    // It may come back from a backup, or with a disk that is not mounted: a manifest without it
    // would have the next start remove it then.
    options_.say(path +
                 ": the file is missing; it stays in the manifest, and queries go on telling. "
                 "Put it back from a backup, with the server stopped, or live with the gap");
    return "";
  }
  if (!file) return mend(file.error());
  // Block::open() does not tell damage from a disk that fails; both ends are what it reads.
  const Result<uint64_t> size = (*file)->size();
  if (!size) return mend(size.error());
  uint8_t version_in_front = 0;
  uint8_t version_behind = 0;
  for (const uint64_t offset : {uint64_t{0}, *size - std::min<uint64_t>(*size, 4096)}) {
    const auto bytes = (*file)->read_at(offset, 4096);
    if (!bytes) return mend(bytes.error());
    if (offset == 0 && bytes->size() >= tsdb::kBlockHeaderSize) version_in_front = (*bytes)[7];
    if (!bytes->empty()) version_behind = bytes->back();
  }
  if (version_in_front == version_behind && version_behind > tsdb::kBlockVersion) {
    return core::fail(ErrorCode::Unsupported,
                      "{}: has version {}, this program reads 1 to {}: a later Petrel wrote it. "
                      "Nothing was changed; use that one",
                      path, version_behind, tsdb::kBlockVersion);
  }
  tsdb::BlockCache cache(0);
  const auto block = tsdb::Block::open(files_, path, meta, cache);
  const auto index = block->index();
  if (!index && index.error().code != ErrorCode::Corruption) return mend(index.error());
  return index ? "" : tsdb_command::block_damage(path, index.error().message);
}

// The ranges stay known as incomplete, so that queries go on telling.
Result<void> Repair::take_out_unreadable(tsdb::Manifest& manifest) {
  std::vector<BlockMeta> readable;
  for (const BlockMeta& meta : manifest.blocks) {
    const std::string damage = TRY(damage_of(meta));
    if (options_.on_checked) options_.on_checked(meta.size_bytes);
    if (damage.empty()) {
      readable.push_back(meta);
      continue;
    }
    options_.say(fmt::format(
        "{}: set aside: {}\n  costs: {} series with {} samples of tenant {}, between {}",
        path_of(meta), damage, meta.series, meta.samples, meta.tenant, human_range(meta)));
    tsdb::add_incomplete(
        manifest.incomplete,
        {.tenant = meta.tenant,
         .key = "block-" + std::to_string(meta.number),
         .range = {meta.min_time_ms, meta.max_time_ms + 1},
         .text = fmt::format("samples between {} are missing: {} was damaged and set aside",
                             human_range(meta), meta.file_name())});
    unreadable_.push_back(meta);
  }
  manifest.blocks = std::move(readable);
  return {};
}

Result<void> Repair::look_for_unread(const std::string& dir, const std::string& name) {
  const std::string path = dir + "/" + name;
  std::vector<tsdb::UnreadPart> parts = TRY(tsdb::find_unread_parts(files_, path));
  if (parts.empty()) return {};
  options_.say(fmt::format("{}: cannot be read from byte {} on: {}", path, parts.front().begin,
                           parts.front().why));
  given_up_.push_back({.dir = dir, .path = path, .parts = std::move(parts)});
  return {};
}

// Files of the log and series snapshots of which the disk does not give every byte.
Result<void> Repair::find_unread_files() {
  if (files_.exists(log_dir())) {
    const std::vector<std::string> names = TRY(files_.list(log_dir()));
    for (const std::string& name : names) {
      if (name.ends_with(".log")) TRY(look_for_unread(log_dir(), name));
    }
  }
  const std::vector<std::string> names = TRY(files_.list(data_dir_));
  for (const std::string& name : names) {
    const bool is_aside = name.ends_with(kDamagedSuffix) || name.ends_with(tsdb::kUnreadableSuffix);
    if (name.starts_with("series_snapshot-") && !is_aside) TRY(look_for_unread(data_dir_, name));
  }
  return {};
}

// Batches of the log that cannot be read stay known as incomplete.
Result<void> Repair::note_unread_log(tsdb::Manifest& manifest) {
  ReadOnlyFiles read_only(files_);
  core::SystemClock clock;
  core::SystemRng rng;
  const auto log = TRY(tsdb::EmbeddedLog::open({.dir = log_dir()}, read_only, clock, rng));
  const auto skip = [](storage::LogPosition, const storage::LogBatch&) -> Result<void> {
    return {};
  };
  TRY(log->replay(log->low(), skip));
  const tsdb::EngineOptions engine;
  for (storage::LogDamage one : log->damage()) {
    if (!one.is_unread) continue;
    one.is_unread = false;
    one.end = std::max(one.end, one.first + 1);
    const tsdb::Incomplete range = tsdb::incomplete_of(one, engine.out_of_order_window_ms,
                                                       engine.ahead_max_ms, clock.now_ms());
    options_.say("  costs: " + range.text);
    tsdb::add_incomplete(manifest.incomplete, range);
  }
  return {};
}

// Of a block that no manifest describes nobody knows the times.
void Repair::note_unread_blocks(tsdb::RecoveredManifest& recovered) {
  for (const tsdb::UnreadFile& one : recovered.unread) {
    if (!one.file.ends_with(".block")) continue;
    tsdb::add_incomplete(
        recovered.manifest.incomplete,
        {.tenant = "",
         .key = one.file,
         .range = {std::numeric_limits<int64_t>::min(), core::SystemClock().now_ms() + 1},
         .text =
             fmt::format("samples are missing: {} could not be read and was given up", one.file)});
  }
}

// Durably, before there is a manifest that does not know the names.
Result<void> Repair::set_aside(const tsdb::RecoveredManifest& recovered) {
  const std::string blocks_dir = data_dir_ + "/blocks";
  for (const tsdb::UnreadFile& one : recovered.unread) {
    if (one.file == data_dir_ || one.file == blocks_dir) {
      return core::fail(ErrorCode::Io, "{} cannot be read: {}. Nothing was changed", one.file,
                        one.what);
    }
  }
  for (const tsdb::UnreadFile& one : recovered.unread) {
    TRY(files_.rename(one.file, aside_path(files_, one.file, tsdb::kUnreadableSuffix)));
  }
  for (const BlockMeta& meta : unreadable_) {
    const std::string path = path_of(meta);
    if (files_.exists(path)) TRY(files_.rename(path, aside_path(files_, path)));
  }
  if (files_.exists(blocks_dir)) TRY(files_.sync_dir(blocks_dir));
  return {};
}

Result<void> Repair::run() {
  ReadOnlyFiles read_only(files_);
  core::FileSystem& files =
      options_.is_dry_run ? static_cast<core::FileSystem&>(read_only) : files_;
  tsdb::RecoveredManifest recovered =
      TRY(tsdb::load_manifest(files, data_dir_, tsdb::EngineOptions{}.block_range_ms));
  for (const std::string& problem : recovered.problems) options_.say(problem);
  if (!recovered.is_original) {
    tsdb::add_incomplete(recovered.manifest.incomplete,
                         tsdb::forgotten_deletions(recovered, core::SystemClock().now_ms(),
                                                   tsdb::EngineOptions{}.ahead_max_ms));
    options_.say(fmt::format("{}: made anew with {} blocks", tsdb::Manifest::path_in(data_dir_),
                             recovered.manifest.blocks.size()));
  }
  TRY(take_out_unreadable(recovered.manifest));
  TRY(find_unread_files());
  if (!given_up_.empty()) TRY(note_unread_log(recovered.manifest));
  note_unread_blocks(recovered);
  const bool has_changed = !recovered.is_original || !unreadable_.empty() || !given_up_.empty();
  if (!has_changed) options_.say("nothing to repair");
  if (!has_changed || options_.is_dry_run) return {};

  TRY(set_aside(recovered));
  TRY(recovered.manifest.store(files_, data_dir_)
          .context(
              "store the manifest; what is set aside above stays in the old one, repair again"));
  for (const GivenUp& one : given_up_) {
    TRY(tsdb::give_up_parts(files_, one.dir, one.path, one.parts));
  }
  return {};
}

}  // namespace

Result<void> repair_data_dir(core::FileSystem& files, const std::string& data_dir,
                             const RepairOptions& options) {
  return Repair(files, data_dir, options).run();
}

}  // namespace app
