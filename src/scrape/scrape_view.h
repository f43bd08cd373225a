// What the API shows of scraping; plain copies.

#pragma once

#include "core/result.h"
#include "model/labels.h"
#include "model/relabel.h"
#include "model/sample.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scrape {

struct TargetView {
  std::string pool;
  model::Labels discovered;
  model::Labels labels;
  std::string url;
  std::string global_url;          // loopback replaced by the external host
  std::string health = "unknown";  // "up", "down", "unknown"
  std::string last_error;
  int64_t last_scrape_ms = 0;  // 0: never
  double last_duration_s = 0;
  int64_t interval_ms = 0;
  int64_t timeout_ms = 0;
  uint64_t samples_scraped = 0;
  uint64_t samples_after_relabel = 0;
  uint64_t bytes = 0;
  bool slow_lane = false;
};

struct DroppedView {
  std::string pool;
  model::Labels discovered;
  std::string reason;
  bool is_invalid = false;  // not dropped by a rule: it cannot be scraped
};

struct DiscoveryView {
  std::string kind;
  std::string last_error;
  int64_t last_success_ms = 0;
  std::vector<std::string> invalid;
};

struct PoolView {
  std::string name;
  size_t active = 0;
  size_t dropped = 0;  // all of them, where keep_dropped_targets shows fewer
  size_t up = 0;
  std::vector<DiscoveryView> discoveries;
  std::string error;  // "target_limit exceeded ...", or ""
};

struct MetadataView {
  model::Labels target;  // labels of the target
  model::Metadata metadata;
};

// The label set after a relabel rule and those before it.
struct RelabelStepView {
  model::RelabelConfig rule;
  model::Labels output;  // empty when dropped
  bool keep = true;
};

// Thread-safe.
class ScrapeStatus {
 public:
  virtual ~ScrapeStatus() = default;
  virtual std::vector<std::string> pools() const = 0;
  // Of one pool, or of all when it is "".
  virtual std::vector<PoolView> pool_views(std::string_view pool) const = 0;
  virtual std::vector<TargetView> active(std::string_view pool) const = 0;
  virtual std::vector<DroppedView> dropped(std::string_view pool) const = 0;
  virtual std::vector<MetadataView> metadata(
      const std::string& metric, const std::function<bool(model::LabelsView)>& is_wanted,
      size_t limit) const = 0;
  // What the relabel rules of a pool do to a label set. NotFound: no such pool.
  virtual core::Result<std::vector<RelabelStepView>> relabel_steps(
      std::string_view pool, const model::Labels& labels) const = 0;
};

}  // namespace scrape
