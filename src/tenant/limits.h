// What one tenant may write, as one record: every check on the way to the log reads its
// bound from here.
//
//   defaults (flags) < limits: < overrides.<tenant>:   ─ resolved once per reload ─> Limits
//
// A limit's key in the configuration, which errors name too, is in limit_keys().

#pragma once

#include "model/relabel.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace tenant {

struct Limits {
  // Per series. Judged when a series is new: one that is known was within them.
  size_t labels_max = 64;
  size_t metric_name_size_max = 1024;
  size_t label_name_size_max = 1024;
  size_t label_value_size_max = 4096;
  // Both signs together; above it the resolution of a native histogram is halved.
  size_t histogram_buckets_max = 160;

  // Per request.
  size_t samples_max = 1'000'000;           // floats, histograms, exemplars and metadata
  size_t symbols_max = 2'000'000;           // strings of a remote write 2.0 request
  size_t body_size_max = size_t{64} << 20;  // as the HTTP server
  size_t decoded_size_max = size_t{64} << 20;
  // Output beyond decoded_free_size may be at most this many times the input: real
  // requests stay below 30, bombs are above 1000.
  size_t decoded_ratio_max = 200;
  size_t decoded_free_size = size_t{1} << 20;

  // Of the tenant as a whole; 0: no limit. Rates are per second; a burst of 0 is ten
  // seconds of its rate.
  size_t series_max = 0;  // in the head, that is with samples of the last hours
  size_t new_series_rate = 0;
  size_t new_series_burst = 0;
  size_t sample_rate = 0;  // of pushes
  size_t sample_burst = 0;
  size_t request_rate = 0;  // of pushes
  size_t request_burst = 0;

  // Applied to pushed series before anything else; what they drop is not stored.
  model::RelabelRules relabel_rules = {};
};

// A limit that the configuration can set.
struct LimitKey {
  std::string_view name;
  size_t Limits::* field;
  size_t min = 1;             // the smallest value other than 0
  bool zero_is_none = false;  // otherwise 0 is refused
};
std::span<const LimitKey> limit_keys();
// The key of a field of limit_keys(), for errors.
std::string_view limit_name(size_t Limits::* field);

// What one mapping of the configuration sets.
struct LimitSettings {
  std::vector<std::pair<size_t Limits::*, size_t>> values;
  bool sets_relabel_rules = false;
  model::RelabelRules relabel_rules;

  Limits applied_to(Limits limits) const;
};

// Of all tenants together; 0: no limit.
struct InstanceLimits {
  size_t series_max = 0;
  size_t sample_rate = 0;  // of pushes, per second
  // Of push requests that are worked on: bodies, decompressed and decoded.
  size_t inflight_bytes_max = size_t{256} << 20;
};

}  // namespace tenant
