#include "alerting/config_tables.h"

#include "config/client_config_reader.h"

namespace alerting {

using config::Field;
using config::kNotBuilt;
using config::kPath;
using config::Table;
using config::Type;

namespace {

constexpr Field text(std::string_view key, uint32_t flags = 0) {
  return {.key = key, .type = Type::Text, .flags = flags};
}
constexpr Field secret(std::string_view key, uint32_t flags = 0) {
  return {.key = key, .type = Type::Secret, .flags = flags};
}
constexpr Field file(std::string_view key, uint32_t flags = 0) {
  return {.key = key, .type = Type::Text, .flags = flags | kPath};
}
constexpr Field flag(std::string_view key, std::string_view preset = "", uint32_t flags = 0) {
  return {.key = key, .type = Type::Bool, .flags = flags, .preset = preset};
}
constexpr Field number(std::string_view key, Type type) {
  return {.key = key, .type = type};
}
constexpr Field texts(std::string_view key, uint32_t flags = 0) {
  return {.key = key, .type = Type::List, .flags = flags, .element = Type::Text};
}
constexpr Field pairs(std::string_view key, uint32_t flags = 0) {
  return {.key = key, .type = Type::Map, .flags = flags, .element = Type::Text};
}
constexpr Field one(std::string_view key, const Table& table, uint32_t flags = 0) {
  return {.key = key, .type = Type::Mapping, .flags = flags | config::kOptional, .table = &table};
}
constexpr Field many(std::string_view key, const Table& table, uint32_t flags = 0) {
  return {
      .key = key, .type = Type::List, .flags = flags, .element = Type::Mapping, .table = &table};
}
constexpr Field send_resolved(bool preset) {
  return flag("send_resolved", preset ? "true" : "false");
}

// Taken apart by config::take_client_config once the whole is read.
extern const Table kHttpTable;
constexpr Field http(uint32_t flags = 0) {
  return one("http_config", kHttpTable, flags);
}

constexpr auto kHttpFields = config::client_fields();
const Table kHttpTable = {"http_config", kHttpFields};

constexpr Field kDiscord[] = {send_resolved(true),      http(),           secret("webhook_url"),
                              file("webhook_url_file"), text("content"),  text("title"),
                              text("message"),          text("username"), text("avatar_url")};
const Table kDiscordTable = {"discord_config", kDiscord};

constexpr Field kThreading[] = {flag("enabled"), text("thread_by_date")};
const Table kThreadingTable = {"threading", kThreading};
const Field kEmail[] = {send_resolved(false),
                        text("to"),
                        text("from"),
                        text("hello"),
                        text("smarthost"),
                        text("auth_username"),
                        secret("auth_password"),
                        file("auth_password_file"),
                        secret("auth_secret"),
                        file("auth_secret_file"),
                        text("auth_identity"),
                        pairs("headers"),
                        text("html"),
                        text("text"),
                        flag("require_tls"),
                        flag("force_implicit_tls"),
                        one("tls_config", config::kTlsTable),
                        one("threading", kThreadingTable)};
const Table kEmailTable = {"email_config", kEmail};

constexpr Field kIncidentio[] = {send_resolved(true),
                                 http(),
                                 text("url"),
                                 file("url_file"),
                                 secret("alert_source_token"),
                                 file("alert_source_token_file"),
                                 number("max_alerts", Type::Uint),
                                 text("timeout")};
const Table kIncidentioTable = {"incidentio_config", kIncidentio};

constexpr Field kJira[] = {send_resolved(true),
                           http(),
                           text("api_url"),
                           text("api_type"),
                           text("project"),
                           text("summary"),
                           text("description"),
                           texts("labels"),
                           text("priority"),
                           text("issue_type"),
                           text("reopen_transition"),
                           text("resolve_transition"),
                           text("wont_fix_resolution"),
                           number("reopen_duration", Type::Duration),
                           text("fields")};
const Table kJiraTable = {"jira_config", kJira};

constexpr Field kShortField[] = {text("title"), text("value"), flag("short")};
const Table kFieldTable = {"field", kShortField};
constexpr Field kMattermostAttachment[] = {text("fallback"),    text("color"),
                                           text("pretext"),     text("text"),
                                           text("author_name"), text("author_link"),
                                           text("author_icon"), text("title"),
                                           text("title_link"),  many("fields", kFieldTable),
                                           text("thumb_url"),   text("footer"),
                                           text("footer_icon"), text("image_url")};
const Table kMattermostAttachmentTable = {"attachment", kMattermostAttachment};
constexpr Field kMattermostProps[] = {text("card")};
const Table kMattermostPropsTable = {"props", kMattermostProps};
constexpr Field kMattermostPriority[] = {text("priority"), flag("requested_ack"),
                                         flag("persistent_notifications")};
const Table kMattermostPriorityTable = {"priority", kMattermostPriority};
constexpr Field kMattermost[] = {send_resolved(true),
                                 http(),
                                 secret("webhook_url"),
                                 file("webhook_url_file"),
                                 text("channel"),
                                 text("username"),
                                 text("text"),
                                 text("icon_url"),
                                 text("icon_emoji"),
                                 many("attachments", kMattermostAttachmentTable),
                                 text("type"),
                                 one("props", kMattermostPropsTable),
                                 one("priority", kMattermostPriorityTable),
                                 text("fallback"),
                                 text("color"),
                                 text("pretext"),
                                 text("author_name"),
                                 text("author_link"),
                                 text("author_icon"),
                                 text("title"),
                                 text("title_link"),
                                 many("fields", kFieldTable),
                                 text("thumb_url"),
                                 text("footer"),
                                 text("footer_icon"),
                                 text("image_url")};
const Table kMattermostTable = {"mattermost_config", kMattermost};

constexpr Field kMsteams[] = {
    send_resolved(true), http(),          secret("webhook_url"), file("webhook_url_file"),
    text("title"),       text("summary"), text("text")};
const Table kMsteamsTable = {"msteams_config", kMsteams};
constexpr Field kMsteamsV2[] = {send_resolved(true),      http(),        secret("webhook_url"),
                                file("webhook_url_file"), text("title"), text("text")};
const Table kMsteamsV2Table = {"msteamsv2_config", kMsteamsV2};

constexpr Field kResponder[] = {text("id"), text("name"), text("username"), text("type")};
const Table kResponderTable = {"responder", kResponder};
constexpr Field kOpsgenie[] = {send_resolved(true),
                               http(),
                               secret("api_key"),
                               file("api_key_file"),
                               text("api_url"),
                               text("message"),
                               text("description"),
                               text("source"),
                               pairs("details"),
                               text("entity"),
                               many("responders", kResponderTable),
                               text("actions"),
                               text("tags"),
                               text("note"),
                               text("priority"),
                               flag("update_alerts")};
const Table kOpsgenieTable = {"opsgenie_config", kOpsgenie};

constexpr Field kImage[] = {text("src"), text("alt"), text("href")};
const Table kImageTable = {"image", kImage};
constexpr Field kLink[] = {text("href"), text("text")};
const Table kLinkTable = {"link", kLink};
constexpr Field kPagerduty[] = {send_resolved(true),
                                http(),
                                secret("service_key"),
                                file("service_key_file"),
                                secret("routing_key"),
                                file("routing_key_file"),
                                text("url"),
                                text("client"),
                                text("client_url"),
                                text("description"),
                                text("details"),
                                many("images", kImageTable),
                                many("links", kLinkTable),
                                text("source"),
                                text("severity"),
                                text("class"),
                                text("component"),
                                text("group"),
                                text("timeout")};
const Table kPagerdutyTable = {"pagerduty_config", kPagerduty};

constexpr Field kPushover[] = {send_resolved(true),   http(),          secret("user_key"),
                               file("user_key_file"), secret("token"), file("token_file"),
                               text("title"),         text("message"), text("url"),
                               text("url_title"),     text("device"),  text("sound"),
                               text("priority"),      text("retry"),   text("expire"),
                               text("ttl"),           flag("html"),    flag("monospace")};
const Table kPushoverTable = {"pushover_config", kPushover};

constexpr Field kRocketchatAction[] = {text("type"), text("text"), text("url")};
const Table kRocketchatActionTable = {"action", kRocketchatAction};
constexpr Field kRocketchat[] = {send_resolved(false),
                                 http(),
                                 text("api_url"),
                                 secret("token_id"),
                                 file("token_id_file"),
                                 secret("token"),
                                 file("token_file"),
                                 text("channel"),
                                 text("color"),
                                 text("title"),
                                 text("title_link"),
                                 text("text"),
                                 many("fields", kFieldTable),
                                 flag("short_fields"),
                                 text("emoji"),
                                 text("icon_url"),
                                 text("image_url"),
                                 text("thumb_url"),
                                 flag("link_names"),
                                 many("actions", kRocketchatActionTable)};
const Table kRocketchatTable = {"rocketchat_config", kRocketchat};

constexpr Field kConfirm[] = {text("text"), text("title"), text("ok_text"), text("dismiss_text")};
const Table kConfirmTable = {"confirm", kConfirm};
constexpr Field kSlackAction[] = {text("type"),
                                  text("text"),
                                  text("url"),
                                  text("style"),
                                  text("name"),
                                  text("value"),
                                  one("confirm", kConfirmTable)};
const Table kSlackActionTable = {"action", kSlackAction};
constexpr Field kSlack[] = {send_resolved(false),
                            http(),
                            secret("api_url"),
                            file("api_url_file"),
                            secret("app_token"),
                            file("app_token_file"),
                            text("app_url"),
                            text("channel"),
                            text("username"),
                            text("color"),
                            text("title"),
                            text("title_link"),
                            text("pretext"),
                            text("text"),
                            text("message_text"),
                            many("fields", kFieldTable),
                            flag("short_fields"),
                            text("footer"),
                            text("fallback"),
                            text("callback_id"),
                            text("icon_emoji"),
                            text("icon_url"),
                            text("image_url"),
                            text("thumb_url"),
                            flag("link_names"),
                            texts("mrkdwn_in"),
                            many("actions", kSlackActionTable),
                            flag("update_message"),
                            text("timeout")};
const Table kSlackTable = {"slack_config", kSlack};

constexpr Field kSigv4[] = {
    text("region"),   text("access_key"),  secret("secret_key"), text("profile"),
    text("role_arn"), text("external_id"), text("service_name"), flag("use_fips_sts_endpoint")};
const Table kSigv4Table = {"sigv4", kSigv4};
constexpr Field kSns[] = {send_resolved(true),
                          http(),
                          text("api_url"),
                          one("sigv4", kSigv4Table),
                          text("topic_arn"),
                          text("phone_number"),
                          text("target_arn"),
                          text("subject"),
                          text("message"),
                          pairs("attributes"),
                          flag("use_aws_http_client")};
const Table kSnsTable = {"sns_config", kSns};

constexpr Field kTelegram[] = {send_resolved(true),    http(),
                               text("api_url"),        secret("bot_token"),
                               file("bot_token_file"), number("chat_id", Type::Int),
                               file("chat_id_file"),   number("message_thread_id", Type::Int),
                               text("message"),        flag("disable_notifications"),
                               text("parse_mode")};
const Table kTelegramTable = {"telegram_config", kTelegram};

constexpr Field kVictorops[] = {send_resolved(true),
                                http(),
                                secret("api_key"),
                                file("api_key_file"),
                                text("api_url"),
                                text("routing_key"),
                                text("message_type"),
                                text("state_message"),
                                text("entity_display_name"),
                                text("monitoring_tool"),
                                pairs("custom_fields")};
const Table kVictoropsTable = {"victorops_config", kVictorops};

constexpr Field kWebex[] = {send_resolved(true), http(), text("api_url"), text("message"),
                            text("room_id")};
const Table kWebexTable = {"webex_config", kWebex};

constexpr Field kWebhook[] = {send_resolved(true),
                              http(),
                              secret("url"),
                              file("url_file"),
                              number("max_alerts", Type::Uint),
                              text("timeout"),
                              text("payload", kNotBuilt)};
const Table kWebhookTable = {"webhook_config", kWebhook};

constexpr Field kWechat[] = {send_resolved(false),    http(),           secret("api_secret"),
                             file("api_secret_file"), text("corp_id"),  text("message"),
                             text("api_url"),         text("to_user"),  text("to_party"),
                             text("to_tag"),          text("agent_id"), text("message_type")};
const Table kWechatTable = {"wechat_config", kWechat};

const Field kReceiver[] = {text("name"),
                           pairs("labels", kNotBuilt),
                           many("discord_configs", kDiscordTable),
                           many("email_configs", kEmailTable),
                           many("incidentio_configs", kIncidentioTable),
                           many("jira_configs", kJiraTable),
                           many("mattermost_configs", kMattermostTable),
                           many("msteams_configs", kMsteamsTable),
                           many("msteamsv2_configs", kMsteamsV2Table),
                           many("opsgenie_configs", kOpsgenieTable),
                           many("pagerduty_configs", kPagerdutyTable),
                           many("pushover_configs", kPushoverTable),
                           many("rocketchat_configs", kRocketchatTable),
                           many("slack_configs", kSlackTable),
                           many("sns_configs", kSnsTable),
                           many("telegram_configs", kTelegramTable),
                           many("victorops_configs", kVictoropsTable),
                           many("webex_configs", kWebexTable),
                           many("webhook_configs", kWebhookTable),
                           many("wechat_configs", kWechatTable)};
const Table kReceiverTable = {"receiver", kReceiver};

const Field kGlobal[] = {
    {.key = "resolve_timeout", .type = Type::Duration, .preset = "5m"},
    http(),
    text("smtp_from"),
    {.key = "smtp_hello", .preset = "localhost"},
    text("smtp_smarthost"),
    text("smtp_auth_username"),
    secret("smtp_auth_password"),
    file("smtp_auth_password_file"),
    secret("smtp_auth_secret"),
    file("smtp_auth_secret_file"),
    text("smtp_auth_identity"),
    flag("smtp_require_tls", "true"),
    flag("smtp_force_implicit_tls"),
    one("smtp_tls_config", config::kTlsTable),
    text("jira_api_url", kNotBuilt),
    secret("mattermost_webhook_url", kNotBuilt),
    file("mattermost_webhook_url_file", kNotBuilt),
    {.key = "opsgenie_api_url", .flags = kNotBuilt, .preset = "https://api.opsgenie.com/"},
    secret("opsgenie_api_key", kNotBuilt),
    file("opsgenie_api_key_file", kNotBuilt),
    {.key = "pagerduty_url",
     .flags = kNotBuilt,
     .preset = "https://events.pagerduty.com/v2/enqueue"},
    {.key = "rocketchat_api_url", .flags = kNotBuilt, .preset = "https://open.rocket.chat/"},
    secret("rocketchat_token", kNotBuilt),
    file("rocketchat_token_file", kNotBuilt),
    secret("rocketchat_token_id", kNotBuilt),
    file("rocketchat_token_id_file", kNotBuilt),
    secret("slack_api_url", kNotBuilt),
    file("slack_api_url_file", kNotBuilt),
    secret("slack_app_token", kNotBuilt),
    file("slack_app_token_file", kNotBuilt),
    {.key = "slack_app_url",
     .flags = kNotBuilt,
     .preset = "https://slack.com/api/chat.postMessage"},
    {.key = "telegram_api_url", .flags = kNotBuilt, .preset = "https://api.telegram.org"},
    secret("telegram_bot_token", kNotBuilt),
    file("telegram_bot_token_file", kNotBuilt),
    {.key = "victorops_api_url",
     .flags = kNotBuilt,
     .preset = "https://alert.victorops.com/integrations/generic/20131114/alert/"},
    secret("victorops_api_key", kNotBuilt),
    file("victorops_api_key_file", kNotBuilt),
    {.key = "webex_api_url", .flags = kNotBuilt, .preset = "https://webexapis.com/v1/messages"},
    {.key = "wechat_api_url", .flags = kNotBuilt, .preset = "https://qyapi.weixin.qq.com/cgi-bin/"},
    secret("wechat_api_secret", kNotBuilt),
    file("wechat_api_secret_file", kNotBuilt),
    text("wechat_api_corp_id", kNotBuilt)};
const Table kGlobalTable = {"global", kGlobal};

const Field kRoute[] = {text("receiver"),
                        texts("group_by"),
                        {.key = "group_wait", .type = Type::Duration},
                        {.key = "group_interval", .type = Type::Duration},
                        {.key = "repeat_interval", .type = Type::Duration},
                        pairs("match"),
                        pairs("match_re"),
                        texts("matchers"),
                        flag("continue"),
                        texts("mute_time_intervals", kNotBuilt),
                        texts("active_time_intervals", kNotBuilt),
                        many("routes", kRouteTable)};

constexpr Field kInhibitRule[] = {text("name"),
                                  pairs("source_match"),
                                  pairs("source_match_re"),
                                  texts("source_matchers"),
                                  pairs("target_match"),
                                  pairs("target_match_re"),
                                  texts("target_matchers"),
                                  texts("equal")};
const Table kInhibitRuleTable = {"inhibit rule", kInhibitRule};

constexpr Field kTimeRange[] = {text("start_time"), text("end_time")};
const Table kTimeRangeTable = {"time range", kTimeRange};
constexpr Field kInterval[] = {many("times", kTimeRangeTable),
                               texts("weekdays"),
                               texts("days_of_month"),
                               texts("months"),
                               texts("years"),
                               text("location")};
const Table kIntervalTable = {"time interval", kInterval};
constexpr Field kNamedInterval[] = {text("name"), many("time_intervals", kIntervalTable)};
const Table kNamedIntervalTable = {"named time interval", kNamedInterval};

constexpr Field kHeader[] = {texts("values"),
                             {.key = "secrets", .type = Type::List, .element = Type::Secret},
                             texts("files")};
const Table kHeaderTable = {"header", kHeader};
const Field kTracing[] = {
    text("client_type"),
    text("endpoint"),
    {.key = "sampling_fraction", .type = Type::Float},
    flag("insecure"),
    one("tls_config", config::kTlsTable),
    {.key = "headers", .type = Type::Map, .element = Type::Mapping, .table = &kHeaderTable},
    text("compression"),
    {.key = "timeout", .type = Type::Duration}};
const Table kTracingTable = {"tracing", kTracing};

constexpr Field kFileOutput[] = {file("path")};
const Table kFileOutputTable = {"file output", kFileOutput};
constexpr Field kWebhookOutput[] = {secret("url"),
                                    http(),
                                    text("timeout"),
                                    number("workers", Type::Int),
                                    number("max_retries", Type::Int),
                                    text("retry_backoff"),
                                    number("buffer_size", Type::Int)};
const Table kWebhookOutputTable = {"webhook output", kWebhookOutput};
const Field kKafkaOutput[] = {texts("brokers"),
                              text("topic"),
                              text("acks"),
                              text("compression"),
                              text("format"),
                              text("timeout"),
                              number("buffer_size", Type::Int),
                              one("tls_config", config::kTlsTable)};
const Table kKafkaOutputTable = {"kafka output", kKafkaOutput};
constexpr Field kEventRecorder[] = {many("file_outputs", kFileOutputTable),
                                    many("webhook_outputs", kWebhookOutputTable),
                                    many("kafka_outputs", kKafkaOutputTable)};
const Table kEventRecorderTable = {"event_recorder", kEventRecorder};

const Field kFile[] = {
    one("global", kGlobalTable),
    one("route", kRouteTable),
    many("inhibit_rules", kInhibitRuleTable, kNotBuilt),
    many("receivers", kReceiverTable),
    {.key = "templates", .type = Type::List, .element = Type::Text, .element_flags = kPath},
    many("mute_time_intervals", kNamedIntervalTable, kNotBuilt),
    many("time_intervals", kNamedIntervalTable, kNotBuilt),
    one("tracing", kTracingTable, kNotBuilt),
    one("event_recorder", kEventRecorderTable, kNotBuilt)};

constexpr ChannelKind kKinds[] = {{"discord", "discord_configs"},
                                  {"email", "email_configs", true},
                                  {"incidentio", "incidentio_configs"},
                                  {"jira", "jira_configs"},
                                  {"mattermost", "mattermost_configs"},
                                  {"msteams", "msteams_configs"},
                                  {"msteamsv2", "msteamsv2_configs"},
                                  {"opsgenie", "opsgenie_configs"},
                                  {"pagerduty", "pagerduty_configs"},
                                  {"pushover", "pushover_configs"},
                                  {"rocketchat", "rocketchat_configs"},
                                  {"slack", "slack_configs"},
                                  {"sns", "sns_configs"},
                                  {"telegram", "telegram_configs"},
                                  {"victorops", "victorops_configs"},
                                  {"webex", "webex_configs"},
                                  {"webhook", "webhook_configs", true},
                                  {"wechat", "wechat_configs"}};

}  // namespace

const Table kRouteTable = {"route", kRoute};
const Table kFileTable = {"the configuration", kFile};

std::span<const ChannelKind> channel_kinds() {
  return kKinds;
}

}  // namespace alerting
