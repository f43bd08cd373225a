// petrel tsdb analyze: what one block consists of, with promtool's lists and order, and
// where its bytes go.

#include "app/sizes.h"
#include "app/tsdb_command_impl.h"
#include "core/time.h"
#include "promql/parser.h"
#include "tsdb/block.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <map>

namespace app::tsdb_command {
namespace {

using core::ErrorCode;
using core::Result;
using tsdb::BlockMeta;

using Counts = std::map<std::string, uint64_t, std::less<>>;

constexpr model::TimeRange kAllTime{std::numeric_limits<int64_t>::min(),
                                    std::numeric_limits<int64_t>::max()};

// What one way of storing takes.
struct Share {
  uint64_t series = 0;  // that have a chunk of it
  uint64_t chunks = 0;
  uint64_t samples = 0;
  uint64_t bytes = 0;
  uint32_t seen_in = 0;  // the last series that has one, counted from 1
};
using Shares = std::map<std::string, Share, std::less<>>;

struct Analysis {
  uint64_t series = 0;
  uint64_t samples = 0;
  uint64_t histograms = 0;
  uint64_t pair_entries = 0;  // label pairs of all series
  uint64_t series_bytes = 0;
  uint64_t constant_series = 0;  // one value all the time
  Shares times_by_kind;
  Shares values_by_kind;
  uint64_t shared_times_bytes = 0;  // of the whole block
  Counts uncovered_by_pair;         // ms of the block's range in which the series has nothing
  Counts uncovered_by_name;
  Counts series_by_pair;
  Counts series_by_metric;
  Counts value_bytes_by_name;
  Counts values_by_name;
  std::vector<std::string> damages;
};

void add(Counts& counts, std::string_view key, uint64_t count) {
  const auto found = counts.find(key);
  if (found != counts.end()) {
    found->second += count;
  } else {
    counts.emplace(key, count);
  }
}

// How much of the block's range lies outside of the series' first and last sample.
uint64_t uncovered_ms(const BlockMeta& meta, const storage::SeriesBatch& samples) {
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = std::numeric_limits<int64_t>::min();
  const auto see = [&](int64_t time_ms) {
    first = std::min(first, time_ms);
    last = std::max(last, time_ms);
  };
  for (const int64_t time_ms : samples.timestamps_ms) see(time_ms);
  for (const auto& one : samples.histograms) see(one.timestamp_ms);
  const int64_t whole = meta.max_time_ms - meta.min_time_ms;
  return static_cast<uint64_t>(last < first ? whole : std::max<int64_t>(0, whole - (last - first)));
}

bool is_constant(const storage::SeriesBatch& samples) {
  if (!samples.histograms.empty() || samples.values.empty()) return false;
  return std::all_of(samples.values.begin(), samples.values.end(), [&](double value) {
    return std::bit_cast<uint64_t>(value) == std::bit_cast<uint64_t>(samples.values.front());
  });
}

void add_share(Shares& shares, std::string_view kind, uint32_t series, uint64_t samples,
               uint64_t bytes) {
  Share& share = shares.try_emplace(std::string(kind)).first->second;
  share.series += share.seen_in == series ? 0 : 1;
  share.seen_in = series;
  ++share.chunks;
  share.samples += samples;
  share.bytes += bytes;
}

Share total_of(const Shares& shares) {
  Share total;
  for (const auto& [kind, share] : shares) {
    total.chunks += share.chunks;
    total.samples += share.samples;
    total.bytes += share.bytes;
  }
  return total;
}

void add_labels(Analysis& all, model::LabelsView labels, uint64_t uncovered) {
  for (const model::Label& label : labels) {
    const std::string pair = fmt::format("{}={}", label.name, label.value);
    ++all.pair_entries;
    add(all.series_by_pair, pair, 1);
    add(all.uncovered_by_pair, pair, uncovered);
    add(all.uncovered_by_name, label.name, uncovered);
  }
  add(all.series_by_metric, labels.metric_name(), 1);
}

Result<Analysis> analyze(tsdb::Block& block, const model::Matchers& matchers) {
  const auto index = TRY(block.index());
  Progress progress("reading the block", block.meta().size_bytes);
  Analysis all;
  storage::SeriesBatch samples;
  std::string labels;
  for (uint32_t ordinal = 0; ordinal < index->series_count(); ++ordinal) {
    labels.clear();
    index->append_labels(ordinal, labels);
    const tsdb::BlockIndex::Region region = index->region_of(ordinal);
    progress.add(region.size);
    if (!model::matches_all(matchers, model::LabelsView(labels))) continue;
    samples.clear();
    const std::string bytes = TRY(block.read(region.offset, region.size));
    if (const Result<void> read = block.append_region(*index, bytes, kAllTime, samples); !read) {
      all.damages.push_back(fmt::format("byte {}: {}", region.offset, read.error().message));
      continue;
    }
    const auto shapes = block.chunk_shapes(*index, bytes);
    if (!shapes) {
      all.damages.push_back(fmt::format("byte {}: {}", region.offset, shapes.error().message));
      continue;
    }
    for (const tsdb::ChunkShape& one : *shapes) {
      add_share(all.times_by_kind, one.times, ordinal + 1, one.samples, one.time_bytes);
      add_share(all.values_by_kind, one.values, ordinal + 1, one.samples, one.value_bytes);
    }
    ++all.series;
    all.series_bytes += region.size;
    all.samples += samples.timestamps_ms.size() + samples.histograms.size();
    all.histograms += samples.histograms.size();
    all.constant_series += is_constant(samples) ? 1 : 0;
    add_labels(all, model::LabelsView(labels), uncovered_ms(block.meta(), samples));
  }
  all.shared_times_bytes = block.shared_times_size();
  // Of the series that match.
  for (const auto& [pair, count] : all.series_by_pair) {
    const std::string_view name = std::string_view(pair).substr(0, pair.find('='));
    add(all.values_by_name, name, 1);
    add(all.value_bytes_by_name, name, pair.size() - name.size() - 1);
  }
  return all;
}

void print_top(const char* title, const Counts& counts, size_t limit, double scale = 1) {
  std::vector<std::pair<uint64_t, std::string_view>> sorted;
  for (const auto& [name, count] : counts) {
    sorted.emplace_back(static_cast<uint64_t>(static_cast<double>(count) / scale), name);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second < b.second;
  });
  std::printf("\n%s\n", title);
  for (size_t i = 0; i < std::min(limit, sorted.size()); ++i) {
    std::printf("%s\n", fmt::format("{} {}", sorted[i].first, sorted[i].second).c_str());
  }
}

std::string per_sample(uint64_t bytes, uint64_t samples) {
  if (samples == 0) return "-";
  return fmt::format("{:.3f}", static_cast<double>(bytes) / static_cast<double>(samples));
}

std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f}%", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

