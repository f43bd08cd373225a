// petrel tsdb list: the blocks of a data directory. Safe beside a running server: it reads
// the manifest, which is replaced atomically, and the ends of block files, which never
// change; a block that a merge has just removed is looked up in the next manifest.

#include "app/sizes.h"
#include "app/tsdb_command_impl.h"
#include "core/json_writer.h"
#include "core/time.h"
#include "tsdb/block.h"

#include <algorithm>
#include <cstdio>

namespace app::tsdb_command {
namespace {

using core::ErrorCode;
using core::Result;
using tsdb::BlockMeta;

struct Row {
  BlockMeta meta;
  uint64_t tombstones = 0;  // that delete something in its range
  std::string damage;       // empty: its end can be read
};

uint64_t count_tombstones(const tsdb::Manifest& manifest, const BlockMeta& meta) {
  const model::TimeRange range{meta.min_time_ms, meta.max_time_ms + 1};
  return static_cast<uint64_t>(std::count_if(
      manifest.tombstones.begin(), manifest.tombstones.end(), [&](const tsdb::Tombstone& one) {
        return one.tenant == meta.tenant && meta.number < one.blocks_before &&
               one.range.overlaps(range);
      }));
}

Result<std::vector<Row>> read_rows(DataDir& dir) {
  const tsdb::Manifest manifest = TRY(dir.manifest());
  tsdb::BlockCache cache(0);
  std::vector<Row> rows;
  for (const BlockMeta& meta : manifest.blocks) {
    const auto block =
        tsdb::Block::open(dir.files, dir.blocks_dir() + "/" + meta.file_name(), meta, cache);
    std::string damage = block->damage();
    if (!damage.empty()) {
      damage = fmt::format("{}: {}", block->path(), block_damage(block->path(), damage));
    }
    rows.push_back({meta, count_tombstones(manifest, meta), std::move(damage)});
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return std::tie(a.meta.tenant, a.meta.min_time_ms, a.meta.number) <
           std::tie(b.meta.tenant, b.meta.min_time_ms, b.meta.number);
  });
  return rows;
}

std::string bytes_per_sample(const BlockMeta& meta) {
  if (meta.samples == 0) return "-";
  return fmt::format("{:.2f}",
                     static_cast<double>(meta.size_bytes) / static_cast<double>(meta.samples));
}

std::string name_of(const BlockMeta& meta) {
  return meta.file_name().substr(0, meta.file_name().find('.'));
}

void print_table(const std::vector<Row>& rows, bool is_human) {
  Table table({{"BLOCK"},
               {"TENANT"},
               {"LEVEL", true},
               {"MIN TIME"},
               {"MAX TIME"},
               {"DURATION", true},
               {"NUM SAMPLES", true},
               {"NUM SERIES", true},
               {"SIZE", true},
               {"BYTES/SAMPLE", true},
               {"TOMBSTONES", true},
               {"STATE"}});
  const auto time = [&](int64_t ms) { return is_human ? human_time(ms) : std::to_string(ms); };
  for (const Row& row : rows) {
    const BlockMeta& meta = row.meta;
    table.add({name_of(meta), meta.tenant, std::to_string(meta.level), time(meta.min_time_ms),
               time(meta.max_time_ms), core::format_duration(meta.max_time_ms - meta.min_time_ms),
               std::to_string(meta.samples), std::to_string(meta.series),
               is_human ? human_size(static_cast<double>(meta.size_bytes))
                        : std::to_string(meta.size_bytes),
               bytes_per_sample(meta), std::to_string(row.tombstones),
               row.damage.empty() ? "ok" : "damaged"});
  }
  table.print();
}

void print_json(const std::vector<Row>& rows) {
  std::string text;
  core::JsonWriter json(text);
  json.array();
  for (const Row& row : rows) {
    const BlockMeta& meta = row.meta;
    json.object().key("block").value(name_of(meta)).key("tenant").value(meta.tenant);
    json.key("level").value(static_cast<uint64_t>(meta.level));
    json.key("minTime").value(meta.min_time_ms).key("maxTime").value(meta.max_time_ms);
    json.key("numSamples").value(meta.samples).key("numSeries").value(meta.series);
    json.key("size").value(meta.size_bytes).key("tombstones").value(row.tombstones);
    json.key("damage").value(row.damage).end();
  }
  json.end();
  std::printf("%s\n", text.c_str());
}

}  // namespace

int run_list(const std::vector<std::string>& arguments) {
  CommandLine line("list",
                   "Lists the blocks of a data directory; also while a Petrel runs on it. What is\n"
                   "not in blocks yet is in the log and not listed.");
  bool is_human = false;
  bool is_json = false;
  line.cli.add_flag("-r,--human-readable", is_human, "Print times and sizes for people.");
  line.cli.add_flag("--json", is_json, "Print JSON.");
  if (const auto code = line.parse(arguments)) return *code;
  const auto dir = DataDir::open(line.dir);
  if (!dir) return fail_with(line.name, dir.error());

  Result<std::vector<Row>> rows = read_rows(**dir);
  const auto has_gaps = [&] {
    return rows && std::any_of(rows->begin(), rows->end(),
                               [](const Row& row) { return !row.damage.empty(); });
  };
  if (!(*dir)->is_alone() && has_gaps()) rows = read_rows(**dir);
  if (!rows) return fail_with(line.name, rows.error());
  if (is_json) {
    print_json(*rows);
  } else {
    print_table(*rows, is_human);
  }
  for (const Row& row : *rows) {
    if (!row.damage.empty()) std::fprintf(stderr, "damaged: %s\n", row.damage.c_str());
  }
  if (!has_gaps()) return 0;
  std::fprintf(stderr, "petrel tsdb verify %s tells what that costs\n", line.dir.c_str());
  return kFailed;
}

}  // namespace app::tsdb_command
