// petrel tsdb repair: what a server does at its start about a damaged manifest, and what it
// leaves to people: blocks of which nothing can be read are set aside. Nothing is deleted.

#include "app/read_only_files.h"
#include "app/tsdb_command_impl.h"
#include "core/log.h"
#include "tsdb/block.h"
#include "tsdb/incomplete.h"
#include "tsdb/manifest_recovery.h"

#include <algorithm>
#include <cstdio>

namespace app::tsdb_command {
namespace {

using core::Result;
using tsdb::BlockMeta;

constexpr std::string_view kDamagedSuffix = ".damaged";

void say(const std::string& text) {
  std::printf("%s\n", text.c_str());
}

// Why nothing can be read from a block; empty when something can. Damage in the samples of
// some series leaves the others: such a block stays.
std::string damage_of(DataDir& dir, const BlockMeta& meta) {
  const std::string path = dir.blocks_dir() + "/" + meta.file_name();
  if (!dir.files.exists(path)) return "the file is missing";
  tsdb::BlockCache cache(0);
  const auto block = tsdb::Block::open(dir.files, path, meta, cache);
  const auto index = block->index();
  return index ? "" : index.error().message;
}

// Takes unreadable blocks out of the manifest; the ranges stay known as incomplete, so that
// queries go on telling. The files are renamed when the manifest no longer names them.
std::vector<std::string> take_out_unreadable(DataDir& dir, tsdb::Manifest& manifest) {
  std::vector<std::string> paths;
  uint64_t total_bytes = 0;
  for (const BlockMeta& meta : manifest.blocks) total_bytes += meta.size_bytes;
  Progress progress("reading indexes", total_bytes);
  std::erase_if(manifest.blocks, [&](const BlockMeta& meta) {
    progress.add(meta.size_bytes);
    const std::string damage = damage_of(dir, meta);
    if (damage.empty()) return false;
    const std::string path = dir.blocks_dir() + "/" + meta.file_name();
    say(fmt::format("{}: set aside: {}\n  costs: {} series with {} samples of tenant {}, {} to {}",
                    path, damage, meta.series, meta.samples, meta.tenant,
                    human_time(meta.min_time_ms), human_time(meta.max_time_ms)));
    tsdb::add_incomplete(
        manifest.incomplete,
        {.tenant = meta.tenant,
         .key = "block-" + std::to_string(meta.number),
         .range = {meta.min_time_ms, meta.max_time_ms + 1},
         .text = fmt::format("samples between {} and {} are missing: {} was damaged and set aside",
                             human_time(meta.min_time_ms), human_time(meta.max_time_ms),
                             meta.file_name())});
    paths.push_back(path);
    return true;
  });
  return paths;
}

Result<void> repair(DataDir& dir, bool is_dry_run) {
  ReadOnlyFiles read_only(dir.files);
  core::FileSystem& files = is_dry_run ? static_cast<core::FileSystem&>(read_only) : dir.files;
  tsdb::RecoveredManifest recovered =
      TRY(tsdb::load_manifest(files, dir.path, tsdb::EngineOptions{}.block_range_ms));
  for (const std::string& problem : recovered.problems) say(problem);
  if (!recovered.is_original) {
    say(fmt::format("{}: made anew with {} blocks", tsdb::Manifest::path_in(dir.path),
                    recovered.manifest.blocks.size()));
  }
  const std::vector<std::string> damaged = take_out_unreadable(dir, recovered.manifest);
  const bool has_changed = !recovered.is_original || !damaged.empty();
  if (!has_changed) say("nothing to repair");
  if (!has_changed || is_dry_run) return {};
  TRY(recovered.manifest.store(dir.files, dir.path));
  for (const std::string& path : damaged) {
    if (!dir.files.exists(path)) continue;
    TRY(dir.files.rename(path, path + std::string(kDamagedSuffix)));
  }
  if (!damaged.empty()) TRY(dir.files.sync_dir(dir.blocks_dir()));
  return {};
}

}  // namespace

int run_repair(const std::vector<std::string>& arguments) {
  CommandLine line(
      "repair",
      "Makes a manifest anew that is damaged or missing, and sets blocks aside of which\n"
      "nothing can be read (NAME.block.damaged). Deletes nothing; queries go on telling\n"
      "which times are incomplete. Blocks with damage in some series stay: the others\n"
      "can be read. The log is repaired by the server at its start.");
  bool is_dry_run = false;
  line.cli.add_flag("--dry-run", is_dry_run, "Only tell what would be done.");
  if (const auto code = line.parse(arguments)) return *code;
  const auto dir = DataDir::open_alone(line.dir);
  if (!dir) return fail_with(line.name, dir.error());
  if (const Result<void> done = repair(**dir, is_dry_run); !done) {
    return fail_with(line.name, done.error());
  }
  return 0;
}

}  // namespace app::tsdb_command
