#include "app/check_metrics.h"

#include "core/file_system.h"
#include "ingest/exposition.h"
#include "ingest/metrics_lint.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fmt/core.h>

namespace app {
namespace {

using core::Result;

constexpr int kParseError = 1;
constexpr int kUsage = 2;
constexpr int kLintProblems = 3;

constexpr const char* kUsageText =
    "usage: petrel check metrics [--extended] [--format=text|openmetrics] [FILE]\n"
    "\n"
    "Lints metrics in the Prometheus text format, from FILE or standard input:\n"
    "  curl -s http://localhost:9090/metrics | petrel check metrics\n"
    "\n"
    "  --extended             also print how many series each metric has\n"
    "  --format=openmetrics   judge by everything the OpenMetrics 1.0 specification demands\n"
    "\n"
    "Exit code: 0 fine, 1 does not parse, 3 parses, but has problems.\n";

Result<std::string> read_all(std::FILE* file) {
  std::string text;
  std::array<char, 65536> buffer;
  size_t size = 0;
  while ((size = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) {
    text.append(buffer.data(), size);
  }
  if (std::ferror(file) != 0) return core::fail(core::ErrorCode::Io, "read standard input");
  return text;
}

// Columns four blanks apart, as promtool prints them.
void print_cardinality(const std::vector<ingest::MetricCardinality>& metrics) {
  uint64_t total = 0;
  for (const ingest::MetricCardinality& metric : metrics) total += metric.series;
  using Row = std::array<std::string, 3>;
  std::vector<Row> rows{{"Metric", "Cardinality", "Percentage"}};
  for (const ingest::MetricCardinality& metric : metrics) {
    const double share = static_cast<double>(metric.series) / static_cast<double>(total);
    rows.push_back(
        {metric.metric, fmt::format("{}", metric.series), fmt::format("{:.2f}%", share * 100)});
  }
  rows.push_back({"Total", fmt::format("{}", total), "100%"});
  std::array<size_t, 3> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size() + 4);
  }
  for (const Row& row : rows) {
    const std::string line = fmt::format("{:<{}}{:<{}}{:<{}}\n", row[0], widths[0], row[1],
                                         widths[1], row[2], widths[2]);
    std::fputs(line.c_str(), stdout);
  }
}

int check_text(const std::string& text, bool extended) {
  const Result<ingest::LintReport> report = ingest::lint_metrics(text);
  if (!report) {
    std::fprintf(stderr, "error while linting: %s\n", report.error().message.c_str());
    return kParseError;
  }
  for (const ingest::LintProblem& problem : report->problems) {
    std::fprintf(stderr, "%s %s\n", problem.metric.c_str(), problem.text.c_str());
  }
  if (!report->problems.empty()) return kLintProblems;
  if (extended) print_cardinality(report->cardinality);
  return 0;
}

int check_openmetrics(const std::string& text) {
  ingest::ExpositionOptions options;
  options.strict = true;
  const auto parser =
      ingest::make_exposition_parser(ingest::ExpositionFormat::OpenMetrics100, text, options);
  ingest::Entry entry;
  do {
    if (const Result<void> read = parser->next(entry); !read) {
      std::fprintf(stderr, "error while parsing: %s\n", read.error().message.c_str());
      return kParseError;
    }
  } while (entry.kind != ingest::EntryKind::End);
  return 0;
}

}  // namespace

int run_check_metrics(const std::vector<std::string>& arguments) {
  bool extended = false;
  bool openmetrics = false;
  std::string path;
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      std::fputs(kUsageText, stdout);
      return 0;
    }
    if (argument == "--extended") {
      extended = true;
    } else if (argument == "--format=openmetrics") {
      openmetrics = true;
    } else if (argument == "--format=text") {
      openmetrics = false;
    } else if (argument.starts_with('-') || !path.empty()) {
      std::fprintf(stderr, "unexpected argument \"%s\"\n%s", argument.c_str(), kUsageText);
      return kUsage;
    } else {
      path = argument;
    }
  }
  core::PosixFileSystem disk;
  const Result<std::string> text = path.empty() ? read_all(stdin) : disk.read_file(path);
  if (!text) {
    std::fprintf(stderr, "%s\n", text.error().message.c_str());
    return kParseError;
  }
  return openmetrics ? check_openmetrics(*text) : check_text(*text, extended);
}

}  // namespace app
