#include "app/import_command.h"

#include "app/help_format.h"
#include "app/import_progress.h"
#include "app/prometheus_import.h"
#include "core/log.h"
#include "core/time.h"
#include "promql/parser.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <unistd.h>

namespace app {
namespace {

using core::ErrorCode;
using core::Result;

constexpr int kFailed = 1;
constexpr int kUsage = 2;
constexpr std::string_view kFormat = "prometheus-tsdb";

struct ImportFlags {
  std::string source_dir;
  std::string data_dir = "data/";
  std::string tenant{model::kDefaultTenant};
  std::vector<std::string> selectors;
  std::string min_time;
  std::string max_time;
  std::string retention = "7d";
  uint32_t sort_memory_mb = 256;
  bool is_dry_run = false;
};

void define(CLI::App& cli, ImportFlags& flags) {
  cli.add_option("DIR", flags.source_dir,
                 "Prometheus's data directory, a snapshot of it or one block.")
      ->required();
  cli.add_option("--storage.tsdb.path", flags.data_dir, "Folder of all data of Petrel.")
      ->capture_default_str();
  cli.add_option("--tenant", flags.tenant, "Tenant that the series will belong to.")
      ->capture_default_str();
  cli.add_option("--match", flags.selectors,
                 "Import only series that match this selector; may be repeated.")
      ->type_name("SELECTOR")
      ->allow_extra_args(false);
  cli.add_option("--min-time", flags.min_time,
                 "Import only samples at this time or later: RFC 3339 or Unix seconds.")
      ->type_name("TIME");
  cli.add_option("--max-time", flags.max_time,
                 "Import only samples at this time or earlier: RFC 3339 or Unix seconds.")
      ->type_name("TIME");
  cli.add_option("--storage.tsdb.retention.time", flags.retention,
                 "Retention of the server, to warn of data that it would delete; 0s: for ever.")
      ->type_name("DURATION")
      ->capture_default_str();
  cli.add_option("--sort-memory-mb", flags.sort_memory_mb,
                 "Memory in MiB for sorting the samples of the log; more goes to temporary files.")
      ->check(CLI::Range(1U, 1U << 20U).description(""))
      ->capture_default_str();
  cli.add_flag("--dry-run", flags.is_dry_run, "Say what would be imported, and end.");
}

Result<int64_t> parse_time(const std::string& text, std::string_view flag) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  constexpr double kSecondsMax = 1e15;
  if (error == std::errc() && end == text.data() + text.size() && std::isfinite(seconds) &&
      std::abs(seconds) < kSecondsMax) {
    return static_cast<int64_t>(std::floor(seconds * 1000 + 0.5));
  }
  return core::parse_rfc3339(text).context(
      "--{}={}: expected a time such as 2026-01-02T03:04:05Z or Unix seconds", flag, text);
}

Result<PrometheusImportOptions> options_of(const ImportFlags& flags) {
  PrometheusImportOptions options;
  options.source_dir = flags.source_dir;
  options.data_dir = flags.data_dir;
  for (std::string* dir : {&options.source_dir, &options.data_dir}) {
    while (dir->size() > 1 && dir->ends_with('/')) dir->pop_back();
  }
  options.tenant = flags.tenant;
  if (!model::is_valid_tenant(options.tenant)) {
    return core::fail(ErrorCode::InvalidArgument, "--tenant={}: no valid tenant id", flags.tenant);
  }
  for (const std::string& selector : flags.selectors) {
    options.filter.selectors.push_back(
        TRY(promql::parse_selector(selector).context("--match={}", selector)));
    // A line of the journal.
    for (const char c : selector) options.filter_text += c == '\n' ? ' ' : c;
    options.filter_text += ';';
  }
  if (!flags.min_time.empty()) {
    options.filter.range.start_ms = TRY(parse_time(flags.min_time, "min-time"));
  }
  if (!flags.max_time.empty()) {
    options.filter.range.end_ms = TRY(parse_time(flags.max_time, "max-time")) + 1;
  }
  if (options.filter.range.empty()) {
    return core::fail(ErrorCode::InvalidArgument, "--min-time={} is after --max-time={}",
                      flags.min_time, flags.max_time);
  }
  options.filter_text +=
      fmt::format("{}..{}", options.filter.range.start_ms, options.filter.range.end_ms);
  options.retention_ms =
      TRY(core::parse_duration_ms(flags.retention)
              .context("--storage.tsdb.retention.time: expected a duration such as 7d"));
  options.sort_memory_bytes = size_t{flags.sort_memory_mb} << 20U;
  options.is_dry_run = flags.is_dry_run;
  options.is_terminal = isatty(STDERR_FILENO) == 1;
  return options;
}

void print_damage(const promtsdb::Damage& damage) {
  if (damage.total() == 0 && damage.samples_without_series == 0) return;
  std::fprintf(stderr,
               "damaged and left out: %llu chunks, %llu series, %llu log records, %llu files; "
               "log samples of unknown series: %llu\n",
               static_cast<unsigned long long>(damage.chunks),
               static_cast<unsigned long long>(damage.series),
               static_cast<unsigned long long>(damage.records),
               static_cast<unsigned long long>(damage.files),
               static_cast<unsigned long long>(damage.samples_without_series));
  for (const std::string& example : damage.examples) {
    std::fprintf(stderr, "  %s\n", example.c_str());
  }
  if (damage.total() > damage.examples.size()) {
    std::fprintf(stderr, "  and %llu more\n",
                 static_cast<unsigned long long>(damage.total() - damage.examples.size()));
  }
}

void print_summary(const PrometheusImportSummary& summary) {
  const double seconds = std::max(summary.seconds, 1e-3);
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    text += fmt::format("  {:<12}{}\n", name, value);
  };
  line("series", std::to_string(summary.series));
  line("samples", fmt::format("{}, of them {} histograms", summary.samples, summary.histograms));
  line("blocks", fmt::format("{} ({}) from {} Prometheus blocks and the log", summary.blocks,
                             format_bytes(summary.bytes_written), summary.found_blocks));
  if (summary.metadata + summary.exemplars != 0) {
    line("also",
         fmt::format("{} exemplars, metadata of {} metrics", summary.exemplars, summary.metadata));
  }
  line("skipped",
       fmt::format(
           "{} samples that were there already, {} where another value was, {} that the "
           "directory has twice, {} that were deleted since the import began; {} of {} ranges "
           "done before",
           summary.same, summary.conflicting, summary.repeated, summary.deleted,
           summary.ranges_done_before, summary.ranges));
  line("damaged",
       fmt::format("{} chunks, {} series, {} log records, {} files", summary.damage.chunks,
                   summary.damage.series, summary.damage.records, summary.damage.files));
  line("time", fmt::format("{:.1f} s: {} read, {:.1f} MB/s, {} samples/s", summary.seconds,
                           format_bytes(summary.bytes_read),
                           static_cast<double>(summary.bytes_read) / 1e6 / seconds,
                           format_count(static_cast<double>(summary.samples) / seconds)));
  std::printf("imported\n%s", text.c_str());
}

