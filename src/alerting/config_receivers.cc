#include "alerting/config_receivers.h"

#include "alerting/config_tables.h"
#include "config/client_config_reader.h"
#include "core/text.h"
#include "templates/template_set.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <set>

namespace alerting {

using config::Source;
using config::Value;
using core::ErrorCode;
using core::Result;

namespace {

constexpr int64_t kDefaultTimeoutMs = 10'000;

// What stands in for a secret in a configuration that was shown and is read again.
constexpr std::string_view kShownSecret = "<secret>";

tl::unexpected<core::Error> bad(std::string message) {
  return tl::unexpected(core::Error{ErrorCode::InvalidArgument, std::move(message)});
}

bool is_template(std::string_view text) {
  return text.find("{{") != std::string_view::npos;
}

struct HostPort {
  std::string host;
  std::string port;
};

// Go's net.SplitHostPort, and a port there must be.
Result<HostPort> split_host_port(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos)
    return bad(fmt::format("address {}: missing port in address", text));
  std::string host = text.substr(0, colon);
  std::string port = text.substr(colon + 1);
  if (host.starts_with('[')) {
    if (!host.ends_with(']')) return bad(fmt::format("address {}: missing ']' in address", text));
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string::npos) {
    return bad(fmt::format("address {}: too many colons in address", text));
  }
  if (port.empty()) return bad(fmt::format("address \"{}\": port cannot be empty", text));
  return HostPort{std::move(host), std::move(port)};
}

// As MIME writes names of headers: "reply-to" > "Reply-To".
std::string canonical_header(std::string_view name) {
  std::string out;
  bool start = true;
  for (const char c : name) {
    const bool is_lower = c >= 'a' && c <= 'z';
    const bool is_upper = c >= 'A' && c <= 'Z';
    if (start && is_lower) {
      out += static_cast<char>(c - 'a' + 'A');
    } else if (!start && is_upper) {
      out += static_cast<char>(c - 'A' + 'a');
    } else {
      out += c;
    }
    start = c == '-';
  }
  return out;
}

// Checks one channel of a receiver.
class Channel {
 public:
  Channel(Value& value, const Value& global, const Source& source)
      : value_(value), global_(global), source_(source) {}

  Result<void> check(std::string_view kind);
  Result<WebhookConfig> webhook();
  Result<EmailConfig> email();

 private:
  const Value& at(std::string_view key) const { return value_.at(key); }
  const std::string& text(std::string_view key) const { return at(key).text; }
  bool has(std::string_view key) const { return !at(key).text.empty(); }
  bool global_has(std::string_view key) const { return !global_.at(key).text.empty(); }

  tl::unexpected<core::Error> fail(std::string_view message) const {
    return config::error_at(source_, value_, message);
  }
  tl::unexpected<core::Error> fail(const Value& where, std::string_view message) const {
    return config::error_at(source_, where, message);
  }

  Result<void> at_most_one(std::string_view a, std::string_view b) const {
    if (!has(a) || !has(b)) return {};
    return fail(at(b), fmt::format("at most one of {} & {} must be configured", a, b));
  }
  Result<void> exactly_one(std::string_view a, std::string_view b) const {
    if (!at(a).given && !has(b))
      return fail(fmt::format("one of {} or {} must be configured", a, b));
    if (!at(a).given || !has(b)) return {};
    return fail(at(b), fmt::format("at most one of {} & {} must be configured", a, b));
  }
  Result<void> url(const Value& value, bool is_secret = false) const {
    if (!value.given || (is_secret && value.text == kShownSecret)) return {};
    const Result<void> checked = check_http_url(value.text);
    if (!checked) return fail(value, fmt::format("{}: {}", value.key, checked.error().message));
    return {};
  }
  Result<void> go_duration(std::string_view key) const {
    if (!at(key).given) return {};
    const Result<int64_t> parsed = parse_go_duration_ms(text(key));
    if (!parsed) return fail(at(key), fmt::format("{}: {}", key, parsed.error().message));
    return {};
  }
  // A YAML number of nanoseconds, or a duration.
  Result<int64_t> timeout() const;

