// petrel tsdb verify: reads every byte that counts in a data directory and names what is
// damaged, where, and what it costs. Changes nothing.
//
// Beside a running server the log is left out: its newest segment is being written, and
// others are taken for new segments while they are read.

#include "app/read_only_files.h"
#include "app/tsdb_command_impl.h"
#include "core/json_writer.h"
#include "tsdb/block_verify.h"
#include "tsdb/embedded_log_bounds.h"
#include "tsdb/embedded_log_segment.h"
#include "tsdb/manifest_recovery.h"
#include "tsdb/series_snapshot.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace app::tsdb_command {
namespace {

using core::ErrorCode;
using core::Result;
using storage::LogPosition;
using tsdb::BlockMeta;

struct Damage {
  std::string path;
  uint64_t offset = 0;
  std::string what;
  std::string cost;
};

struct Findings {
  std::vector<Damage> damages;
  std::vector<std::string> notes;  // worth knowing, nothing is lost
  uint64_t blocks = 0;
  uint64_t series = 0;
  uint64_t samples = 0;
  uint64_t segments = 0;
  uint64_t records = 0;
};

std::string range_of(const BlockMeta& meta) {
  return fmt::format("{} to {}", human_time(meta.min_time_ms), human_time(meta.max_time_ms));
}

std::string cost_of(const BlockMeta& meta) {
  return fmt::format("{} series with {} samples of tenant {}, {}", meta.series, meta.samples,
                     meta.tenant, range_of(meta));
}

uint64_t size_of(core::FileSystem& files, const std::string& path) {
  const auto file = files.open(path, core::OpenMode::Read);
  return file ? (*file)->size().value_or(0) : 0;
}

void verify_block(DataDir& dir, const BlockMeta& meta, Findings& found, Progress& progress) {
  const std::string path = dir.blocks_dir() + "/" + meta.file_name();
  ++found.blocks;
  found.series += meta.series;
  if (!dir.files.exists(path)) {
    found.damages.push_back({path, 0, "the file is missing", cost_of(meta)});
    return;
  }
  const uint64_t size = size_of(dir.files, path);
  if (size != meta.size_bytes) {
    found.damages.push_back(
        {path, std::min(size, meta.size_bytes),
         fmt::format("the file has {} bytes, the manifest says {}", size, meta.size_bytes),
         cost_of(meta)});
    return;
  }
  const Result<tsdb::BlockCheck> check = tsdb::verify_block(dir.files, path);
  progress.add(size);
  if (!check) {
    found.damages.push_back({path, 0, check.error().message, cost_of(meta)});
    return;
  }
  found.samples += check->samples;
  for (const tsdb::BlockDamage& one : check->damage) {
    const bool is_meta = check->series == meta.series && one.series.empty() && !check->self;
    found.damages.push_back(
        {path, one.offset, one.what,
         is_meta ? "nothing: the manifest says the same of the block"
         : one.series.empty()
             ? cost_of(meta)
             : fmt::format("series {} of tenant {}, {}", one.series, meta.tenant, range_of(meta))});
  }
  if (check->damage_count > check->damage.size()) {
    found.notes.push_back(
        fmt::format("{}: {} more damages", path, check->damage_count - check->damage.size()));
  }
}

Result<void> verify_snapshot(DataDir& dir, const tsdb::Manifest& manifest, Findings& found) {
  if (manifest.snapshot_number == 0) return {};
  const std::string path = dir.path + "/" + tsdb::series_snapshot_name(manifest.snapshot_number);
  const std::string cost =
      "labels of series whose samples are in the log only, metadata and exemplars";
  const auto file = dir.files.open(path, core::OpenMode::Read);
  if (!file) {
    found.damages.push_back({path, 0, file.error().message, cost});
    return {};
  }
  tsdb::SeriesSnapshotVisitor visitor;
  visitor.series = [](std::string_view, uint64_t, std::string_view) {};
  visitor.metadata = [](std::string_view, const model::Metadata&) {};
  visitor.exemplar = [](std::string_view, std::string_view, const model::Exemplar&) {};
  const auto damages = tsdb::read_series_snapshot(**file, visitor);
  if (!damages) {
    found.damages.push_back({path, 0, damages.error().message, cost});
    return {};
  }
  for (const tsdb::SnapshotDamage& one : *damages) {
    found.damages.push_back({path, one.offset, one.what, "some of: " + cost});
  }
  return {};
}

struct Segment {
  std::string path;
  LogPosition first = 0;
};

// Segments in order: their names are the positions of their first records.
Result<std::vector<Segment>> list_segments(DataDir& dir) {
  std::vector<Segment> segments;
  if (!dir.files.exists(dir.log_dir())) return segments;
  for (const std::string& name : TRY(dir.files.list(dir.log_dir()))) {
    Segment one{dir.log_dir() + "/" + name, 0};
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), one.first);
    if (error == std::errc() && std::string_view(end) == ".log") segments.push_back(one);
  }
  return segments;
}

