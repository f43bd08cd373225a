// petrel tsdb dump: the samples of a data directory as text, from blocks and from the log,
// with promtool's habits. The directory is opened as the server opens it, through a view
// that nothing can be written through.

#include "api/answer.h"
#include "app/read_only_files.h"
#include "app/tsdb_command_impl.h"
#include "core/json_writer.h"
#include "promql/histogram_math.h"
#include "promql/parser.h"
#include "templates/value.h"
#include "tsdb/manifest_recovery.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace app::tsdb_command {
namespace {

using core::ErrorCode;
using core::Result;
using model::LabelsView;

enum class Format { Prometheus, OpenMetrics, Json };

struct DumpFlags {
  int64_t min_time_ms = std::numeric_limits<int64_t>::min();
  int64_t max_time_ms = std::numeric_limits<int64_t>::max();
  std::vector<std::string> matches;
  std::string tenant{model::kDefaultTenant};
  std::string format = "prometheus";
};

// Go's strconv.Quote, for what stands in labels.
void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  out += '"';
}

bool is_plain_name(std::string_view name) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// {__name__="up", job="a"}; `metric`: with its name.
std::string braces(LabelsView labels, bool metric) {
  std::string out = "{";
  for (const model::Label& label : labels) {
    if (!metric && label.name == model::kMetricName) continue;
    if (out.size() > 1) out += ", ";
    if (is_plain_name(label.name)) {
      out += label.name;
    } else {
      append_quoted(out, label.name);
    }
    out += '=';
    append_quoted(out, label.value);
  }
  return out + '}';
}

void append_prometheus(std::string& out, const storage::SeriesBatch& batch, size_t i) {
  const std::string labels = braces(batch.labels[i], true);
  // Floats and histograms of a series in rising time.
  const auto histograms = batch.histograms_of(i);
  size_t next = 0;
  const auto add_histograms_before = [&](int64_t time_ms) {
    for (; next < histograms.size() && histograms[next].timestamp_ms < time_ms; ++next) {
      out += fmt::format("{} {} {}\n", labels, promql::to_string(histograms[next].histogram),
                         histograms[next].timestamp_ms);
    }
  };
  for (size_t k = 0; k < batch.timestamps_of(i).size(); ++k) {
    const int64_t time_ms = batch.timestamps_of(i)[k];
    add_histograms_before(time_ms);
    out +=
        fmt::format("{} {} {}\n", labels, templates::print_float(batch.values_of(i)[k]), time_ms);
  }
  add_histograms_before(std::numeric_limits<int64_t>::max());
}

// Without native histograms and stale markers, which it cannot express.
void append_openmetrics(std::string& out, const storage::SeriesBatch& batch, size_t i) {
  const LabelsView labels = batch.labels[i];
  const std::string_view metric = labels.metric_name();
  const bool is_plain = is_plain_name(metric) || metric.find(':') != metric.npos;
  const std::string series =
      is_plain ? std::string(metric) + braces(labels, false) : braces(labels, true);
  for (size_t k = 0; k < batch.timestamps_of(i).size(); ++k) {
    const double value = batch.values_of(i)[k];
    if (model::is_stale_nan(value)) continue;
    const int64_t time_ms = batch.timestamps_of(i)[k];
    const auto magnitude = static_cast<uint64_t>(time_ms < 0 ? -time_ms : time_ms);
    out += fmt::format("{} {} {}{}.{:03}\n", series, templates::print_float(value),
                       time_ms < 0 ? "-" : "", magnitude / 1000, magnitude % 1000);
  }
}

// One object per series and line: {"metric":{...},"values":["1"],"timestamps":[...]}.
void append_json(std::string& out, const storage::SeriesBatch& batch, size_t i) {
  out += "{\"metric\":";
  api::append_labels(out, batch.labels[i]);
  out += ",\"values\":[";
  const auto comma = [&](size_t k) {
    if (k > 0) out += ',';
  };
  for (size_t k = 0; k < batch.values_of(i).size(); ++k) {
    comma(k);
    const double value = batch.values_of(i)[k];
    out += '"';
    // Told apart from a NaN that was sent.
    if (model::is_stale_nan(value)) {
      out += "stale";
    } else {
      api::append_sample_value(out, value);
    }
    out += '"';
  }
  out += "],\"timestamps\":[";
  for (size_t k = 0; k < batch.timestamps_of(i).size(); ++k) {
    comma(k);
    out += std::to_string(batch.timestamps_of(i)[k]);
  }
  out += ']';
  const auto histograms = batch.histograms_of(i);
  if (!histograms.empty()) out += ",\"histograms\":[";
  for (size_t k = 0; k < histograms.size(); ++k) {
    comma(k);
    out += fmt::format("[{},", histograms[k].timestamp_ms);
    api::append_histogram(out, histograms[k].histogram);
    out += ']';
  }
  out += histograms.empty() ? "}\n" : "]}\n";
}

Result<std::vector<model::Matchers>> read_selectors(const std::vector<std::string>& texts) {
  if (texts.empty()) return std::vector<model::Matchers>{{}};
  std::vector<model::Matchers> selectors;
  for (const std::string& text : texts) {
    selectors.push_back(TRY(promql::parse_selector(text).context("--match {}", text)));
  }
  return selectors;
}

Result<void> write_out(std::string& out) {
  const size_t written = std::fwrite(out.data(), 1, out.size(), stdout);
  if (written != out.size()) return core::fail(ErrorCode::Io, "cannot write to stdout");
  out.clear();
  return {};
}

