// What a notification is for its templates
// (prometheus.io/docs/alerting/latest/notifications/#data).

#pragma once

#include "alerting/notify/notification.h"
#include "templates/value.h"

namespace alerting {

templates::Value template_data(const Notification& notification);

}  // namespace alerting