Result<void> verify_segment(DataDir& dir, const Segment& segment, std::optional<LogPosition> end,
                            Findings& found, Progress& progress) {
  ++found.segments;
  const std::string bytes = TRY(dir.files.read_file(segment.path));
  progress.add(bytes.size());
  const std::string upto = end ? fmt::format(" to {}", *end - 1) : " on";
  const auto header = tsdb::decode_segment_header(bytes);
  if (!header || header->first != segment.first) {
    found.damages.push_back({segment.path, 0,
                             header ? fmt::format("its first record is {}, its name says {}",
                                                  header->first, segment.first)
                                    : header.error().message,
                             fmt::format("records {}{} of the log", segment.first, upto)});
    return {};
  }
  tsdb::SegmentReader reader(bytes, *header, end);
  while (true) {
    const auto record = reader.next();
    if (!record) {
      const tsdb::SegmentReader::Gap gap = reader.pass_over();
      found.damages.push_back(
          {segment.path, gap.offset, record.error().message,
           gap.end > gap.first ? fmt::format("records {} to {} of the log", gap.first, gap.end - 1)
                               : "no record of the log"});
      continue;
    }
    if (!*record) break;
    ++found.records;
  }
  const uint64_t used = tsdb::used_size(bytes);
  if (!end && reader.offset() < used) {
    found.notes.push_back(fmt::format(
        "{}: {} bytes behind the last whole record at byte {}: writes that a crash cut short and "
        "nobody was told to be durable",
        segment.path, used - reader.offset(), reader.offset()));
  }
  return {};
}

// What the log's bounds say is missing at its front and at its end; the segments themselves
// cannot tell.
Result<void> verify_bounds(DataDir& dir, const std::vector<Segment>& segments, Findings& found) {
  const std::string path = dir.log_dir() + ".bounds";
  if (!dir.files.exists(path)) return {};
  const auto bounds = tsdb::LogBounds::decode(TRY(dir.files.read_file(path)));
  if (!bounds) {
    found.damages.push_back(
        {path, 0, bounds.error().message, "nothing as long as no segment of the log is missing"});
    return {};
  }
  const bool has_first = !segments.empty() && segments.front().first <= bounds->low;
  const bool has_newest = !segments.empty() && segments.back().first >= bounds->newest;
  if (has_first && has_newest) return {};
  const LogPosition first = segments.empty() || has_first ? bounds->low : segments.front().first;
  found.damages.push_back(
      {dir.log_dir(), 0,
       segments.empty() ? fmt::format("there is no segment, {} says that there are", path)
       : has_first      ? fmt::format("the newest segment is missing, says {}", path)
                        : fmt::format("the oldest segment is missing, says {}", path),
       !has_first && !segments.empty()
           ? fmt::format("records {} to {} of the log", bounds->low, first - 1)
           : fmt::format("records from {} on of the log",
                         segments.empty() ? bounds->low : bounds->newest)});
  return {};
}

Result<void> verify_log(DataDir& dir, Findings& found, Progress& progress) {
  const std::vector<Segment> segments = TRY(list_segments(dir));
  TRY(verify_bounds(dir, segments, found));
  for (size_t i = 0; i < segments.size(); ++i) {
    const std::optional<LogPosition> end =
        i + 1 < segments.size() ? std::optional(segments[i + 1].first) : std::nullopt;
    TRY(verify_segment(dir, segments[i], end, found, progress));
  }
  return {};
}

// What no manifest names: nothing is read from it.
Result<void> note_strangers(DataDir& dir, const tsdb::Manifest& manifest, Findings& found) {
  if (!dir.files.exists(dir.blocks_dir())) return {};
  for (const std::string& name : TRY(dir.files.list(dir.blocks_dir()))) {
    const bool is_known =
        std::any_of(manifest.blocks.begin(), manifest.blocks.end(),
                    [&](const BlockMeta& meta) { return meta.file_name() == name; });
    if (is_known || !name.ends_with(".block")) continue;
    found.notes.push_back(
        fmt::format("{}/{}: not in the manifest; nothing is read from it", dir.blocks_dir(), name));
  }
  return {};
}

uint64_t bytes_to_read(DataDir& dir, const tsdb::Manifest& manifest) {
  uint64_t bytes = 0;
  for (const BlockMeta& meta : manifest.blocks) bytes += meta.size_bytes;
  if (!dir.is_alone()) return bytes;
  const auto segments = list_segments(dir);
  if (!segments) return bytes;
  for (const Segment& one : *segments) bytes += size_of(dir.files, one.path);
  return bytes;
}

