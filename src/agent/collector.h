// What a collector of host metrics is, and what it writes to.

#pragma once

#include "core/clock.h"
#include "core/result.h"
#include "model/sample.h"

#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace agent {

// Where the kernel's and udev's files are; tests point this at a fixture tree.
struct Roots {
  std::string proc = "/proc";
  std::string sys = "/sys";
  std::string etc = "/etc";
  std::string usr_lib = "/usr/lib";
  std::string udev_data = "/run/udev/data";
  std::string run = "/run";   // sockets of systemd and D-Bus
  std::string mounts_prefix;  // in front of every mount point, for statvfs
};

using LabelPair = std::pair<std::string_view, std::string_view>;

// A metric whose name is known when Petrel is compiled.
struct MetricInfo {
  std::string_view name;
  model::MetricType type;
  std::string_view help;
};

// Receives the samples of a round. Everything passed in is borrowed for the call.
class Output {
 public:
  virtual ~Output() = default;
  virtual void add(std::string_view metric, model::MetricType type, std::string_view help,
                   std::span<const LabelPair> labels, double value) = 0;

  // A sample of a family of several names: node_x_bucket of the histogram node_x.
  virtual void add_part(std::string_view family, model::MetricType type, std::string_view help,
                        std::string_view metric, std::span<const LabelPair> labels,
                        double value) = 0;

  void add(const MetricInfo& metric, std::span<const LabelPair> labels, double value) {
    add(metric.name, metric.type, metric.help, labels, value);
  }
  void add(const MetricInfo& metric, std::initializer_list<LabelPair> labels, double value) {
    add(metric, std::span(labels.begin(), labels.size()), value);
  }
  void add(const MetricInfo& metric, double value) {
    add(metric, std::span<const LabelPair>(), value);
  }
};

// Confined to the round that runs; may keep state between rounds.
class Collector {
 public:
  virtual ~Collector() = default;
  // The name as node_exporter's label `collector`.
  virtual std::string_view name() const = 0;
  // Samples added before an error are kept. NotFound: this host has no such source
  // (no /proc/pressure, say), which is not worth a warning.
  virtual core::Result<void> collect(Output& out) = 0;
};

// What node_exporter's command line says about collectors.
struct CollectorOptions {
  Roots roots{};
  bool disable_defaults = false;                      // --collector.disable-defaults
  std::map<std::string, bool, std::less<>> chosen{};  // --[no-]collector.<name>
  // By the flag's name behind "--collector.", such as "filesystem.fs-types-exclude".
  std::map<std::string, std::string, std::less<>> settings{};
};

struct CollectorInfo {
  std::string_view name;
  bool is_default;
};

enum class SettingKind : uint8_t { Pattern, Text, Switch };

struct SettingInfo {
  std::string_view name;  // behind "--collector."
  SettingKind kind;
  std::string_view default_text;
  std::string_view help;
};

// Every collector, in the order in which they run, and every setting
// (agent/collectors/table.cc).
std::span<const CollectorInfo> collector_table();
std::span<const SettingInfo> setting_table();
// Collectors of node_exporter that Petrel does not have.
std::span<const std::string_view> unbuilt_collectors();

// The collectors that are switched on. InvalidArgument names the setting whose regular
// expression does not compile, or the unknown collector.
core::Result<std::vector<std::unique_ptr<Collector>>> make_collectors(
    const CollectorOptions& options, const core::Clock& clock);

}  // namespace agent
