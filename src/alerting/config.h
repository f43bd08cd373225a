// What alerting does with alerts: where pages go and how they are grouped. Read from
// an Alertmanager configuration file, or made from one webhook address.

#pragma once

#include "alerting/route.h"
#include "core/result.h"
#include "core/secret.h"
#include "net/client_config.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace templates {
class TemplateSet;
}

namespace alerting {

struct WebhookConfig {
  core::Secret url;      // may hold a token
  std::string url_file;  // instead of url; read before every send
  bool send_resolved = true;
  uint64_t max_alerts = 0;  // alerts in one message; 0: all
  int64_t timeout_ms = 10'000;
  net::ClientConfig http;
};

// Texts in `to`, `from`, `headers`, `html` and `text` are templates.
struct EmailConfig {
  bool send_resolved = false;
  std::string to;
  std::string from;
  std::string host;
  std::string port;
  std::string hello = "localhost";
  std::string auth_username;
  std::string auth_identity;
  core::SecretSource auth_password;  // AUTH PLAIN and LOGIN
  core::SecretSource auth_secret;    // AUTH CRAM-MD5
  bool require_tls = true;
  std::optional<bool> implicit_tls;  // not said: on port 465
  net::TlsConfig tls;
  std::vector<std::pair<std::string, std::string>> headers;  // names as in "Reply-To"
  std::string html = R"({{ template "email.default.html" . }})";
  // Beside the page, for those who read no HTML; Alertmanager has none unless it is told.
  std::string text = R"({{ template "email.default.text" . }})";
  // Messages of one group form a thread in mail programs, a new one each day if asked to.
  bool threading = false;
  bool thread_by_date = false;
};

struct Receiver {
  std::string name;
  std::vector<WebhookConfig> webhooks;
  std::vector<EmailConfig> emails;

  bool sends() const { return !webhooks.empty() || !emails.empty(); }
};

struct Config {
  Route route;
  std::vector<Receiver> receivers;
  int64_t resolve_timeout_ms = 5 * 60'000;
  // The default ones, and those of the files that `templates` names; null: the default.
  std::shared_ptr<const templates::TemplateSet> templates;

  const Receiver* find_receiver(std::string_view name) const;
};

struct LoadedConfig {
  Config config;
  // What Alertmanager knows and Petrel does not act on yet, each with its place.
  std::vector<std::string> unsupported;
  // Receivers that routes lead to and that have no channel that is built: their pages
  // would reach nobody. load_config() refuses such a file.
  std::vector<std::string> unreachable;
};

using ReadFile = std::function<core::Result<std::string>(const std::string& path)>;

// `file` names the source in errors ("alertmanager.yml:7:3: ...") and is where relative
// paths start. Accepts what Alertmanager accepts. `read_file` reads template files;
// empty: from the disk.
core::Result<LoadedConfig> read_config(std::string_view text, std::string_view file,
                                       const ReadFile& read_file = {});
// The same, for use: an error if anything is unreachable.
core::Result<LoadedConfig> load_config(std::string_view text, std::string_view file,
                                       const ReadFile& read_file = {});

// --alerting.webhook-url: one receiver, pages within a second.
core::Result<Config> webhook_config(std::string_view url);

// No receiver that would send anything: alerts are tracked and shown only.
Config no_receivers();

}  // namespace alerting