  Result<void> incidentio() const;
  Result<void> jira() const;
  Result<void> mattermost() const;
  Result<void> opsgenie() const;
  Result<void> pagerduty() const;
  Result<void> pushover() const;
  Result<void> rocketchat() const;
  Result<void> slack() const;
  Result<void> sns() const;
  Result<void> telegram() const;
  Result<void> victorops() const;
  Result<void> webex() const;
  Result<void> wechat() const;
  Result<void> teams() const {
    TRY(exactly_one("webhook_url", "webhook_url_file"));
    return url(at("webhook_url"), true);
  }
  Result<void> title_and_value(std::string_view product) const {
    for (const Value& field : at("fields").items) {
      for (const std::string_view key : {"title", "value"}) {
        if (!field.at(key).text.empty()) continue;
        return fail(field, fmt::format("missing {} in {} field configuration", key, product));
      }
    }
    return {};
  }
  bool has_authorization(const Value& http) const {
    return http.given && (http.at("authorization").given || !http.at("bearer_token").text.empty() ||
                          !http.at("bearer_token_file").text.empty());
  }

  Value& value_;
  const Value& global_;
  const Source& source_;
};

Result<int64_t> Channel::timeout() const {
  const Value& value = at("timeout");
  if (!value.given) return kDefaultTimeoutMs;
  int64_t timeout_ms = 0;
  if (const Result<double> nanoseconds = config::parse_float(value.text)) {
    timeout_ms = static_cast<int64_t>(std::ceil(*nanoseconds / 1e6));
  } else {
    const Result<int64_t> parsed = parse_go_duration_ms(value.text);
    if (!parsed) return fail(value, fmt::format("timeout: {}", parsed.error().message));
    timeout_ms = *parsed;
  }
  return timeout_ms > 0 ? timeout_ms : kDefaultTimeoutMs;
}

Result<void> Channel::incidentio() const {
  TRY(exactly_one("url", "url_file"));
  TRY(url(at("url")));
  TRY(at_most_one("alert_source_token", "alert_source_token_file"));
  TRY(timeout());
  if ((has("alert_source_token") || has("alert_source_token_file")) &&
      has_authorization(at("http_config"))) {
    return fail(
        "cannot specify alert_source_token or alert_source_token_file when using "
        "http_config.authorization");
  }
  return {};
}

Result<void> Channel::jira() const {
  TRY(url(at("api_url")));
  if (!has("project")) return fail("missing project in jira_config");
  if (!has("issue_type")) return fail("missing issue_type in jira_config");
  static constexpr std::array<std::string_view, 4> kTypes = {"", "auto", "cloud", "datacenter"};
  if (std::ranges::find(kTypes, text("api_type")) == kTypes.end()) {
    return fail(at("api_type"),
                "unknown api_type on jira_config, must be auto, cloud or datacenter");
  }
  if (!at("api_url").given && !global_has("jira_api_url")) {
    return fail("no global Jira Cloud URL set");
  }
  return {};
}

Result<void> Channel::mattermost() const {
  TRY(at_most_one("webhook_url", "webhook_url_file"));
  TRY(url(at("webhook_url"), true));
  TRY(title_and_value("Mattermost"));
  if (!at("webhook_url").given && !has("webhook_url_file") &&
      !global_has("mattermost_webhook_url") && !global_has("mattermost_webhook_url_file")) {
    return fail("missing webhook_url or webhook_url_file on mattermost_config");
  }
  return {};
}

Result<void> Channel::opsgenie() const {
  TRY(url(at("api_url")));
  TRY(at_most_one("api_key", "api_key_file"));
  for (const Value& one : at("responders").items) {
    const auto is_empty = [&one](std::string_view key) { return one.at(key).text.empty(); };
    if (is_empty("id") && is_empty("username") && is_empty("name")) {
      return fail(one, "responder has to have at least one of id, username or name specified");
    }
    const std::string type = core::lower(one.at("type").text);
    if (is_template(type)) {
      const auto parsed = templates::TemplateSet().check(one.at("type").text);
      if (!parsed) {
        return fail(one.at("type"),
                    fmt::format("responder type contains invalid template syntax: {}",
                                parsed.error().message));
      }
      continue;
    }
    static constexpr std::array<std::string_view, 5> kTypes = {"team", "teams", "user",
                                                               "escalation", "schedule"};
    if (std::ranges::find(kTypes, type) == kTypes.end()) {
      return fail(one,
                  "responder type does not match valid options: team, teams, user, escalation, "
                  "schedule");
    }
  }
  if (!at("api_url").given && !global_has("opsgenie_api_url")) {
    return fail("no global OpsGenie URL set");
  }
  if (!has("api_key") && !has("api_key_file") && !global_has("opsgenie_api_key") &&
      !global_has("opsgenie_api_key_file")) {
    return fail("no global OpsGenie API Key set either inline or in a file");
  }
  return {};
}

Result<void> Channel::pagerduty() const {
  TRY(url(at("url")));
  TRY(timeout());
  if (!has("routing_key") && !has("service_key") && !has("routing_key_file") &&
      !has("service_key_file")) {
    return fail("missing service or routing key in PagerDuty config");
  }
  TRY(at_most_one("routing_key", "routing_key_file"));
  TRY(at_most_one("service_key", "service_key_file"));
  if (!at("url").given && !global_has("pagerduty_url")) return fail("no global PagerDuty URL set");
  return {};
}

Result<void> Channel::pushover() const {
  for (const std::string_view key : {"retry", "expire", "ttl"}) TRY(go_duration(key));
  for (const auto& [key, file] :
       {std::pair{"user_key", "user_key_file"}, std::pair{"token", "token_file"}}) {
    if (!has(key) && !has(file)) {
      return fail(fmt::format("one of {} or {} must be configured", key, file));
    }
    TRY(at_most_one(key, file));
  }
  if (at("html").is_on() && at("monospace").is_on()) {
    return fail("at most one of monospace & html must be configured");
  }
  return {};
}

Result<void> Channel::rocketchat() const {
  TRY(url(at("api_url")));
  TRY(at_most_one("token", "token_file"));
  TRY(at_most_one("token_id", "token_id_file"));
  for (const auto& [key, what] : {std::pair{"token_id", "TokenID"}, std::pair{"token", "Token"}}) {
    const std::string file = fmt::format("{}_file", key);
    if (at(key).given || has(file) || global_.at(fmt::format("rocketchat_{}", key)).given ||
        global_has(fmt::format("rocketchat_{}", file))) {
      continue;
    }
    return fail(fmt::format("no global Rocketchat {} set either inline or in a file", what));
  }
  return {};
}

Result<void> Channel::slack() const {
  TRY(url(at("api_url"), true));
  TRY(url(at("app_url")));
  TRY(timeout());
  TRY(at_most_one("api_url", "api_url_file"));
  TRY(at_most_one("app_token", "app_token_file"));
  const bool has_url = at("api_url").given || has("api_url_file");
  const bool has_token = has("app_token") || has("app_token_file");
  if (has_url && has_token) {
    return fail(
        "at most one of api_url/api_url_file & app_token/app_token_file must be configured");
  }
  static constexpr std::string_view kPostMessage = "https://slack.com/api/chat.postMessage";
  if (at("update_message").is_on() && at("api_url").given && text("api_url") != kPostMessage) {
    return fail(at("update_message"),
                fmt::format("update_message can only be used with bot tokens. api_url must be set "
                            "to {}",
                            kPostMessage));
  }
  for (const Value& action : at("actions").items) {
    const auto is_empty = [&action](std::string_view key) { return action.at(key).text.empty(); };
    for (const std::string_view key : {"type", "text"}) {
      if (!is_empty(key)) continue;
      return fail(action, fmt::format("missing {} in Slack action configuration", key));
    }
    if (is_empty("url") && is_empty("name")) {
      return fail(action, "missing name or url in Slack action configuration");
    }
    const Value& confirm = action.at("confirm");
    if (confirm.given && confirm.at("text").text.empty()) {
      return fail(confirm, "missing text in Slack confirmation configuration");
    }
  }
  TRY(title_and_value("Slack"));
  const bool global_token = global_has("slack_app_token") || global_has("slack_app_token_file");
  const bool global_url = global_.at("slack_api_url").given || global_has("slack_api_url_file");
  if (!has_url && !has_token) {
    if (!global_token && !global_url) {
      return fail("no Slack API URL nor App token set either inline or in a file");
    }
    if (global_token && global_url && !global_.at("slack_app_url").given) {
      return fail(
          "at most one of slack_app_token/slack_app_token_file & "
          "slack_api_url/slack_api_url_file must be configured");
    }
  }
  const bool uses_token = has_token || (!has_url && global_token);
  const Value& http = at("http_config").given ? at("http_config") : global_.at("http_config");
  if (uses_token && has_authorization(http)) {
    return fail("http authorization can't be set when using Slack App tokens");
  }
  return {};
}

Result<void> Channel::sns() const {
  const int targets =
      (has("target_arn") ? 1 : 0) + (has("topic_arn") ? 1 : 0) + (has("phone_number") ? 1 : 0);
  // Alertmanager's own arithmetic lets all three pass.
  if (targets % 2 == 0) {
    return fail("must provide either a Target ARN, Topic ARN, or Phone Number for SNS config");
  }
  const Value& sigv4 = at("sigv4");
  if (sigv4.at("access_key").text.empty() != sigv4.at("secret_key").text.empty()) {
    return fail(
        sigv4,
        "must provide a AWS SigV4 Access key and Secret Key if credentials are specified in "
        "the SigV4 config");
  }
  return {};
}

Result<void> Channel::telegram() const {
  TRY(url(at("api_url")));
  TRY(at_most_one("bot_token", "bot_token_file"));
  if (at("chat_id").number == 0 && !has("chat_id_file")) {
    return fail("missing chat_id or chat_id_file on telegram_config");
  }
  if (at("chat_id").number != 0 && has("chat_id_file")) {
    return fail("at most one of chat_id & chat_id_file must be configured");
  }
  static constexpr std::array<std::string_view, 4> kModes = {"", "Markdown", "MarkdownV2", "HTML"};
  if (std::ranges::find(kModes, text("parse_mode")) == kModes.end()) {
    return fail(at("parse_mode"),
                "unknown parse_mode on telegram_config, must be Markdown, MarkdownV2, HTML or "
                "empty string");
  }
  if (!has("bot_token") && !has("bot_token_file") && !global_has("telegram_bot_token") &&
      !global_has("telegram_bot_token_file")) {
    return fail("missing bot_token or bot_token_file on telegram_config");
  }
  return {};
}

Result<void> Channel::victorops() const {
  TRY(url(at("api_url")));
  if (!has("routing_key")) return fail("missing Routing key in VictorOps config");
  TRY(at_most_one("api_key", "api_key_file"));
  static constexpr std::array<std::string_view, 7> kReserved = {
      "routing_key",     "message_type", "state_message", "entity_display_name",
      "monitoring_tool", "entity_id",    "entity_state"};
  for (const Value& field : at("custom_fields").items) {
    if (std::ranges::find(kReserved, field.key) == kReserved.end()) continue;
    return fail(field, fmt::format("victorOps config contains custom field {} which cannot be used "
                                   "as it conflicts with the fixed/static fields",
                                   field.key));
  }
  if (!at("api_url").given && !global_has("victorops_api_url")) {
    return fail("no global VictorOps URL set");
  }
  if (!has("api_key") && !has("api_key_file") && !global_has("victorops_api_key") &&
      !global_has("victorops_api_key_file")) {
    return fail("no global VictorOps API Key set");
  }
  return {};
}

Result<void> Channel::webex() const {
  TRY(url(at("api_url")));
  if (!has("room_id")) return fail("missing room_id on webex_config");
  if (!has_authorization(at("http_config"))) {
    return fail("missing webex_configs.http_config.authorization");
  }
  if (!at("api_url").given && !global_has("webex_api_url")) return fail("no global Webex URL set");
  return {};
}

Result<void> Channel::wechat() const {
  TRY(url(at("api_url")));
  TRY(at_most_one("api_secret", "api_secret_file"));
  const std::string& type = text("message_type");
  if (!type.empty() && type != "text" && type != "markdown") {
    return fail(at("message_type"),
                fmt::format("weChat message type \"{}\" does not match valid options: text, "
                            "markdown",
                            type));
  }
  if (!at("api_url").given && !global_has("wechat_api_url")) {
    return fail("no global Wechat URL set");
  }
  if (!has("api_secret") && !has("api_secret_file") && !global_has("wechat_api_secret") &&
      !global_has("wechat_api_secret_file")) {
    return fail("no global Wechat Api Secret set either inline or in a file");
  }
  if (!has("corp_id") && !global_has("wechat_api_corp_id")) {
    return fail("no global Wechat CorpID set");
  }
  return {};
}

Result<void> Channel::check(std::string_view kind) {
  if (!value_.given) return fail(fmt::format("missing {} config", kind));
  const auto http = std::ranges::find(value_.items, "http_config",
                                      [](const Value& v) -> std::string_view { return v.key; });
  if (kind != "webhook" && http != value_.items.end() && http->given) {
    Value copy = *http;
    TRY(config::take_client_config(copy, source_));
  }
  if (kind == "discord" || kind == "msteams" || kind == "msteamsv2") return teams();
  if (kind == "incidentio") return incidentio();
  if (kind == "jira") return jira();
  if (kind == "mattermost") return mattermost();
  if (kind == "opsgenie") return opsgenie();
  if (kind == "pagerduty") return pagerduty();
  if (kind == "pushover") return pushover();
  if (kind == "rocketchat") return rocketchat();
  if (kind == "slack") return slack();
  if (kind == "sns") return sns();
  if (kind == "telegram") return telegram();
  if (kind == "victorops") return victorops();
  if (kind == "webex") return webex();
  if (kind == "wechat") return wechat();
  return {};
}

Result<WebhookConfig> Channel::webhook() {
  const bool has_url = has("url");
  if (!has_url && !has("url_file")) return fail("one of url or url_file must be configured");
  TRY(at_most_one("url", "url_file"));
  WebhookConfig webhook;
  if (has_url && is_template(text("url"))) {
    const auto parsed = templates::TemplateSet().check(text("url"));
    if (!parsed) {
      return fail(at("url"),
                  fmt::format("url: invalid template syntax: {}", parsed.error().message));
    }
  } else {
    TRY(url(at("url"), true));
  }
  webhook.url = core::Secret(text("url"));
  webhook.url_file = text("url_file");
  webhook.send_resolved = at("send_resolved").is_on();
  webhook.max_alerts = static_cast<uint64_t>(at("max_alerts").number);
  webhook.timeout_ms = TRY(timeout());
  Value http = at("http_config").given ? at("http_config") : global_.at("http_config");
  webhook.http = TRY(config::take_client_config(http, source_));
  return webhook;
}

Result<EmailConfig> Channel::email() {
  EmailConfig email;
  if (!has("to")) return fail("missing to address in email config");
  email.to = text("to");
  std::set<std::string> names;
  for (const Value& header : at("headers").items) {
    std::string name = canonical_header(header.key);
    if (!names.insert(name).second) {
      return fail(header, fmt::format("duplicate header \"{}\" in email config", name));
    }
    email.headers.emplace_back(std::move(name), header.text);
  }
  const Value& threading = at("threading");
  email.threading = threading.at("enabled").is_on();
  const std::string& by_date = threading.at("thread_by_date").text;
  if (email.threading && by_date != "none" && by_date != "daily") {
    return fail(threading, "threading.thread_by_date must be either 'none' or 'daily'");
  }
  email.thread_by_date = by_date == "daily";

  // What is left out is what `global` says.
  const auto own_or_global = [this](std::string_view key) -> const std::string& {
    return has(key) ? text(key) : global_.at(fmt::format("smtp_{}", key)).text;
  };
  const Value& smarthost = has("smarthost") ? at("smarthost") : global_.at("smtp_smarthost");
  if (smarthost.text.empty()) return fail("no global SMTP smarthost set");
  const Result<HostPort> address = split_host_port(smarthost.text);
  if (!address) return fail(smarthost, address.error().message);
  email.host = address->host;
  email.port = address->port;
  email.from = own_or_global("from");
  if (email.from.empty()) return fail("no global SMTP from set");
  email.hello = own_or_global("hello");
  email.auth_username = own_or_global("auth_username");
  email.auth_identity = own_or_global("auth_identity");
  const auto source_of = [this](std::string_view key) -> core::SecretSource {
    const std::string file = fmt::format("{}_file", key);
    if (has(key) || has(file)) return {core::Secret(text(key)), text(file)};
    return {core::Secret(global_.at(fmt::format("smtp_{}", key)).text),
            global_.at(fmt::format("smtp_{}", file)).text};
  };
  email.auth_password = source_of("auth_password");
  email.auth_secret = source_of("auth_secret");
  const auto flag_of = [this](std::string_view key) -> const Value& {
    return at(key).given ? at(key) : global_.at(fmt::format("smtp_{}", key));
  };
  email.require_tls = flag_of("require_tls").is_on();
  if (const Value& implicit = flag_of("force_implicit_tls"); implicit.given) {
    email.implicit_tls = implicit.is_on();
  }
  const Value& tls = flag_of("tls_config");
  if (tls.given) email.tls = TRY(config::take_tls_config(tls, source_));
  email.send_resolved = at("send_resolved").is_on();
  if (at("html").given) email.html = text("html");
  if (at("text").given) email.text = text("text");
  return email;
}

}  // namespace

