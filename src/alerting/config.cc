#include "alerting/config.h"

#include "core/time.h"
#include "core/yaml.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <set>
#include <span>

namespace alerting {

using core::ErrorCode;
using core::Result;
using core::Yaml;

namespace {

using Keys = std::span<const std::string_view>;

constexpr std::string_view kTopBuilt[] = {"global", "route", "receivers"};
constexpr std::string_view kTopKnown[] = {"templates", "inhibit_rules", "mute_time_intervals",
                                          "time_intervals", "tracing"};
constexpr std::string_view kGlobalBuilt[] = {"resolve_timeout"};
constexpr std::string_view kGlobalKnown[] = {"http_config",
                                             "smtp_from",
                                             "smtp_hello",
                                             "smtp_smarthost",
                                             "smtp_auth_username",
                                             "smtp_auth_password",
                                             "smtp_auth_password_file",
                                             "smtp_auth_secret",
                                             "smtp_auth_secret_file",
                                             "smtp_auth_identity",
                                             "smtp_require_tls",
                                             "smtp_tls_config",
                                             "smtp_force_implicit_tls",
                                             "slack_api_url",
                                             "slack_api_url_file",
                                             "slack_app_token",
                                             "slack_app_token_file",
                                             "slack_app_url",
                                             "pagerduty_url",
                                             "opsgenie_api_url",
                                             "opsgenie_api_key",
                                             "opsgenie_api_key_file",
                                             "wechat_api_url",
                                             "wechat_api_secret",
                                             "wechat_api_secret_file",
                                             "wechat_api_corp_id",
                                             "victorops_api_url",
                                             "victorops_api_key",
                                             "victorops_api_key_file",
                                             "telegram_api_url",
                                             "telegram_bot_token",
                                             "telegram_bot_token_file",
                                             "webex_api_url",
                                             "rocketchat_api_url",
                                             "rocketchat_token",
                                             "rocketchat_token_file",
                                             "rocketchat_token_id",
                                             "rocketchat_token_id_file",
                                             "jira_api_url",
                                             "mattermost_webhook_url",
                                             "mattermost_webhook_url_file"};
constexpr std::string_view kRouteBuilt[] = {"receiver", "group_by", "group_wait", "group_interval",
                                            "repeat_interval"};
constexpr std::string_view kRouteKnown[] = {
    "routes",   "continue", "mute_time_intervals", "active_time_intervals", "matchers", "match",
    "match_re", "labels"};
constexpr std::string_view kReceiverBuilt[] = {"name", "webhook_configs"};
constexpr std::string_view kReceiverKnown[] = {
    "discord_configs",   "email_configs",      "incidentio_configs",
    "jira_configs",      "mattermost_configs", "msteams_configs",
    "msteamsv2_configs", "opsgenie_configs",   "pagerduty_configs",
    "pushover_configs",  "rocketchat_configs", "slack_configs",
    "sns_configs",       "telegram_configs",   "victorops_configs",
    "webex_configs",     "wechat_configs",     "labels"};
constexpr std::string_view kWebhookBuilt[] = {"url",        "url_file",    "send_resolved",
                                              "max_alerts", "http_config", "timeout"};
constexpr std::string_view kWebhookKnown[] = {"payload"};
constexpr std::string_view kHttpBuilt[] = {"authorization"};
constexpr std::string_view kHttpKnown[] = {"basic_auth",
                                           "oauth2",
                                           "bearer_token",
                                           "bearer_token_file",
                                           "proxy_url",
                                           "no_proxy",
                                           "proxy_from_environment",
                                           "proxy_connect_header",
                                           "follow_redirects",
                                           "enable_http2",
                                           "tls_config",
                                           "http_headers"};
constexpr std::string_view kAuthorizationBuilt[] = {"type", "credentials", "credentials_file"};

bool holds(Keys keys, std::string_view key) {
  return std::ranges::count(keys, key) > 0;
}

bool is_http_url(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.starts_with(scheme)) {
      const std::string_view rest = url.substr(scheme.size());
      return !rest.empty() && rest[0] != '/' && rest[0] != ':' &&
             rest.find_first_of(" \t\r\n") == std::string_view::npos;
    }
  }
  return false;
}

