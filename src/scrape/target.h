// From what discovery found to what is scraped: labels are put together, relabelled and
// judged (prometheus/scrape/target.go, PopulateLabels; docs of relabel_config).

#pragma once

#include "config/scrape_config.h"
#include "model/labels.h"

#include <cstdint>
#include <string>
#include <vector>

namespace scrape {

struct Target {
  model::Labels discovered;  // before relabelling, with __meta_*
  model::Labels labels;      // without __*; what its series carry
  std::string url;           // with parameters
  int64_t interval_ms = 0;
  int64_t timeout_ms = 0;
  uint32_t retry_max = 0;  // __scrape_retry_max__, __scrape_retry_backoff__ of registered targets
  int64_t retry_backoff_ms = 0;
  // Keeps its place among the targets of a pool: url and labels.
  std::string key;
};

enum class Outcome : uint8_t { Scraped, DroppedByRelabelling, NoAddress, Invalid };

struct TargetDecision {
  Outcome outcome = Outcome::Scraped;
  Target target;
  model::Labels relabelled;  // of a scraped one: all labels but __meta_*
  std::string error;         // Invalid: "scrape timeout cannot be greater than scrape interval ..."
  int dropped_by = -1;       // the index of the relabel rule
};

TargetDecision decide_target(const config::ScrapeConfig& config, const model::Labels& group,
                             const model::Labels& own);

// One relabel rule's effect, for people.
struct RelabelStep {
  std::string rule;  // YAML in one line
  model::Labels before;
  model::Labels after;
  bool kept = true;
};
std::vector<RelabelStep> explain_target(const config::ScrapeConfig& config,
                                        const model::Labels& group, const model::Labels& own);

}  // namespace scrape
