#include "app/tsdb_repair.h"

#include "app/read_only_files.h"
#include "app/tsdb_command_impl.h"
#include "core/clock.h"
#include "core/time.h"
#include "tsdb/block.h"
#include "tsdb/engine.h"
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
std::string aside_path(core::FileSystem& files, const std::string& path) {
  std::string aside = path + std::string(kDamagedSuffix);
  for (int number = 2; files.exists(aside); ++number) {
    aside = fmt::format("{}.{}{}", path, number, kDamagedSuffix);
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
  std::string path_of(const BlockMeta& meta) const {
    return data_dir_ + "/blocks/" + meta.file_name();
  }

  core::FileSystem& files_;
  const std::string& data_dir_;
  const RepairOptions& options_;
  std::vector<BlockMeta> unreadable_;
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
  const bool has_changed = !recovered.is_original || !unreadable_.empty();
  if (!has_changed) options_.say("nothing to repair");
  if (!has_changed || options_.is_dry_run) return {};

  for (const BlockMeta& meta : unreadable_) {
    const std::string path = path_of(meta);
    if (files_.exists(path)) TRY(files_.rename(path, aside_path(files_, path)));
  }
  const std::string blocks_dir = data_dir_ + "/blocks";
  if (files_.exists(blocks_dir)) TRY(files_.sync_dir(blocks_dir));
  return recovered.manifest.store(files_, data_dir_)
      .context("store the manifest; what is set aside above stays in the old one, repair again");
}

}  // namespace

Result<void> repair_data_dir(core::FileSystem& files, const std::string& data_dir,
                             const RepairOptions& options) {
  return Repair(files, data_dir, options).run();
}

}  // namespace app