// A series that several selectors select comes once, with the first of them.
bool is_selected_before(const std::vector<model::Matchers>& selectors, size_t current,
                        LabelsView labels) {
  return std::any_of(
      selectors.begin(), selectors.begin() + static_cast<std::ptrdiff_t>(current),
      [&](const model::Matchers& matchers) { return model::matches_all(matchers, labels); });
}

Result<std::vector<std::string>> dump(const tsdb::Engine& engine, const DumpFlags& flags,
                                      Format format) {
  const std::vector<model::Matchers> selectors = TRY(read_selectors(flags.matches));
  std::vector<std::string> warnings;
  std::string out;
  storage::SeriesBatch batch;
  for (size_t current = 0; current < selectors.size(); ++current) {
    storage::SelectRequest request;
    request.tenant = flags.tenant;
    request.matchers = selectors[current];
    request.range.start_ms = flags.min_time_ms;
    request.range.end_ms =
        flags.max_time_ms + (flags.max_time_ms == std::numeric_limits<int64_t>::max() ? 0 : 1);
    request.sorted = true;
    const std::unique_ptr<storage::SeriesSet> set = TRY(engine.select(request));
    while (TRY(set->next(batch))) {
      for (size_t i = 0; i < batch.size(); ++i) {
        if (is_selected_before(selectors, current, batch.labels[i])) continue;
        if (format == Format::Json) {
          append_json(out, batch, i);
        } else if (format == Format::OpenMetrics) {
          append_openmetrics(out, batch, i);
        } else {
          append_prometheus(out, batch, i);
        }
        if (out.size() > 1 << 20U) TRY(write_out(out));
      }
    }
    for (std::string& warning : set->warnings()) warnings.push_back(std::move(warning));
  }
  if (format == Format::OpenMetrics) out += "# EOF\n";
  TRY(write_out(out));
  if (std::fflush(stdout) != 0) return core::fail(ErrorCode::Io, "cannot write to stdout");
  return warnings;
}

int run(CommandLine& line, const std::vector<std::string>& arguments, DumpFlags flags,
        bool chooses_format) {
  const auto is_time = is_number("milliseconds since 1970, as in 1767323045000");
  line.cli.add_option("--min-time", flags.min_time_ms, "Oldest time to write, in ms since 1970.")
      ->check(is_time);
  line.cli.add_option("--max-time", flags.max_time_ms, "Newest time to write, in ms since 1970.")
      ->check(is_time);
  line.cli.add_option("--match", flags.matches, "Series selector; may be repeated.")
      ->allow_extra_args(false);
  line.cli.add_option("--tenant", flags.tenant, "Whose samples.")->capture_default_str();
  if (chooses_format) {
    line.cli.add_option("--format", flags.format, "One of prometheus, openmetrics, json.")
        ->capture_default_str()
        ->check(CLI::IsMember({"prometheus", "openmetrics", "json"}));
  }
  if (const auto code = line.parse(arguments)) return *code;
  if (const auto selectors = read_selectors(flags.matches); !selectors) {
    return fail_with(line.name, selectors.error(), kUsage);
  }
  if (flags.min_time_ms > flags.max_time_ms) {
    return fail_with(
        line.name,
        {ErrorCode::InvalidArgument,
         fmt::format("--min-time {} is after --max-time {}", flags.min_time_ms, flags.max_time_ms)},
        kUsage);
  }
  const Format format = flags.format == "json"          ? Format::Json
                        : flags.format == "openmetrics" ? Format::OpenMetrics
                                                        : Format::Prometheus;
  const auto dir = DataDir::open_alone(line.dir);
  if (!dir) return fail_with(line.name, dir.error());
  ReadOnlyFiles files((*dir)->files);
  const auto recovered =
      tsdb::load_manifest(files, (*dir)->path, tsdb::EngineOptions{}.block_range_ms);
  if (!recovered) return fail_with(line.name, recovered.error());
  for (const std::string& problem : recovered->problems) {
    std::fprintf(stderr, "warning: %s\n", problem.c_str());
  }
  const auto opened = OpenEngine::open(**dir, files);
  if (!opened) return fail_with(line.name, opened.error());
  const std::vector<std::string> tenants = (*opened)->engine->tenants();
  const bool is_known = std::ranges::find(tenants, flags.tenant) != tenants.end();
  if (!is_known && (flags.tenant != model::kDefaultTenant || !tenants.empty())) {
    std::string known;
    for (const std::string& tenant : tenants) known += (known.empty() ? "" : ", ") + tenant;
    return fail_with(line.name,
                     {ErrorCode::NotFound,
                      fmt::format("{}: there is no data of tenant {}; there is of: {}", line.dir,
                                  flags.tenant, known.empty() ? "nobody" : known)});
  }
  const auto warnings = dump(*(*opened)->engine, flags, format);
  if (!warnings) return fail_with(line.name, warnings.error());
  for (const std::string& warning : *warnings) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  return warnings->empty() && recovered->problems.empty() ? 0 : kFailed;
}

}  // namespace

int run_dump(const std::vector<std::string>& arguments) {
  CommandLine line("dump",
                   "Writes samples to stdout: those of blocks and those that are in the log only.\n"
                   "No Petrel may run on the directory; a snapshot of it can be dumped meanwhile.");
  return run(line, arguments, {}, true);
}

int run_dump_openmetrics(const std::vector<std::string>& arguments) {
  CommandLine line("dump-openmetrics",
                   "Writes samples to stdout as OpenMetrics, without native histograms and stale\n"
                   "markers, which that format cannot express.");
  DumpFlags flags;
  flags.format = "openmetrics";
  return run(line, arguments, std::move(flags), false);
}

}  // namespace app::tsdb_command
