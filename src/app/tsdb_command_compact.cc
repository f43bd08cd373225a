// petrel tsdb compact: what the server does in the background, at once and to the end.

#include "app/sizes.h"
#include "app/tsdb_command_impl.h"
#include "core/time.h"

#include <cstdio>

namespace app::tsdb_command {
namespace {

using core::Result;

Result<tsdb::CompactReport> compact(tsdb::Engine& engine, uint64_t total_bytes) {
  Progress progress("merging blocks", total_bytes);
  tsdb::CompactReport total;
  const auto count = [&](const tsdb::CompactReport& one) {
    total.merges += one.merges;
    total.blocks_read += one.blocks_read;
    total.bytes_read += one.bytes_read;
    total.bytes_written += one.bytes_written;
    total.samples_dropped += one.samples_dropped;
    progress.add(one.bytes_read);
  };
  while (true) {
    const tsdb::CompactReport step = TRY(engine.compact(1));
    if (step.merges == 0) break;
    count(step);
  }
  count(TRY(engine.clean_tombstones()));
  return total;
}

}  // namespace

int run_compact(const std::vector<std::string>& arguments) {
  CommandLine line("compact",
                   "Merges blocks as far as the plan goes and writes blocks with deleted samples\n"
                   "anew without them. What is not in blocks yet stays in the log. No Petrel may\n"
                   "run on the directory; a running one does this by itself, and at once when\n"
                   "asked by POST /api/v1/admin/tsdb/compact.");
  tsdb::EngineOptions options;
  options.retention_ms = 0;  // expiry is the server's business
  std::string range = core::format_duration(options.block_range_ms);
  std::string range_max = core::format_duration(options.block_range_max_ms);
  line.cli.add_option("--min-block-duration", range, "As the server's --storage.tsdb.min-...")
      ->capture_default_str();
  line.cli.add_option("--max-block-duration", range_max, "As the server's --storage.tsdb.max-...")
      ->capture_default_str();
  if (const auto code = line.parse(arguments)) return *code;
  const auto range_ms = core::parse_duration_ms(range).context("--min-block-duration");
  const auto range_max_ms = core::parse_duration_ms(range_max).context("--max-block-duration");
  if (!range_ms) return fail_with(line.name, range_ms.error(), kUsage);
  if (!range_max_ms) return fail_with(line.name, range_max_ms.error(), kUsage);
  if (*range_ms <= 0 || *range_max_ms <= 0 || *range_max_ms % *range_ms != 0) {
    return fail_with(line.name,
                     {core::ErrorCode::InvalidArgument,
                      fmt::format("--max-block-duration {}: expected a multiple of "
                                  "--min-block-duration {}",
                                  range_max, range)},
                     kUsage);
  }
  options.block_range_ms = *range_ms;
  options.block_range_max_ms = *range_max_ms;

  const auto dir = DataDir::open_alone(line.dir);
  if (!dir) return fail_with(line.name, dir.error());
  const auto manifest = (*dir)->manifest();
  if (!manifest) return fail_with(line.name, manifest.error());
  uint64_t total_bytes = 0;
  for (const tsdb::BlockMeta& meta : manifest->blocks) total_bytes += meta.size_bytes;
  const auto opened = OpenEngine::open(**dir, (*dir)->files, options);
  if (!opened) return fail_with(line.name, opened.error());
  const auto done = compact(*(*opened)->engine, total_bytes);
  if (!done) return fail_with(line.name, done.error());
  std::printf("%u merges: read %u blocks, %s; wrote %s; dropped %s samples\n", done->merges,
              done->blocks_read, human_size(static_cast<double>(done->bytes_read)).c_str(),
              human_size(static_cast<double>(done->bytes_written)).c_str(),
              std::to_string(done->samples_dropped).c_str());
  return 0;
}

}  // namespace app::tsdb_command