void print_shares(const char* title, const Shares& shares) {
  const Share total = total_of(shares);
  Table table({{"KIND"},
               {"SERIES", true},
               {"CHUNKS", true},
               {"SAMPLES", true},
               {"BYTES", true},
               {"BYTES/SAMPLE", true},
               {"OF SAMPLES", true},
               {"OF BYTES", true}});
  std::vector<std::pair<std::string, Share>> sorted(shares.begin(), shares.end());
  std::ranges::stable_sort(sorted, std::greater(),
                           [](const auto& one) { return one.second.bytes; });
  for (const auto& [kind, share] : sorted) {
    table.add({kind, std::to_string(share.series), std::to_string(share.chunks),
               std::to_string(share.samples), std::to_string(share.bytes),
               per_sample(share.bytes, share.samples), percent(share.samples, total.samples),
               percent(share.bytes, total.bytes)});
  }
  std::printf("\n%s\n", title);
  table.print();
}

// Where the bytes of samples go. Checksums of series and the index are neither.
void print_encodings(const BlockMeta& meta, const Analysis& all) {
  const Share times = total_of(all.times_by_kind);
  const Share values = total_of(all.values_by_kind);
  std::printf("%s\n", fmt::format("Bytes per timestamp: {} (in chunks {}, columns that series "
                                  "share {})",
                                  per_sample(times.bytes + all.shared_times_bytes, times.samples),
                                  per_sample(times.bytes, times.samples),
                                  per_sample(all.shared_times_bytes, meta.samples))
                          .c_str());
  std::printf("Bytes per value: %s\n", per_sample(values.bytes, values.samples).c_str());
  Share fallback;
  for (const auto& [kind, share] : all.values_by_kind) {
    if (!kind.starts_with("raw ")) continue;
    fallback.samples += share.samples;
    fallback.bytes += share.bytes;
  }
  std::printf("%s\n", fmt::format("Values stored as raw bits (fallback): {} of the samples, {} of "
                                  "the bytes of values",
                                  percent(fallback.samples, values.samples),
                                  percent(fallback.bytes, values.bytes))
                          .c_str());
}