class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  Result<LoadedConfig> read(const Yaml& root) {
    TRY(mapping(root, "the configuration", kTopBuilt, kTopKnown));
    if (const Yaml* global = find(root, "global")) TRY(read_global(*global));
    const Yaml* receivers = find(root, "receivers");
    if (receivers != nullptr) TRY(read_receivers(*receivers));
    const Yaml* route = find(root, "route");
    if (route == nullptr) return fail(root, "a configuration needs a route");
    TRY(read_route(*route));
    return std::move(loaded_);
  }

 private:
  // The value of `key`, or nullptr when it is absent or null.
  static const Yaml* find(const Yaml& node, std::string_view key) {
    const Yaml* value = node.find(key);
    return value == nullptr || value->kind == Yaml::Kind::Null ? nullptr : value;
  }

  tl::unexpected<core::Error> fail(const Yaml& at, std::string_view message) const {
    return tl::unexpected(core::yaml_error(file_, at, message));
  }

  Result<void> mapping(const Yaml& node, std::string_view what, Keys built, Keys known) {
    if (node.kind != Yaml::Kind::Mapping) {
      return fail(node, fmt::format("{} must be a mapping, not {}", what, node.kind_name()));
    }
    for (const auto& [key, value] : node.members) {
      if (holds(built, key.text)) continue;
      if (!holds(known, key.text)) {
        return fail(key, fmt::format("unknown field \"{}\" in {}", key.text, what));
      }
      loaded_.unsupported.push_back(
          fmt::format("{}:{}:{}: {} in {}", file_, key.line, key.column, key.text, what));
    }
    return {};
  }

  Result<void> sequence(const Yaml& node, std::string_view what) const {
    if (node.kind == Yaml::Kind::Sequence) return {};
    return fail(node, fmt::format("{} must be a sequence, not {}", what, node.kind_name()));
  }

  // Into `out` when the key is there. The text is never put into an error: it may be secret.
  Result<bool> text(const Yaml& node, std::string_view key, std::string& out) const {
    const Yaml* value = find(node, key);
    if (value == nullptr) return false;
    if (value->kind != Yaml::Kind::Scalar) {
      return fail(*value, fmt::format("{} must be a text, not {}", key, value->kind_name()));
    }
    out = value->text;
    return true;
  }

  Result<void> duration(const Yaml& node, std::string_view key, int64_t& out, bool zero_allowed) {
    std::string value;
    if (!TRY(text(node, key, value))) return {};
    const Result<int64_t> parsed = core::parse_duration_ms(value);
    if (!parsed) return fail(*node.find(key), fmt::format("{}: {}", key, parsed.error().message));
    if (*parsed == 0 && !zero_allowed) {
      return fail(*node.find(key), fmt::format("{} cannot be zero", key));
    }
    out = *parsed;
    return {};
  }

  Result<void> boolean(const Yaml& node, std::string_view key, bool& out) const {
    std::string value;
    if (!TRY(text(node, key, value))) return {};
    if (value != "true" && value != "false") {
      return fail(*node.find(key), fmt::format("{} must be true or false", key));
    }
    out = value == "true";
    return {};
  }

  Result<void> read_global(const Yaml& node) {
    TRY(mapping(node, "global", kGlobalBuilt, kGlobalKnown));
    return duration(node, "resolve_timeout", loaded_.config.resolve_timeout_ms, false);
  }

  Result<void> read_route(const Yaml& node) {
    TRY(mapping(node, "route", kRouteBuilt, kRouteKnown));
    for (const char* key : {"matchers", "match", "match_re"}) {
      if (const Yaml* value = find(node, key)) {
        return fail(*value, "the first route takes every alert and has no matchers");
      }
    }
    Route& route = loaded_.config.route;
    if (!TRY(text(node, "receiver", route.receiver)) || route.receiver.empty()) {
      return fail(node, "the first route needs a receiver");
    }
    if (loaded_.config.find_receiver(route.receiver) == nullptr) {
      return fail(*node.find("receiver"),
                  fmt::format("receiver \"{}\" is not defined", route.receiver));
    }
    // Without a channel at all it is meant to swallow pages; with only such it is not.
    if (unreachable_.contains(route.receiver)) {
      return fail(*node.find("receiver"),
                  fmt::format("receiver \"{}\" has only channels that are not built yet, its pages "
                              "would reach nobody; give it webhook_configs",
                              route.receiver));
    }
    TRY(duration(node, "group_wait", route.group_wait_ms, true));
    TRY(duration(node, "group_interval", route.group_interval_ms, false));
    TRY(duration(node, "repeat_interval", route.repeat_interval_ms, false));
    const Yaml* group_by = find(node, "group_by");
    if (group_by == nullptr) return {};
    return read_group_by(*group_by);
  }

  Result<void> read_group_by(const Yaml& node) {
    Route& route = loaded_.config.route;
    TRY(sequence(node, "group_by"));
    for (const Yaml& item : node.items) {
      if (item.kind != Yaml::Kind::Scalar || item.text.empty()) {
        return fail(item, "group_by needs names of labels");
      }
      if (item.text == "...") {
        route.group_by_all = true;
      } else if (std::ranges::count(route.group_by, item.text) > 0) {
        return fail(item, fmt::format("label \"{}\" is repeated in group_by", item.text));
      } else {
        route.group_by.push_back(item.text);
      }
    }
    if (route.group_by_all && !route.group_by.empty()) {
      return fail(node, "\"...\" in group_by stands alone");
    }
    return {};
  }

  Result<void> read_receivers(const Yaml& node) {
    TRY(sequence(node, "receivers"));
    for (const Yaml& item : node.items) {
      TRY(mapping(item, "receiver", kReceiverBuilt, kReceiverKnown));
      Receiver receiver;
      if (!TRY(text(item, "name", receiver.name)) || receiver.name.empty()) {
        return fail(item, "a receiver needs a name");
      }
      if (loaded_.config.find_receiver(receiver.name) != nullptr) {
        return fail(*item.find("name"),
                    fmt::format("receiver \"{}\" is defined twice", receiver.name));
      }
      if (const Yaml* webhooks = find(item, "webhook_configs")) {
        TRY(sequence(*webhooks, "webhook_configs"));
        for (const Yaml& one : webhooks->items) {
          WebhookConfig webhook = TRY(read_webhook(one));
          receiver.webhooks.push_back(std::move(webhook));
        }
      }
      const bool has_unbuilt = std::ranges::any_of(item.members, [](const auto& member) {
        return member.first.text.ends_with("_configs") && holds(kReceiverKnown, member.first.text);
      });
      if (has_unbuilt && receiver.webhooks.empty()) unreachable_.insert(receiver.name);
      loaded_.config.receivers.push_back(std::move(receiver));
    }
    return {};
  }

  Result<WebhookConfig> read_webhook(const Yaml& node) {
    TRY(mapping(node, "webhook_config", kWebhookBuilt, kWebhookKnown));
    WebhookConfig webhook;
    std::string url;
    const bool has_url = TRY(text(node, "url", url));
    const bool has_file = TRY(text(node, "url_file", webhook.url_file));
    if (has_url == has_file) return fail(node, "a webhook needs either url or url_file");
    if (has_url && !is_http_url(url)) {
      return fail(*node.find("url"), "url must start with http:// or https:// and name a host");
    }
    webhook.url = Secret(std::move(url));
    if (has_file) webhook.url_file = beside_config(webhook.url_file);
    TRY(boolean(node, "send_resolved", webhook.send_resolved));
    int64_t timeout_ms = 0;
    TRY(duration(node, "timeout", timeout_ms, true));
    if (timeout_ms > 0) webhook.timeout_ms = timeout_ms;
    std::string max_alerts;
    if (TRY(text(node, "max_alerts", max_alerts))) {
      const char* end = max_alerts.data() + max_alerts.size();
      const auto [rest, code] = std::from_chars(max_alerts.data(), end, webhook.max_alerts);
      if (code != std::errc() || rest != end) {
        return fail(*node.find("max_alerts"), "max_alerts must be a number, 0 for all");
      }
    }
    if (const Yaml* http = find(node, "http_config")) TRY(read_http(*http, webhook));
    return webhook;
  }

  Result<void> read_http(const Yaml& node, WebhookConfig& webhook) {
    TRY(mapping(node, "http_config", kHttpBuilt, kHttpKnown));
    const Yaml* authorization = find(node, "authorization");
    if (authorization == nullptr) return {};
    TRY(mapping(*authorization, "authorization", kAuthorizationBuilt, {}));
    TRY(text(*authorization, "type", webhook.auth_type));
    if (webhook.auth_type.empty()) webhook.auth_type = "Bearer";
    std::string credentials;
    const bool has_text = TRY(text(*authorization, "credentials", credentials));
    const bool has_file = TRY(text(*authorization, "credentials_file", webhook.credentials_file));
    if (has_text && has_file) {
      return fail(*authorization, "authorization has credentials or credentials_file, not both");
    }
    webhook.credentials = Secret(std::move(credentials));
    if (has_file) webhook.credentials_file = beside_config(webhook.credentials_file);
    return {};
  }

  std::string beside_config(const std::string& path) const {
    const size_t slash = file_.rfind('/');
    if (path.starts_with('/') || slash == std::string_view::npos) return path;
    return std::string(file_.substr(0, slash + 1)) + path;
  }

  std::string_view file_;
  LoadedConfig loaded_;
  std::set<std::string> unreachable_;  // receivers whose every channel is not built yet
};

}  // namespace

const Receiver* Config::find_receiver(std::string_view name) const {
  for (const Receiver& receiver : receivers) {
    if (receiver.name == name) return &receiver;
  }
  return nullptr;
}

Result<LoadedConfig> load_config(std::string_view text, std::string_view file) {
  const Yaml root = TRY(core::parse_yaml(text, file));
  return Reader(file).read(root);
}

Result<Config> webhook_config(std::string_view url) {
  if (!is_http_url(url)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "a webhook address starts with http:// or https:// and names a host");
  }
  Config config;
  config.route = {.receiver = "webhook",
                  .group_by = {"alertname"},
                  .group_by_all = false,
                  .group_wait_ms = 1'000,
                  .group_interval_ms = 5'000,
                  .repeat_interval_ms = 4 * 3'600'000};
  WebhookConfig webhook;
  webhook.url = Secret(std::string(url));
  config.receivers.push_back({"webhook", {std::move(webhook)}});
  return config;
}

Config no_receivers() {
  Config config;
  config.route.receiver = "none";
  config.receivers.push_back({"none", {}});
  return config;
}

}  // namespace alerting
