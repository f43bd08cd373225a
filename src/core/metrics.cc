#include "core/metrics.h"

#include "core/json_writer.h"
#include "core/result.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <sys/resource.h>
#include <unistd.h>

namespace core {
namespace {

struct Callback {
  uint64_t id;
  std::function<double()> read;
};

struct Family {
  std::string_view type;
  std::string help;
  // By printed labels, so that exposition is sorted.
  std::map<std::string, std::unique_ptr<Counter>> counters;
  std::map<std::string, std::unique_ptr<Gauge>> gauges;
  std::map<std::string, std::unique_ptr<DurationHistogram>> histograms;
  std::map<std::string, Callback> callbacks;
};

struct Registry {
  std::mutex mutex;
  std::map<std::string, Family, std::less<>> families;  // guarded by mutex
  uint64_t next_id = 1;
};

// Never destroyed: statics elsewhere may count until the very end.
Registry& registry() {
  static auto* const instance = new Registry;
  return *instance;
}

std::string print_labels(MetricLabels labels) {
  std::sort(labels.begin(), labels.end());
  std::string text;
  for (const auto& [name, value] : labels) {
    text += text.empty() ? "" : ",";
    text += name;
    text += "=\"";
    for (const char c : value) {
      if (c == '\n') {
        text += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text;
}

Family& family_of(Registry& all, std::string_view name, std::string_view type,
                  std::string_view help) {
  auto found = all.families.find(name);
  if (found == all.families.end()) {
    found = all.families.emplace(std::string(name), Family{}).first;
    found->second.type = type;
    found->second.help = help;
  }
  ENSURE(found->second.type == type);
  return found->second;
}

template <typename Metric>
Metric& find_or_create(std::map<std::string, std::unique_ptr<Metric>>& metrics,
                       const std::string& labels) {
  std::unique_ptr<Metric>& slot = metrics[labels];
  if (!slot) slot = std::make_unique<Metric>();
  return *slot;
}

void append_line(std::string& out, std::string_view name, std::string_view labels, double value) {
  out += name;
  if (!labels.empty()) {
    out += '{';
    out += labels;
    out += '}';
  }
  out += ' ';
  append_float(out, value);
  out += '\n';
}

void append_histogram(std::string& out, const std::string& name, const std::string& labels,
                      const DurationHistogram& histogram) {
  const std::string prefix = labels.empty() ? "" : labels + ",";
  uint64_t cumulative = 0;
  for (size_t i = 0; i <= DurationHistogram::kBounds.size(); ++i) {
    cumulative += histogram.bucket(i);
    std::string bound = "+Inf";
    if (i < DurationHistogram::kBounds.size()) {
      bound.clear();
      append_float(bound, DurationHistogram::kBounds[i]);
    }
    append_line(out, name + "_bucket", prefix + "le=\"" + bound + "\"",
                static_cast<double>(cumulative));
  }
  append_line(out, name + "_sum", labels, histogram.sum());
  append_line(out, name + "_count", labels, static_cast<double>(cumulative));
}

void append_head(std::string& out, std::string_view name, std::string_view type,
                 std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void append_family(std::string& out, const std::string& name, const Family& family) {
  append_head(out, name, family.type, family.help);
  for (const auto& [labels, metric] : family.counters) {
    append_line(out, name, labels, metric->value());
  }
  for (const auto& [labels, metric] : family.gauges) {
    append_line(out, name, labels, metric->value());
  }
  for (const auto& [labels, callback] : family.callbacks) {
    append_line(out, name, labels, callback.read());
  }
  for (const auto& [labels, metric] : family.histograms) {
    append_histogram(out, name, labels, *metric);
  }
}

void append_process_metric(std::string& out, std::string_view name, std::string_view type,
                           std::string_view help, double value) {
  append_head(out, name, type, help);
  append_line(out, name, "", value);
}

// A limit that is none is the largest number, as in Prometheus's client libraries.
double limit_of(__rlimit_resource_t resource) {
  rlimit limit{};
  getrlimit(resource, &limit);
  return static_cast<double>(limit.rlim_cur);
}

double open_files() {
  std::error_code error;
  const std::filesystem::directory_iterator all("/proc/self/fd", error);
  return error ? 0 : static_cast<double>(std::distance(begin(all), end(all)));
}

// Clock ticks between the machine's start and the process's: field 22 of proc(5), behind
// a name that may hold blanks.
double start_time_seconds() {
  std::ifstream file("/proc/self/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string skipped;
  for (int field = 3; field < 22; ++field) fields >> skipped;
  double ticks = 0;
  fields >> ticks;
  std::ifstream stat("/proc/stat");
  for (std::string key; stat >> key;) {
    if (key != "btime") continue;
    double boot = 0;
    stat >> boot;
    return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  }
  return 0;
}

void append_process_limits(std::string& out) {
  append_process_metric(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
                        limit_of(RLIMIT_NOFILE));
  append_process_metric(out, "process_open_fds", "gauge", "Number of open file descriptors.",
                        open_files());
  append_process_metric(out, "process_virtual_memory_max_bytes", "gauge",
                        "Maximum amount of virtual memory available in bytes.",
                        limit_of(RLIMIT_AS));
  static const double kStarted = start_time_seconds();
  append_process_metric(out, "process_start_time_seconds", "gauge",
                        "Start time of the process since unix epoch in seconds.", kStarted);
}

// The names and meanings of Prometheus's client libraries.
void append_process_metrics(std::string& out) {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](timeval time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  append_process_metric(out, "process_cpu_seconds_total", "counter",
                        "Total user and system CPU time spent in seconds.",
                        seconds(usage.ru_utime) + seconds(usage.ru_stime));

  std::ifstream statm("/proc/self/statm");
  double virtual_pages = 0;
  double resident_pages = 0;
  statm >> virtual_pages >> resident_pages;
  const auto page_size = static_cast<double>(sysconf(_SC_PAGESIZE));
  append_process_metric(out, "process_resident_memory_bytes", "gauge",
                        "Resident memory size in bytes.", resident_pages * page_size);
  append_process_metric(out, "process_virtual_memory_bytes", "gauge",
                        "Virtual memory size in bytes.", virtual_pages * page_size);
  append_process_limits(out);
}

}  // namespace

void DurationHistogram::observe(double seconds) {
  const auto* bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  buckets_[static_cast<size_t>(bound - kBounds.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(seconds, std::memory_order_relaxed);
}

Counter& counter(std::string_view name, std::string_view help, MetricLabels labels) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  return find_or_create(family_of(all, name, "counter", help).counters,
                        print_labels(std::move(labels)));
}

Gauge& gauge(std::string_view name, std::string_view help, MetricLabels labels) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  return find_or_create(family_of(all, name, "gauge", help).gauges,
                        print_labels(std::move(labels)));
}

DurationHistogram& duration_histogram(std::string_view name, std::string_view help,
                                      MetricLabels labels) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  return find_or_create(family_of(all, name, "histogram", help).histograms,
                        print_labels(std::move(labels)));
}

MetricCallback callback_metric(MetricKind kind, std::string_view name, std::string_view help,
                               MetricLabels labels, std::function<double()> read) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  const std::string_view type = kind == MetricKind::Counter ? "counter" : "gauge";
  Family& family = family_of(all, name, type, help);
  const uint64_t id = all.next_id++;
  family.callbacks[print_labels(std::move(labels))] = Callback{id, std::move(read)};
  return MetricCallback(id);
}

MetricCallback::~MetricCallback() {
  if (id_ == 0) return;
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (auto& [name, family] : all.families) {
    std::erase_if(family.callbacks, [this](const auto& entry) { return entry.second.id == id_; });
  }
}

std::string expose_metrics() {
  std::string out;
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const auto& [name, family] : all.families) {
    const bool is_empty = family.counters.empty() && family.gauges.empty() &&
                          family.callbacks.empty() && family.histograms.empty();
    if (!is_empty) append_family(out, name, family);
  }
  append_process_metrics(out);
  return out;
}

}  // namespace core
