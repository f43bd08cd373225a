#include "app/prometheus_flags.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace app {
namespace {

constexpr std::string_view kNotBuilt = "not built yet, it has no effect";
constexpr std::string_view kNotNeeded = "not needed by Petrel, it has no effect";

// prometheus --help of release 3.5, less what flags.cc defines.
constexpr std::array kIgnored = {
    IgnoredFlag{"agent", FlagKind::Switch, kNotBuilt},
    IgnoredFlag{"alertmanager.drain-notification-queue-on-shutdown", FlagKind::Switch, kNotNeeded},
    IgnoredFlag{"alertmanager.notification-batch-size", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"alertmanager.notification-queue-capacity", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"alertmanager.timeout", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"auto-gomaxprocs", FlagKind::Switch, kNotNeeded},
    IgnoredFlag{"auto-gomemlimit", FlagKind::Switch, kNotNeeded},
    IgnoredFlag{"auto-gomemlimit.ratio", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"rules.alert.for-grace-period", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"rules.alert.for-outage-tolerance", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"rules.alert.resend-delay", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"rules.max-concurrent-evals", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"scrape.adjust-timestamps", FlagKind::Switch, kNotNeeded},
    IgnoredFlag{"scrape.timestamp-tolerance", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"storage.agent.no-lockfile", FlagKind::Switch, kNotBuilt},
    IgnoredFlag{"storage.agent.path", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"storage.agent.retention.max-time", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"storage.agent.retention.min-time", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"storage.agent.wal-compression", FlagKind::Switch, kNotBuilt},
    IgnoredFlag{"storage.remote.flush-deadline", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"storage.remote.read-concurrent-limit", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"storage.remote.read-max-bytes-in-frame", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"storage.remote.read-sample-limit", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"storage.tsdb.allow-overlapping-blocks", FlagKind::Switch, kNotNeeded},
    IgnoredFlag{"storage.tsdb.delayed-compaction.max-percent", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"storage.tsdb.head-chunks-write-queue-size", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"storage.tsdb.max-block-chunk-segment-size", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"storage.tsdb.no-lockfile", FlagKind::Switch, kNotNeeded},
    IgnoredFlag{"storage.tsdb.retention", FlagKind::Value,
                "was removed in Prometheus 3; use --storage.tsdb.retention.time"},
    IgnoredFlag{"storage.tsdb.samples-per-chunk", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"storage.tsdb.wal-compression", FlagKind::Switch, kNotNeeded},
    IgnoredFlag{"storage.tsdb.wal-compression-type", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"web.config.file", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"web.console.libraries", FlagKind::Value, "console templates are not offered"},
    IgnoredFlag{"web.console.templates", FlagKind::Value, "console templates are not offered"},
    IgnoredFlag{"web.enable-otlp-receiver", FlagKind::Switch, kNotBuilt},
    IgnoredFlag{"web.max-notifications-subscribers", FlagKind::Value, kNotNeeded},
    IgnoredFlag{"web.page-title", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"web.remote-write-receiver.accepted-protobuf-messages", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"web.route-prefix", FlagKind::Value, kNotBuilt},
    IgnoredFlag{"web.user-assets", FlagKind::Value, kNotBuilt},
};

// Levenshtein's distance, two rows.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t k = 0; k < b.size(); ++k) {
      const size_t substitute = diagonal + (a[i] == b[k] ? 0 : 1);
      diagonal = row[k + 1];
      row[k + 1] = std::min({row[k] + 1, row[k + 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

}  // namespace

const IgnoredFlag* find_ignored_flag(std::string_view name) {
  const auto* found = std::find_if(kIgnored.begin(), kIgnored.end(),
                                   [name](const IgnoredFlag& flag) { return flag.name == name; });
  return found == kIgnored.end() ? nullptr : found;
}

void append_ignored_flag_names(std::vector<std::string>& names) {
  for (const IgnoredFlag& flag : kIgnored) names.emplace_back(flag.name);
}

std::string nearest_flag(std::string_view name, const std::vector<std::string>& candidates) {
  std::string nearest;
  // Beyond a third of the name wrong, a suggestion confuses more than it helps.
  size_t distance_max = std::max<size_t>(2, name.size() / 3);
  const auto consider = [&](std::string_view candidate) {
    const size_t distance = edit_distance(name, candidate);
    if (distance > distance_max || (distance == distance_max && !nearest.empty())) return;
    nearest = candidate;
    distance_max = distance;
  };
  for (const std::string& candidate : candidates) consider(candidate);
  return nearest;
}

}  // namespace app
