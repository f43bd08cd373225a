#include "tsdb/manifest_recovery.h"

#include "core/log.h"
#include "core/metrics.h"
#include "core/time.h"
#include "model/tenant.h"
#include "tsdb/block.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <set>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kSnapshotPrefix = "series_snapshot-";
constexpr std::string_view kBlockSuffix = ".block";
constexpr std::string_view kDamagedSuffix = ".damaged";
constexpr std::string_view kAsideSuffix = ".aside";

core::Counter& recoveries() {
  static core::Counter& metric =
      core::counter("petrel_tsdb_manifest_recoveries_total",
                    "Starts at which the manifest was damaged or missing and was put together.");
  return metric;
}

std::optional<uint64_t> parse_number(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<uint64_t> block_number(std::string_view name) {
  if (!name.ends_with(kBlockSuffix)) return std::nullopt;
  return parse_number(name.substr(0, name.size() - kBlockSuffix.size()));
}

// None of a folder that is not there yet. One that cannot be read is not an empty one: its
// blocks would be taken for left-overs.
Result<std::vector<std::string>> list_names(core::FileSystem& files, const std::string& dir) {
  Result<std::vector<std::string>> names = read_again([&] { return files.list(dir); });
  if (!names && names.error().code == ErrorCode::NotFound) return std::vector<std::string>();
  return names;
}

// A block as its file tells it.
struct Described {
  BlockMeta meta;
  std::vector<uint64_t> replaced;
};

int64_t range_start(int64_t time_ms, int64_t range_ms) {
  const int64_t rest = time_ms % range_ms;
  return time_ms - (rest < 0 ? rest + range_ms : rest);
}

// A block of version 1, or one whose description is damaged, does not name its range or its
// tenant: its samples and the default tenant have to do.
Result<Described> describe_block(core::FileSystem& files, const std::string& path, uint64_t number,
                                 int64_t block_range_ms) {
  BlockCache cache(0);
  BlockMeta meta{.number = number, .tenant = std::string(model::kDefaultTenant)};
  const std::shared_ptr<Block> block = Block::open(files, path, meta, cache);
  if (std::string damage = block->damage(); !damage.empty()) {
    return core::fail(block->is_unread() ? ErrorCode::Io : ErrorCode::Corruption, "{}", damage);
  }
  const std::shared_ptr<const BlockIndex> index = TRY(block->index());
  Result<BlockSelf> self = read_again([&] { return block->self(); });
  // Its tenant may be told there.
  if (!self && is_unread(self.error())) return tl::unexpected(std::move(self).error());
  if (self && self->meta.number == number) {
    return Described{.meta = std::move(self->meta), .replaced = std::move(self->replaces)};
  }
  int64_t min_ms = std::numeric_limits<int64_t>::max();
  int64_t max_ms = std::numeric_limits<int64_t>::min();
  const model::TimeRange all{std::numeric_limits<int64_t>::min(),
                             std::numeric_limits<int64_t>::max()};
  storage::SeriesBatch batch;
  for (uint32_t ordinal = 0; ordinal < index->series_count(); ++ordinal) {
    batch.clear();
    const BlockIndex::Region region = index->region_of(ordinal);
    const std::string bytes =
        TRY(read_again([&] { return block->read(region.offset, region.size); }));
    // The rest of the block is good all the same.
    if (!block->append_region(*index, bytes, all, batch)) continue;
    meta.samples += batch.timestamps_ms.size() + batch.histograms.size();
    for (const int64_t time_ms : batch.timestamps_ms) {
      min_ms = std::min(min_ms, time_ms);
      max_ms = std::max(max_ms, time_ms);
    }
    for (const auto& one : batch.histograms) {
      min_ms = std::min(min_ms, one.timestamp_ms);
      max_ms = std::max(max_ms, one.timestamp_ms);
    }
  }
  if (meta.samples == 0) return core::fail(ErrorCode::Corruption, "it has no samples");
  meta.order = number;
  meta.series = index->series_count();
  meta.min_time_ms = min_ms;
  meta.max_time_ms = max_ms;
  meta.start_ms = range_start(min_ms, block_range_ms);
  meta.end_ms = range_start(max_ms, block_range_ms) + block_range_ms;
  const std::unique_ptr<core::File> file = TRY(files.open(path, core::OpenMode::Read));
  meta.size_bytes = TRY(file->size());
  return Described{.meta = std::move(meta), .replaced = {}};
}

class Recovery {
 public:
  Recovery(core::FileSystem& files, const std::string& data_dir, int64_t block_range_ms)
      : files_(files), data_dir_(data_dir), block_range_ms_(block_range_ms) {}

  Result<RecoveredManifest> run();

 private:
  // Nothing when there is none or it is damaged; fails for a version of the future.
  Result<std::optional<Manifest>> read(const std::string& path);
  void adopt_blocks(const std::vector<std::string>& names);
  void find_snapshot(const std::vector<std::string>& names);
  Result<std::vector<std::string>> names_in(const std::string& dir);
  // Not before it is known that everything was read.
  void keep_aside(std::string path, std::string_view suffix) {
    aside_.emplace_back(std::move(path), suffix);
  }
  void rename_aside();
  void note_unread(const std::string& file, const core::Error& error);
  void problem(std::string text);

  core::FileSystem& files_;
  const std::string& data_dir_;
  const int64_t block_range_ms_;
  bool has_kept_ = false;  // a block
  RecoveredManifest out_;
  std::vector<std::pair<std::string, std::string_view>> aside_;
};

void Recovery::problem(std::string text) {
  core::log_error("tsdb", "the manifest cannot be used as it is", {{"problem", text}});
  out_.problems.push_back(std::move(text));
}

// A disk that takes no writes keeps them where they are.
void Recovery::rename_aside() {
  for (const auto& [path, suffix] : aside_) {
    const std::string aside = path + std::string(suffix);
    if (const Result<void> renamed = files_.rename(path, aside); !renamed) {
      core::log_warn("tsdb", "cannot keep a file aside", {{"error", renamed.error().message}});
      continue;
    }
    core::log_error("tsdb", "kept a file aside", {{"file", aside}});
    out_.problems.push_back(fmt::format("{} is kept as {}", path, aside));
    has_kept_ |= path.starts_with(data_dir_ + "/blocks/");
  }
}

void Recovery::note_unread(const std::string& file, const core::Error& error) {
  problem(fmt::format("{} cannot be read: {}", file, error.message));
  out_.unread.push_back({.file = file, .what = error.message});
}

Result<std::vector<std::string>> Recovery::names_in(const std::string& dir) {
  Result<std::vector<std::string>> names = list_names(files_, dir);
  if (names || !is_unread(names.error())) return names;
  note_unread(dir, names.error());
  return std::vector<std::string>();
}

Result<std::optional<Manifest>> Recovery::read(const std::string& path) {
  Result<std::string> text = read_again([&] { return files_.read_file(path); });
  if (!text && text.error().code == ErrorCode::NotFound) return std::optional<Manifest>();
  if (!text) {
    note_unread(path, text.error());
    return std::optional<Manifest>();
  }
  Result<Manifest> manifest = Manifest::decode(*text).context("{}", path);
  if (manifest) return std::optional<Manifest>(*std::move(manifest));
  if (manifest.error().code == ErrorCode::Unsupported) return tl::unexpected(manifest.error());
  problem(manifest.error().message);
  keep_aside(path, kDamagedSuffix);
  return std::optional<Manifest>();
}

Result<RecoveredManifest> Recovery::run() {
  recoveries().add(0);
  if (std::optional<Manifest> stored = TRY(read(Manifest::path_in(data_dir_)))) {
    out_.manifest = *std::move(stored);
    return std::move(out_);
  }
  const bool was_there = !out_.problems.empty();
  std::optional<Manifest> copy = TRY(read(Manifest::copy_path_in(data_dir_)));
  const std::vector<std::string> blocks = TRY(names_in(data_dir_ + "/blocks"));
  const std::vector<std::string> others = TRY(names_in(data_dir_));
  const bool has_blocks = std::any_of(blocks.begin(), blocks.end(),
                                      [](const auto& name) { return block_number(name); });
  const bool has_snapshot = std::any_of(others.begin(), others.end(), [](const auto& name) {
    return name.starts_with(kSnapshotPrefix);
  });
  if (!was_there && out_.problems.empty() && !copy && !has_blocks && !has_snapshot) {
    out_.is_new = true;
    return std::move(out_);
  }
  if (!was_there) problem(fmt::format("{} is missing", Manifest::path_in(data_dir_)));
  problem(copy ? "its copy counts, with the blocks that it does not know yet"
               : "it is put together from the blocks; deletions that blocks and log still hold "
                 "the samples of are forgotten");
  out_.is_original = false;
  out_.is_copy = copy.has_value();
  if (out_.unread.empty()) recoveries().add();
  if (copy) out_.manifest = *std::move(copy);
  adopt_blocks(blocks);
  find_snapshot(others);
  if (out_.unread.empty()) rename_aside();
  // A power loss must not give a block its name back when the manifest does not have it: it
  // would be removed as a left-over.
  if (const Result<void> synced =
          has_kept_ ? files_.sync_dir(data_dir_ + "/blocks") : Result<void>();
      !synced) {
    problem(synced.error().message);
  }
  return std::move(out_);
}

void Recovery::adopt_blocks(const std::vector<std::string>& names) {
  Manifest& manifest = out_.manifest;
  const std::string dir = data_dir_ + "/blocks";
  std::vector<Described> found;
  std::set<uint64_t> replaced;
  for (const std::string& name : names) {
    const std::optional<uint64_t> number = block_number(name);
    if (!number) continue;
    manifest.next_number = std::max(manifest.next_number, *number + 1);
    const bool is_known =
        std::any_of(manifest.blocks.begin(), manifest.blocks.end(),
                    [&](const BlockMeta& meta) { return meta.number == *number; });
    const std::string path = dir + "/" + name;
    if (is_known) {
      // What it was merged from may not have been removed yet. It must not come back: what was
      // deleted would come with it.
      BlockCache cache(0);
      const BlockMeta meta{.number = *number, .tenant = std::string(model::kDefaultTenant)};
      const auto known = Block::open(files_, path, meta, cache);
      const Result<BlockSelf> self = read_again([&] { return known->self(); });
      if (self) {
        replaced.insert(self->replaces.begin(), self->replaces.end());
      } else if (known->is_unread() || is_unread(self.error())) {
        note_unread(path, self.error());
      }
      continue;
    }
    Result<Described> block = describe_block(files_, path, *number, block_range_ms_);
    if (!block && is_unread(block.error())) {
      note_unread(path, block.error());
      continue;
    }
    if (!block) {
      problem(fmt::format("{} cannot be used: {}", path, block.error().message));
      keep_aside(path, kAsideSuffix);
      continue;
    }
    replaced.insert(block->replaced.begin(), block->replaced.end());
    found.push_back(*std::move(block));
  }
  std::erase_if(manifest.blocks,
                [&](const BlockMeta& meta) { return replaced.contains(meta.number); });
  for (Described& one : found) {
    if (replaced.contains(one.meta.number)) {
      keep_aside(dir + "/" + one.meta.file_name(), kAsideSuffix);
      continue;
    }
    core::log_warn("tsdb", "adopted a block that no manifest names",
                   {{"file", one.meta.file_name()},
                    {"tenant", one.meta.tenant},
                    {"start_ms", one.meta.start_ms},
                    {"end_ms", one.meta.end_ms}});
    manifest.blocks.push_back(std::move(one.meta));
  }
}

// The newest one: the log may have been cut to it.
void Recovery::find_snapshot(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (!name.starts_with(kSnapshotPrefix)) continue;
    const auto number = parse_number(std::string_view(name).substr(kSnapshotPrefix.size()));
    if (!number) continue;
    out_.manifest.snapshot_number = std::max(out_.manifest.snapshot_number, *number);
    out_.manifest.next_number = std::max(out_.manifest.next_number, *number + 1);
  }
}

}  // namespace

Result<RecoveredManifest> load_manifest(core::FileSystem& files, const std::string& data_dir,
                                        int64_t block_range_ms) {
  return Recovery(files, data_dir, block_range_ms).run();
}

Incomplete forgotten_deletions(const RecoveredManifest& recovered, int64_t now_ms,
                               int64_t ahead_ms) {
  int64_t end_ms = now_ms + ahead_ms + 1;
  for (const BlockMeta& meta : recovered.manifest.blocks) {
    end_ms = std::max(end_ms, meta.max_time_ms + 1);
  }
  const std::string_view what =
      recovered.is_copy
          ? "the manifest was damaged or missing, its copy counts: samples deleted shortly before "
          : "the manifest and its copy were damaged or missing, warnings of earlier damage went "
            "with them: samples deleted before ";
  return {.tenant = {},
          .key = fmt::format("manifest-{}", now_ms),
          .range = {-kFarMs, end_ms},
          .text = fmt::format("{}{} may be there again", what, core::format_rfc3339(now_ms))};
}

}  // namespace tsdb
