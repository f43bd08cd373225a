// Labels and annotations of a message as sorted pairs, and what its alerts have in common.

#pragma once

#include "alerting/notify/notification.h"

#include <map>
#include <string>

namespace alerting {

using Pairs = std::map<std::string, std::string>;

Pairs pairs_of(model::LabelsView labels);
Pairs pairs_of(const alertstore::Annotations& annotations);

struct CommonPairs {
  Pairs labels;
  Pairs annotations;
};
// What every alert has with the same value; empty without alerts.
CommonPairs common_pairs(const Notification& notification);

}  // namespace alerting
