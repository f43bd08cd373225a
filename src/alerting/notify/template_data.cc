#include "alerting/notify/template_data.h"

#include <algorithm>
#include <map>
#include <string>

namespace alerting {

using alertstore::AlertEvent;
using alertstore::Transition;
using templates::List;
using templates::Record;
using templates::Time;
using templates::Value;

namespace {

using Pairs = std::map<std::string, std::string>;

Pairs pairs_of(model::LabelsView labels) {
  Pairs pairs;
  for (const model::Label& label : labels) pairs.emplace(label.name, label.value);
  return pairs;
}

Pairs pairs_of(const alertstore::Annotations& annotations) {
  return {annotations.begin(), annotations.end()};
}

void keep_common(Pairs& common, const Pairs& other) {
  std::erase_if(common, [&other](const auto& pair) {
    const auto found = other.find(pair.first);
    return found == other.end() || found->second != pair.second;
  });
}

Value labels_value(const Pairs& pairs) {
  Record record;
  record.kind = Record::Kind::Labels;
  for (const auto& [name, value] : pairs) record.fields.emplace(name, Value(value));
  return Value(std::move(record));
}

Value alert_value(const AlertEvent& alert) {
  const bool firing = alert.transition == Transition::Firing;
  Record record;
  record.kind = Record::Kind::Struct;
  record.fields = {{"Status", Value(firing ? "firing" : "resolved")},
                   {"Labels", labels_value(pairs_of(alert.labels))},
                   {"Annotations", labels_value(pairs_of(alert.annotations))},
                   {"StartsAt", Value(Time{alert.starts_at_ms})},
                   {"EndsAt", Value(Time{firing ? templates::kZeroTimeMs : alert.ends_at_ms})},
                   {"GeneratorURL", Value(alert.generator_url)},
                   {"Fingerprint", Value(alertstore::fingerprint(alert.labels))}};
  return Value(std::move(record));
}

}  // namespace

Value template_data(const Notification& notification) {
  Pairs labels;
  Pairs annotations;
  List alerts;
  bool firing = false;
  for (const AlertEvent& alert : notification.alerts) {
    if (alerts.empty()) {
      labels = pairs_of(alert.labels);
      annotations = pairs_of(alert.annotations);
    }
    keep_common(labels, pairs_of(alert.labels));
    keep_common(annotations, pairs_of(alert.annotations));
    firing = firing || alert.transition == Transition::Firing;
    alerts.push_back(alert_value(alert));
  }
  Record record;
  record.kind = Record::Kind::Struct;
  record.fields = {{"Receiver", Value(notification.receiver)},
                   {"Status", Value(firing ? "firing" : "resolved")},
                   {"Alerts", Value(std::move(alerts))},
                   {"NotificationReason", Value("")},
                   {"GroupLabels", labels_value(pairs_of(notification.group_labels))},
                   {"CommonLabels", labels_value(labels)},
                   {"CommonAnnotations", labels_value(annotations)},
                   {"RouteLabels", labels_value({})},
                   {"ExternalURL", Value(notification.external_url)}};
  return Value(std::move(record));
}

}  // namespace alerting