int import_prometheus_tsdb(const std::vector<std::string>& arguments) {
  ImportFlags flags;
  CLI::App cli{
      "Imports a Prometheus data directory: its blocks, its log and its head chunks. Neither\n"
      "Prometheus nor Petrel may be running on their directories. An import that was\n"
      "interrupted goes on when the same command is run again.",
      "petrel import prometheus-tsdb DIR"};
  cli.set_help_flag("-h,--help", "Print this help and exit.");
  cli.formatter(help_format());
  define(cli, flags);
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    cli.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::fputs(cli.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "petrel import %s: %s; see petrel import %s --help\n", kFormat.data(),
                 error.what(), kFormat.data());
    return kUsage;
  }
  const Result<PrometheusImportOptions> options = options_of(flags);
  if (!options) {
    std::fprintf(stderr, "petrel import: %s\n", options.error().message.c_str());
    return kUsage;
  }
  core::set_log_level(core::LogLevel::Warn);
  const Result<PrometheusImportSummary> summary = import_prometheus(*options);
  if (!summary) {
    std::fprintf(stderr, "petrel import: %s\n", summary.error().message.c_str());
    return kFailed;
  }
  print_damage(summary->damage);
  if (options->is_dry_run) return 0;
  if (summary->is_complete_before) {
    std::printf("already imported: nothing in %s is new\n", options->source_dir.c_str());
    return 0;
  }
  print_summary(*summary);
  return 0;
}

}  // namespace

int run_import(const std::vector<std::string>& arguments) {
  if (!arguments.empty() && arguments[0] == kFormat) {
    std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes is an error of the write
    return import_prometheus_tsdb({arguments.begin() + 1, arguments.end()});
  }
  const bool help = !arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h");
  if (!help && !arguments.empty()) {
    std::fprintf(stderr, "petrel import: unknown format \"%s\"\n", arguments[0].c_str());
  }
  std::fputs(
      "usage: petrel import prometheus-tsdb DIR [flags]\n\n"
      "Formats:\n"
      "  prometheus-tsdb   a Prometheus data directory (docs/importing.md)\n",
      help ? stdout : stderr);
  return help ? 0 : kUsage;
}

}  // namespace app
