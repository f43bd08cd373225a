// What a collector of host metrics is, and what it writes to.

#pragma once

#include "core/clock.h"
#include "core/result.h"
#include "model/sample.h"

#include <initializer_list>
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

// Every collector, in the order in which they run (agent/collectors/table.cc).
std::vector<std::unique_ptr<Collector>> make_collectors(const Roots& roots,
                                                        const core::Clock& clock);

}  // namespace agent
