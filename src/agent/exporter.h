// Runs the collectors when asked, as node_exporter does, and writes what they find as
// text.

#pragma once

#include "agent/collector.h"
#include "agent/exposition_writer.h"
#include "core/clock.h"

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace agent {

struct ExporterOptions {
  CollectorOptions collectors{};
  std::string version;
  // Also what Petrel counts about itself: petrel_*, process_*.
  bool own_metrics = true;
};

// Adds node_scrape_collector_* of one collector; what it says of a failure goes to the
// log when it changes.
class CollectorRunner {
 public:
  explicit CollectorRunner(const core::Clock& clock) : clock_(clock) {}
  void run(Collector& collector, Output& out);

 private:
  const core::Clock& clock_;
  std::set<std::string_view> failing_;  // collectors whose last round failed: logged once
};

// Thread-safe: scrapes wait for each other.
class Exporter {
 public:
  static core::Result<std::unique_ptr<Exporter>> create(ExporterOptions options,
                                                        const core::Clock& clock);

  struct Selection {
    std::vector<std::string> collect;  // collect[]; empty: all
    std::vector<std::string> exclude;  // exclude[]
  };
  // InvalidArgument for a collector that is not switched on, or when both lists are given.
  core::Result<std::string> scrape(const Selection& selection, TextForm form);
  std::vector<std::string_view> collector_names() const;

 private:
  Exporter(ExporterOptions options, const core::Clock& clock,
           std::vector<std::unique_ptr<Collector>> collectors);

  const ExporterOptions options_;
  std::mutex mutex_;
  CollectorRunner runner_;                              // guarded by mutex_
  std::vector<std::unique_ptr<Collector>> collectors_;  // guarded by mutex_
};

}  // namespace agent
