// Every key of Alertmanager's configuration file
// (prometheus.io/docs/alerting/latest/configuration/), as tables for config::read_mapping.

#pragma once

#include "config/schema.h"

#include <span>
#include <string_view>

namespace alerting {

extern const config::Table kFileTable;
extern const config::Table kRouteTable;

// What a receiver can send through. `list` is its key in a receiver.
struct ChannelKind {
  std::string_view name;  // "slack"
  std::string_view list;  // "slack_configs"
  bool built = false;
};
std::span<const ChannelKind> channel_kinds();

}  // namespace alerting
