#include "alerting/notify/template_data.h"

#include "alerting/notify/label_pairs.h"

#include <string>

namespace alerting {

using alertstore::AlertEvent;
using alertstore::Transition;
using templates::List;
using templates::Record;
using templates::Time;
using templates::Value;

namespace {

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
  const CommonPairs common = common_pairs(notification);
  List alerts;
  bool firing = false;
  for (const AlertEvent& alert : notification.alerts) {
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
                   {"CommonLabels", labels_value(common.labels)},
                   {"CommonAnnotations", labels_value(common.annotations)},
                   {"RouteLabels", labels_value({})},
                   {"ExternalURL", Value(notification.external_url)}};
  return Value(std::move(record));
}

}  // namespace alerting