Result<void> check_http_url(std::string_view url) {
  const std::string scheme = config::url_parts(url).scheme;
  if (const Result<void> checked = config::check_url(url); !checked) {
    // The reason only: in front of it stands the URL.
    const std::string& message = checked.error().message;
    const size_t reason = message.rfind(" is not a URL: ");
    return bad(fmt::format("not a URL: {}",
                           reason == std::string::npos ? "" : message.substr(reason + 15)));
  }
  if (scheme != "http" && scheme != "https") {
    return bad("a URL must start with http:// or https://");
  }
  if (config::url_parts(url).host.empty()) return bad("missing host in the URL");
  return {};
}

Result<int64_t> parse_go_duration_ms(std::string_view text) {
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return 0;
  const auto refuse = [text] {
    return bad(
        fmt::format("\"{}\" is not a duration, expected a number with a unit such as 10s or "
                    "1m30s",
                    text));
  };
  if (rest.empty()) return refuse();
  double total_ms = 0;
  while (!rest.empty()) {
    double number = 0;
    const char* const end = rest.data() + rest.size();
    const auto [at, error] = std::from_chars(rest.data(), end, number, std::chars_format::fixed);
    if (error != std::errc() || rest[0] == '-' || !std::isfinite(number)) return refuse();
    rest.remove_prefix(static_cast<size_t>(at - rest.data()));
    static constexpr std::pair<std::string_view, double> kUnits[] = {
        {"ns", 1e-6}, {"us", 1e-3}, {"µs", 1e-3},  {"μs", 1e-3},
        {"ms", 1},    {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};
    const auto unit = std::ranges::find_if(
        kUnits, [rest](const auto& one) { return rest.starts_with(one.first); });
    if (unit == std::end(kUnits)) return refuse();
    rest.remove_prefix(unit->first.size());
    total_ms += number * unit->second;
  }
  if (total_ms > 9e15) return refuse();
  const auto rounded = static_cast<int64_t>(std::ceil(total_ms));
  return negative ? -rounded : rounded;
}

Result<void> check_global(Value& global, const Source& source) {
  static constexpr std::pair<std::string_view, std::string_view> kPairs[] = {
      {"slack_api_url", "slack_api_url_file"},
      {"slack_app_token", "slack_app_token_file"},
      {"opsgenie_api_key", "opsgenie_api_key_file"},
      {"victorops_api_key", "victorops_api_key_file"},
      {"smtp_auth_password", "smtp_auth_password_file"},
      {"smtp_auth_secret", "smtp_auth_secret_file"},
      {"rocketchat_token", "rocketchat_token_file"},
      {"rocketchat_token_id", "rocketchat_token_id_file"},
      {"wechat_api_secret", "wechat_api_secret_file"},
      {"telegram_bot_token", "telegram_bot_token_file"},
      {"mattermost_webhook_url", "mattermost_webhook_url_file"}};
  for (const auto& [key, file] : kPairs) {
    if (global.at(key).text.empty() || global.at(file).text.empty()) continue;
    return config::error_at(source, global.at(file),
                            fmt::format("at most one of {} & {} must be configured", key, file));
  }
  static constexpr std::string_view kUrls[] = {
      "jira_api_url",       "mattermost_webhook_url", "opsgenie_api_url", "pagerduty_url",
      "rocketchat_api_url", "slack_api_url",          "slack_app_url",    "telegram_api_url",
      "victorops_api_url",  "webex_api_url",          "wechat_api_url"};
  for (const std::string_view key : kUrls) {
    const Value& value = global.at(key);
    const bool is_secret = value.type == config::Type::Secret;
    if (!value.given || (is_secret && value.text == kShownSecret)) continue;
    if (const Result<void> checked = check_http_url(value.text); !checked) {
      return config::error_at(source, value, fmt::format("{}: {}", key, checked.error().message));
    }
  }
  const bool token =
      !global.at("slack_app_token").text.empty() || !global.at("slack_app_token_file").text.empty();
  const bool url =
      global.at("slack_api_url").given || !global.at("slack_api_url_file").text.empty();
  if (token && url && !global.at("slack_app_url").given) {
    return config::error_at(source, global,
                            "at most one of slack_app_token/slack_app_token_file & "
                            "slack_api_url/slack_api_url_file must be configured");
  }
  const Value& smarthost = global.at("smtp_smarthost");
  if (!smarthost.text.empty()) {
    const Result<HostPort> address = split_host_port(smarthost.text);
    if (!address) return config::error_at(source, smarthost, address.error().message);
  }
  Value http = global.at("http_config");
  if (http.given) TRY(config::take_client_config(http, source));
  const Value& tls = global.at("smtp_tls_config");
  if (tls.given) TRY(config::take_tls_config(tls, source));
  return {};
}

Result<Receiver> take_receiver(Value& value, const Value& global, const Source& source) {
  Receiver receiver;
  receiver.name = value.at("name").text;
  if (receiver.name.empty()) return config::error_at(source, value, "missing name in receiver");
  // NUL ends the name in keys of the alert store.
  if (receiver.name.find('\0') != std::string::npos) {
    return config::error_at(source, value.at("name"), "a receiver's name cannot hold a NUL");
  }
  for (const ChannelKind& kind : channel_kinds()) {
    for (Value& item : value.at(kind.list).items) {
      Channel channel(item, global, source);
      TRY(channel.check(kind.name));
      if (kind.name == "webhook") {
        receiver.webhooks.push_back(TRY(channel.webhook()));
        // Sent to the wrong place, or without its token, it would be lost.
        std::string_view unbuilt;
        if (is_template(item.at("url").text)) unbuilt = "a template in the url";
        if (receiver.webhooks.back().http.oauth2) unbuilt = "oauth2";
        if (unbuilt.empty()) continue;
        receiver.webhooks.pop_back();
        if (source.unsupported != nullptr) {
          source.unsupported->push_back(fmt::format("{} of a webhook of receiver \"{}\" ({}:{}:{})",
                                                    unbuilt, receiver.name, source.file, item.line,
                                                    item.column));
        }
      } else if (kind.name == "email") {
        receiver.emails.push_back(TRY(channel.email()));
      }
    }
  }
  return receiver;
}

}  // namespace alerting