// The manifest and its copy. Without either, what the blocks themselves say counts.
Result<tsdb::Manifest> verify_manifest(DataDir& dir, Findings& found) {
  const std::string path = tsdb::Manifest::path_in(dir.path);
  const std::string copy_path = tsdb::Manifest::copy_path_in(dir.path);
  const Result<tsdb::Manifest> manifest = tsdb::Manifest::load(dir.files, dir.path);
  if (dir.files.exists(copy_path)) {
    const std::string text = TRY(dir.files.read_file(copy_path));
    if (const auto copy = tsdb::Manifest::decode(text); !copy) {
      found.damages.push_back(
          {copy_path, 0, copy.error().message, "nothing as long as the manifest can be read"});
    }
  }
  const bool is_missing = !dir.files.exists(path) && dir.files.exists(dir.blocks_dir()) &&
                          !TRY(dir.files.list(dir.blocks_dir())).empty();
  if (manifest && !is_missing) return *manifest;
  std::string what = manifest ? "the file is missing" : manifest.error().message;
  if (what.starts_with(path + ": ")) what.erase(0, path.size() + 2);
  found.damages.push_back({path, 0, std::move(what),
                           "deletions that its copy does not know, if any; petrel tsdb repair "
                           "makes a new one, as the server does at its start"});
  ReadOnlyFiles files(dir.files);
  tsdb::RecoveredManifest recovered =
      TRY(tsdb::load_manifest(files, dir.path, tsdb::EngineOptions{}.block_range_ms));
  for (std::string& problem : recovered.problems) found.notes.push_back(std::move(problem));
  return std::move(recovered.manifest);
}

Result<Findings> verify(DataDir& dir) {
  Findings found;
  const tsdb::Manifest manifest = TRY(verify_manifest(dir, found));
  TRY(note_strangers(dir, manifest, found));
  Progress progress("verifying", bytes_to_read(dir, manifest));
  for (const BlockMeta& meta : manifest.blocks) verify_block(dir, meta, found, progress);
  TRY(verify_snapshot(dir, manifest, found));
  if (dir.is_alone()) {
    TRY(verify_log(dir, found, progress));
  } else {
    found.notes.push_back("the log is left out: " + dir.lock_error);
  }
  return found;
}

// Blocks that a merge or retention removed while they were read, in a directory in use.
Result<void> forget_removed(DataDir& dir, Findings& found) {
  const tsdb::Manifest manifest = TRY(dir.manifest());
  std::erase_if(found.damages, [&](const Damage& one) {
    if (!one.path.ends_with(".block")) return false;
    return std::none_of(manifest.blocks.begin(), manifest.blocks.end(), [&](const BlockMeta& meta) {
      return one.path.ends_with("/" + meta.file_name());
    });
  });
  return {};
}

void print_text(const Findings& found) {
  for (const std::string& note : found.notes) std::printf("note: %s\n", note.c_str());
  for (const Damage& one : found.damages) {
    std::printf("DAMAGED: %s: byte %s: %s\n  costs: %s\n", one.path.c_str(),
                std::to_string(one.offset).c_str(), one.what.c_str(), one.cost.c_str());
  }
  std::printf("%s\n",
              fmt::format("read {} blocks with {} series and {} samples, {} log segments "
                          "with {} records: {}",
                          found.blocks, found.series, found.samples, found.segments, found.records,
                          found.damages.empty() ? "all good"
                                                : fmt::format("{} damages", found.damages.size()))
                  .c_str());
}

void print_json(const Findings& found) {
  std::string text;
  core::JsonWriter json(text);
  json.object().key("blocks").value(found.blocks).key("samples").value(found.samples);
  json.key("segments").value(found.segments).key("records").value(found.records);
  json.key("notes").array();
  for (const std::string& note : found.notes) json.value(note);
  json.end().key("damages").array();
  for (const Damage& one : found.damages) {
    json.object().key("file").value(one.path).key("offset").value(one.offset);
    json.key("what").value(one.what).key("cost").value(one.cost).end();
  }
  json.end().end();
  std::printf("%s\n", text.c_str());
}

}  // namespace

int run_verify(const std::vector<std::string>& arguments) {
  CommandLine line("verify",
                   "Reads manifest, blocks, series snapshot and log of a data directory and names\n"
                   "each damage with file, byte and what it costs. Exit code 1 when there is one.\n"
                   "Works while a Petrel runs on the directory, then without the log.");
  bool is_json = false;
  line.cli.add_flag("--json", is_json, "Print JSON.");
  if (const auto code = line.parse(arguments)) return *code;
  const auto dir = DataDir::open(line.dir);
  if (!dir) return fail_with(line.name, dir.error());
  Result<Findings> found = verify(**dir);
  if (found && !(*dir)->is_alone()) {
    if (const Result<void> again = forget_removed(**dir, *found); !again) {
      return fail_with(line.name, again.error());
    }
  }
  if (!found) return fail_with(line.name, found.error());
  if (is_json) {
    print_json(*found);
  } else {
    print_text(*found);
  }
  return found->damages.empty() ? 0 : kFailed;
}

}  // namespace app::tsdb_command