void print(const BlockMeta& meta, const Analysis& all, size_t limit) {
  const std::string name = meta.file_name().substr(0, meta.file_name().find('.'));
  const double range =
      static_cast<double>(std::max<int64_t>(1, meta.max_time_ms - meta.min_time_ms));
  std::printf("Block ID: %s\n", name.c_str());
  std::printf("Duration: %s\n", core::format_duration(meta.max_time_ms - meta.min_time_ms).c_str());
  const auto line = [](const char* what, const std::string& text) {
    std::printf("%s: %s\n", what, text.c_str());
  };
  line("Tenant", meta.tenant);
  line("Total Series", std::to_string(all.series));
  line("Label names", std::to_string(all.values_by_name.size()));
  line("Postings (unique label pairs)", std::to_string(all.series_by_pair.size()));
  line("Postings entries (total label pairs)", std::to_string(all.pair_entries));
  line("Samples", fmt::format("{}, of which {} native histograms", all.samples, all.histograms));
  line("Series with one value all the time", std::to_string(all.constant_series));
  const uint64_t rest = meta.size_bytes - std::min(meta.size_bytes, all.series_bytes);
  line("Bytes per sample",
       fmt::format("{} (samples {}, index and the rest {})",
                   per_sample(meta.size_bytes, meta.samples),
                   per_sample(all.series_bytes, all.samples), per_sample(rest, meta.samples)));
  print_encodings(meta, all);
  print_top("Label pairs most involved in churning:", all.uncovered_by_pair, limit, range);
  print_top("Label names most involved in churning:", all.uncovered_by_name, limit, range);
  print_top("Most common label pairs:", all.series_by_pair, limit);
  print_top("Label names with highest cumulative label value length:", all.value_bytes_by_name,
            limit);
  print_top("Highest cardinality labels:", all.values_by_name, limit);
  print_top("Highest cardinality metric names:", all.series_by_metric, limit);
  print_shares("Timestamps by kind (columns that series share are not in BYTES):",
               all.times_by_kind);
  print_shares("Values by kind (docs/formats/chunk.md):", all.values_by_kind);
}

Result<BlockMeta> find_block(DataDir& dir, const std::string& wanted) {
  const tsdb::Manifest manifest = TRY(dir.manifest());
  const BlockMeta* found = nullptr;
  for (const BlockMeta& meta : manifest.blocks) {
    if (wanted.empty()) {
      if (found == nullptr || meta.max_time_ms > found->max_time_ms) found = &meta;
    } else if (meta.file_name() == wanted + ".block" || meta.file_name() == wanted ||
               std::to_string(meta.number) == wanted) {
      found = &meta;
    }
  }
  if (found != nullptr) return *found;
  return core::fail(ErrorCode::NotFound, "{}: {}", dir.path,
                    wanted.empty()
                        ? "there are no blocks yet"
                        : "there is no block " + wanted + "; petrel tsdb list shows them");
}

}  // namespace

int run_analyze(const std::vector<std::string>& arguments) {
  CommandLine line(
      "analyze",
      "Analyzes churn and cardinality of a block, and where its bytes go. Also while a\n"
      "Petrel runs on the directory.");
  std::string block_name;
  std::string match;
  size_t limit = 20;
  line.cli.add_option("BLOCK", block_name, "Block to analyze (default: the newest).");
  line.cli.add_option("--limit", limit, "How many items to show in each list.")
      ->capture_default_str()
      ->check([](const std::string& text) -> std::string {
        const bool is_count = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
        return is_count ? "" : text + ": expected a number of items, as in 20";
      });
  line.cli.add_option("--match", match, "Series selector: only these series.");
  if (const auto code = line.parse(arguments)) return *code;
  model::Matchers matchers;
  if (!match.empty()) {
    auto parsed = promql::parse_selector(match).context("--match {}", match);
    if (!parsed) return fail_with(line.name, parsed.error(), kUsage);
    matchers = *std::move(parsed);
  }
  const auto dir = DataDir::open(line.dir);
  if (!dir) return fail_with(line.name, dir.error());
  const auto meta = find_block(**dir, block_name);
  if (!meta) return fail_with(line.name, meta.error());
  tsdb::BlockCache cache(0);
  const auto block = tsdb::Block::open(
      (*dir)->files, (*dir)->blocks_dir() + "/" + meta->file_name(), *meta, cache);
  const auto all = analyze(*block, matchers);
  if (!all) {
    return fail_with(line.name,
                     {ErrorCode::Corruption,
                      fmt::format("{}: {}; petrel tsdb verify tells what that costs", block->path(),
                                  block_damage(block->path(), all.error().message))});
  }
  print(*meta, *all, limit);
  for (const std::string& damage : all->damages) {
    std::fprintf(stderr, "damaged: %s: %s\n", meta->file_name().c_str(), damage.c_str());
  }
  return all->damages.empty() ? 0 : kFailed;
}

}  // namespace app::tsdb_command
