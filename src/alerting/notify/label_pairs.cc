#include "alerting/notify/label_pairs.h"

namespace alerting {
namespace {

void keep_common(Pairs& common, const Pairs& other) {
  std::erase_if(common, [&other](const auto& pair) {
    const auto found = other.find(pair.first);
    return found == other.end() || found->second != pair.second;
  });
}

}  // namespace

Pairs pairs_of(model::LabelsView labels) {
  Pairs pairs;
  for (const model::Label& label : labels) pairs.emplace(label.name, label.value);
  return pairs;
}

Pairs pairs_of(const alertstore::Annotations& annotations) {
  return {annotations.begin(), annotations.end()};
}

CommonPairs common_pairs(const Notification& notification) {
  const auto& alerts = notification.alerts;
  if (alerts.empty()) return {};
  CommonPairs common{.labels = pairs_of(alerts.front().labels),
                     .annotations = pairs_of(alerts.front().annotations)};
  for (const alertstore::AlertEvent& alert : alerts) {
    keep_common(common.labels, pairs_of(alert.labels));
    keep_common(common.annotations, pairs_of(alert.annotations));
  }
  return common;
}

}  // namespace alerting
