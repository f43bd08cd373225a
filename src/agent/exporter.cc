#include "agent/exporter.h"

#include "agent/text_source.h"
#include "core/log.h"
#include "core/metrics.h"

#include <algorithm>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kDuration = {"node_scrape_collector_duration_seconds", MetricType::Gauge,
                                  "node_exporter: Duration of a collector scrape."};
constexpr MetricInfo kSuccess = {"node_scrape_collector_success", MetricType::Gauge,
                                 "node_exporter: Whether a collector succeeded."};
// For dashboards that list hosts by it.
constexpr MetricInfo kBuild = {
    "node_exporter_build_info", MetricType::Gauge,
    "A metric with a constant '1' value labeled by version, revision, branch, goversion from "
    "which node_exporter was built, and the goos and goarch for the build."};
constexpr MetricInfo kPetrelBuild = {"petrel_build_info", MetricType::Gauge,
                                     "1, labelled with the version this program was built as."};
#ifdef __x86_64__
constexpr std::string_view kMachine = "amd64";
#else
constexpr std::string_view kMachine = "arm64";
#endif

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

void CollectorRunner::run(Collector& collector, Output& out) {
  const int64_t start_ns = clock_.monotonic_ns();
  const core::Result<void> result = collector.collect(out);
  // In whole microseconds: what is below is noise, and would be most of a host's bytes.
  const double duration = static_cast<double>((clock_.monotonic_ns() - start_ns) / 1000) / 1e6;
  out.add(kDuration, {{"collector", collector.name()}}, duration);
  out.add(kSuccess, {{"collector", collector.name()}}, result ? 1 : 0);
  if (result) {
    failing_.erase(collector.name());
  } else if (failing_.insert(collector.name()).second) {
    const bool is_absent = result.error().code == core::ErrorCode::NotFound;
    core::log(is_absent ? core::LogLevel::Debug : core::LogLevel::Warn, "host_collector",
              "a collector failed",
              {{"collector", collector.name()}, {"err", result.error().message}});
  }
}

core::Result<std::unique_ptr<Exporter>> Exporter::create(ExporterOptions options,
                                                         const core::Clock& clock) {
  std::vector<std::unique_ptr<Collector>> collectors =
      TRY(make_collectors(options.collectors, clock));
  return std::unique_ptr<Exporter>(new Exporter(std::move(options), clock, std::move(collectors)));
}

Exporter::Exporter(ExporterOptions options, const core::Clock& clock,
                   std::vector<std::unique_ptr<Collector>> collectors)
    : options_(std::move(options)), runner_(clock), collectors_(std::move(collectors)) {}

core::Result<std::string> Exporter::scrape(const Selection& selection, TextForm form) {
  if (!selection.collect.empty() && !selection.exclude.empty()) {
    return core::fail(core::ErrorCode::InvalidArgument,
                      "collect[] and exclude[] exclude each other");
  }
  const std::lock_guard lock(mutex_);
  for (const std::string& name : selection.collect) {
    const bool is_on = std::any_of(collectors_.begin(), collectors_.end(),
                                   [&](const auto& one) { return one->name() == name; });
    if (is_on) continue;
    return core::fail(core::ErrorCode::InvalidArgument,
                      "collect[]={}: no such collector, or it is switched off", name);
  }
  ExpositionWriter out(form);
  for (const std::unique_ptr<Collector>& collector : collectors_) {
    if (!selection.collect.empty() && !contains(selection.collect, collector->name())) continue;
    if (contains(selection.exclude, collector->name())) continue;
    runner_.run(*collector, out);
  }
  out.add(kBuild,
          {{"branch", ""},
           {"exporter", "petrel"},
           {"goarch", kMachine},
           {"goos", "linux"},
           {"goversion", ""},
           {"revision", ""},
           {"version", options_.version}},
          1);
  out.add(kPetrelBuild, {{"version", options_.version}, {"compiler", __VERSION__}}, 1);
  if (options_.own_metrics) {
    add_text_metrics(out, TRY(parse_text_metrics(core::expose_metrics())), "");
  }
  return out.text();
}

std::vector<std::string_view> Exporter::collector_names() const {
  std::vector<std::string_view> names;
  for (const auto& collector : collectors_) names.push_back(collector->name());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace agent
