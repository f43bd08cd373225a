// What alerting does with alerts: where pages go and how they are grouped. Read from
// an Alertmanager configuration file, or made from one webhook address.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace alerting {

// A value that must not be shown. Copied, compared and used; never printed.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string value_;
};

struct WebhookConfig {
  Secret url;            // may hold a token
  std::string url_file;  // instead of url; read before every send
  bool send_resolved = true;
  uint64_t max_alerts = 0;  // alerts in one message; 0: all
  int64_t timeout_ms = 10'000;
  std::string auth_type = "Bearer";
  Secret credentials;            // empty: no Authorization header
  std::string credentials_file;  // read before every send, so that a rotated token is used
};

struct Receiver {
  std::string name;
  std::vector<WebhookConfig> webhooks;
};

struct Route {
  std::string receiver;
  std::vector<std::string> group_by;
  bool group_by_all = false;  // group_by: ['...']
  int64_t group_wait_ms = 30'000;
  int64_t group_interval_ms = 5 * 60'000;
  int64_t repeat_interval_ms = 4 * 3'600'000;
};

struct Config {
  Route route;
  std::vector<Receiver> receivers;
  int64_t resolve_timeout_ms = 5 * 60'000;

  const Receiver* find_receiver(std::string_view name) const;
};

struct LoadedConfig {
  Config config;
  // Keys that Alertmanager knows and Petrel does not act on yet, each with its place.
  std::vector<std::string> unsupported;
};

// `file` names the source in errors ("alertmanager.yml:7:3: ...") and is the folder
// that credentials_file is relative to.
core::Result<LoadedConfig> load_config(std::string_view text, std::string_view file);

// --alerting.webhook-url: one receiver, pages within a second.
core::Result<Config> webhook_config(std::string_view url);

// No receiver that would send anything: alerts are tracked and shown only.
Config no_receivers();

}  // namespace alerting
