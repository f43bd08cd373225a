#include "discovery/registration.h"

#include "core/json.h"
#include "core/json_writer.h"
#include "core/time.h"
#include "core/utf8.h"
#include "model/tenant.h"

#include <algorithm>
#include <charconv>

namespace discovery {

using core::ErrorCode;
using core::fail;
using core::Json;
using core::Result;

namespace {

constexpr int64_t kVersion = 1;
constexpr size_t kShownMax = 80;  // of a bad value, in an error

std::string quoted(std::string_view text) {
  std::string out;
  core::append_json_string(out, text.substr(0, kShownMax));
  if (text.size() > kShownMax) out += "...";
  return out;
}

// A bad value as people wrote it; objects and arrays by their type.
std::string shown(const Json& value) {
  if (const std::string* text = value.as_string()) return quoted(*text);
  if (const bool* flag = value.as_bool()) return *flag ? "true" : "false";
  if (const int64_t* number = value.as_int()) return std::to_string(*number);
  if (value.is_number()) return fmt::format("{}", value.number());
  return value.is_null() ? "null" : fmt::format("an {}", value.type_name());
}

tl::unexpected<core::Error> wrong(std::string_view field, const Json& value,
                                  std::string_view expected) {
  return fail(ErrorCode::InvalidArgument, "{}: {}: expected {}", field, shown(value), expected);
}

Result<std::string> read_string(const Json& value, std::string_view field,
                                std::string_view expected) {
  const std::string* const text = value.as_string();
  if (text == nullptr) return wrong(field, value, expected);
  return *text;
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

// host:port or [address]:port. Names are left to the resolver, but what would change the
// meaning of the URL is no host.
bool is_address(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0 || !is_port(text.substr(colon + 1))) {
    return false;
  }
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) {
    return host.size() > 2 && host.ends_with(']') &&
           host.find_first_not_of("0123456789abcdefABCDEF:.%", 1) == host.size() - 1;
  }
  return std::none_of(host.begin(), host.end(), [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || c == 0x7f ||
           std::string_view("/?#@:[]\\%\"<>^`{|}").find(c) != std::string_view::npos;
  });
}

Result<void> read_targets(const Json& value, Registration& out) {
  const Json::Array* const list = value.as_array();
  if (list == nullptr) return wrong("targets", value, "a list of \"host:port\"");
  if (list->empty() || list->size() > kRegistrationTargetsMax) {
    return fail(ErrorCode::InvalidArgument, "targets: {} entries: expected 1 to {}", list->size(),
                kRegistrationTargetsMax);
  }
  for (size_t i = 0; i < list->size(); ++i) {
    const Json& entry = (*list)[i];
    const std::string* const text = entry.as_string();
    if (text == nullptr || !is_address(*text)) {
      return wrong(fmt::format("targets[{}]", i), entry, "\"host:port\"");
    }
    out.targets.push_back(*text);
  }
  return {};
}

constexpr std::string_view kParamPrefix = "__param_";

Result<void> read_labels(const Json& value, Registration& out) {
  const Json::Object* const map = value.as_object();
  if (map == nullptr) return wrong("labels", value, "an object of strings");
  for (const auto& [name, text] : *map) {
    if (name.empty() || (name.starts_with("__") && !name.starts_with(kParamPrefix))) {
      return fail(ErrorCode::InvalidArgument,
                  "labels: name {}: expected one that is not empty and does not begin with "
                  "\"__\", except \"__param_<name>\"",
                  quoted(name));
    }
    out.labels.emplace_back(name, TRY(read_string(text, "labels." + name, "a string")));
  }
  return {};
}

// A label holds one value, so a parameter has one, too.
Result<void> read_params(const Json& value, Registration& out) {
  constexpr std::string_view kExpected = "a string, or a list of one string";
  const Json::Object* const map = value.as_object();
  if (map == nullptr) return wrong("params", value, "an object of strings");
  for (const auto& [name, entry] : *map) {
    if (name.empty()) {
      return fail(ErrorCode::InvalidArgument, "params: name \"\": expected one that is not empty");
    }
    const std::string field = "params." + name;
    const Json::Array* const list = entry.as_array();
    if (list != nullptr && list->size() != 1) {
      return fail(ErrorCode::InvalidArgument, "{}: a list of {}: expected {}", field, list->size(),
                  kExpected);
    }
    out.params.emplace_back(
        name, TRY(read_string(list == nullptr ? entry : list->front(), field, kExpected)));
  }
  return {};
}

Result<int64_t> read_duration(const Json& value, std::string_view field, int64_t min_ms,
                              int64_t max_ms) {
  const std::string expected =
      fmt::format("a duration from {} to {}, as in \"10s\"", core::format_duration(min_ms),
                  core::format_duration(max_ms));
  const std::string* const text = value.as_string();
  if (text == nullptr) return wrong(field, value, expected);
  const Result<int64_t> duration = core::parse_duration_ms(*text);
  if (!duration || *duration < min_ms || *duration > max_ms) return wrong(field, value, expected);
  return *duration;
}

Result<void> read_retry(const Json& value, Registration& out) {
  if (value.as_object() == nullptr) {
    return wrong("retry", value, R"(an object, as in {"max":1,"backoff":"500ms"})");
  }
  if (const Json* max = value.find("max")) {
    const int64_t* const number = max->as_int();
    if (number == nullptr || *number < 0 || *number > kRegistrationRetriesMax) {
      return wrong("retry.max", *max, fmt::format("0 to {}", kRegistrationRetriesMax));
    }
    out.retry_max = static_cast<uint32_t>(*number);
  }
  if (const Json* backoff = value.find("backoff")) {
    out.retry_backoff_ms =
        TRY(read_duration(*backoff, "retry.backoff", 1, kRegistrationIntervalMaxMs));
  }
  return {};
}

Result<void> read_state(const Json& value, Registration& out) {
  const std::string* const text = value.as_string();
  if (text != nullptr && *text == "up") {
    out.state = RegistrationState::Up;
  } else if (text != nullptr && *text == "drain") {
    out.state = RegistrationState::Drain;
  } else if (text != nullptr && *text == "paused") {
    out.state = RegistrationState::Paused;
  } else {
    return wrong("state", value, R"("up", "drain" or "paused")");
  }
  return {};
}

// These belong to the scrape configuration; an entry that asks for something else would
// be scraped in another way than it says.
Result<void> refuse_unsupported(const Json& document) {
  const auto refuse_other_than = [&](std::string_view field, bool usual) -> Result<void> {
    const Json* const value = document.find(field);
    if (value == nullptr || (value->as_bool() != nullptr && *value->as_bool() == usual)) return {};
    return wrong(field, *value,
                 fmt::format("{}: it is set for the whole job, in scrape_configs", usual));
  };
  TRY(refuse_other_than("honor_labels", false));
  TRY(refuse_other_than("honor_timestamps", true));
  const Json* const auth = document.find("auth_ref");
  if (auth != nullptr && (auth->as_string() == nullptr || !auth->as_string()->empty())) {
    return wrong("auth_ref", *auth,
                 "\"\": credentials are set for the whole job, in scrape_configs");
  }
  return {};
}

Result<void> read_scrape_fields(const Json& document, Registration& out) {
  if (const Json* scheme = document.find("scheme")) {
    out.scheme = TRY(read_string(*scheme, "scheme", R"("http" or "https")"));
    if (out.scheme != "http" && out.scheme != "https") {
      return wrong("scheme", *scheme, R"("http" or "https")");
    }
  }
  if (const Json* path = document.find("metrics_path")) {
    constexpr std::string_view kExpected = R"(a path that begins with "/")";
    out.metrics_path = TRY(read_string(*path, "metrics_path", kExpected));
    if (!out.metrics_path.starts_with('/')) return wrong("metrics_path", *path, kExpected);
  }
  if (const Json* interval = document.find("interval")) {
    out.interval_ms = TRY(read_duration(*interval, "interval", kRegistrationIntervalMinMs,
                                        kRegistrationIntervalMaxMs));
  }
  if (const Json* timeout = document.find("timeout")) {
    out.timeout_ms = TRY(read_duration(*timeout, "timeout", 1, kRegistrationIntervalMaxMs));
    if (out.interval_ms && *out.timeout_ms > *out.interval_ms) {
      return wrong(
          "timeout", *timeout,
          fmt::format("at most the interval, {}", core::format_duration(*out.interval_ms)));
    }
  }
  return {};
}

std::string_view state_name(RegistrationState state) {
  switch (state) {
    case RegistrationState::Drain:
      return "drain";
    case RegistrationState::Paused:
      return "paused";
    case RegistrationState::Up:
      break;
  }
  return "up";
}

void write_map(core::JsonWriter& json, std::string_view name,
               const std::vector<std::pair<std::string, std::string>>& pairs) {
  if (pairs.empty()) return;
  json.key(name).object();
  for (const auto& [key, value] : pairs) json.key(key).value(value);
  json.end();
}

}  // namespace

Result<Registration> parse_registration(std::string_view json) {
  if (json.size() > kRegistrationSizeMax) {
    return fail(ErrorCode::InvalidArgument, "the value has {} bytes: expected at most {}",
                json.size(), kRegistrationSizeMax);
  }
  const Json document = TRY(core::parse_json(json));
  if (document.as_object() == nullptr) {
    return fail(ErrorCode::InvalidArgument, "{}: expected an object", shown(document));
  }
  if (const Json* version = document.find("v")) {
    if (version->as_int() == nullptr || *version->as_int() != kVersion) {
      return wrong("v", *version, "1");
    }
  }
  const Json* const targets = document.find("targets");
  if (targets == nullptr) {
    return fail(ErrorCode::InvalidArgument, "targets: absent: expected a list of \"host:port\"");
  }
  Registration out;
  TRY(read_targets(*targets, out));
  if (const Json* labels = document.find("labels")) TRY(read_labels(*labels, out));
  TRY(read_scrape_fields(document, out));
  if (const Json* params = document.find("params")) TRY(read_params(*params, out));
  if (const Json* retry = document.find("retry")) TRY(read_retry(*retry, out));
  if (const Json* state = document.find("state")) TRY(read_state(*state, out));
  TRY(refuse_unsupported(document));
  return out;
}

std::string format_registration(const Registration& registration) {
  std::string out;
  core::JsonWriter json(out);
  json.object().key("v").value(kVersion).key("targets").array();
  for (const std::string& target : registration.targets) json.value(target);
  json.end();
  write_map(json, "labels", registration.labels);
  if (!registration.scheme.empty()) json.key("scheme").value(registration.scheme);
  if (!registration.metrics_path.empty()) json.key("metrics_path").value(registration.metrics_path);
  write_map(json, "params", registration.params);
  const auto write_duration = [&](std::string_view name, std::optional<int64_t> duration_ms) {
    if (duration_ms) json.key(name).value(core::format_duration(*duration_ms));
  };
  write_duration("interval", registration.interval_ms);
  write_duration("timeout", registration.timeout_ms);
  if (registration.retry_max || registration.retry_backoff_ms) {
    json.key("retry").object();
    if (registration.retry_max)
      json.key("max").value(static_cast<int64_t>(*registration.retry_max));
    write_duration("backoff", registration.retry_backoff_ms);
    json.end();
  }
  if (registration.state != RegistrationState::Up) {
    json.key("state").value(state_name(registration.state));
  }
  json.end();
  return out;
}

Result<RegistrationPath> parse_registration_path(std::string_view prefix, std::string_view path) {
  if (prefix.ends_with('/')) prefix.remove_suffix(1);
  const auto refuse = [&] {
    return fail(ErrorCode::InvalidArgument, "expected {}/<tenant>/<job>/<instance>", prefix);
  };
  if (!path.starts_with(prefix) || path.size() <= prefix.size() || path[prefix.size()] != '/') {
    return refuse();
  }
  const std::string_view rest = path.substr(prefix.size() + 1);
  const size_t first = rest.find('/');
  if (first == std::string_view::npos) return refuse();
  const size_t second = rest.find('/', first + 1);
  if (second == std::string_view::npos) return refuse();
  RegistrationPath parts{std::string(rest.substr(0, first)),
                         std::string(rest.substr(first + 1, second - first - 1)),
                         std::string(rest.substr(second + 1))};
  if (parts.job.empty() || parts.instance.empty() ||
      parts.instance.find('/') != std::string::npos) {
    return refuse();
  }
  if (!core::is_utf8(path)) return fail(ErrorCode::InvalidArgument, "expected UTF-8");
  if (!model::is_valid_tenant(parts.tenant)) {
    return fail(ErrorCode::InvalidArgument,
                "tenant {}: expected 1 to 150 characters of A-Z a-z 0-9 and !_.*'()-",
                quoted(parts.tenant));
  }
  return parts;
}

config::TargetGroup target_group(const Registration& registration, const RegistrationPath& parts,
                                 const std::string& path, RegistrationStore store) {
  const bool is_etcd = store == RegistrationStore::Etcd;
  const std::string meta = is_etcd ? "__meta_etcd_" : "__meta_zookeeper_";
  // Of a repeated name the last one stays: what the service says wins over its path.
  std::vector<std::pair<std::string, std::string>> labels = {{"job", parts.job}};
  labels.insert(labels.end(), registration.labels.begin(), registration.labels.end());
  labels.emplace_back(meta + (is_etcd ? "key" : "path"), path);
  labels.emplace_back(meta + "tenant", parts.tenant);
  labels.emplace_back(meta + "job", parts.job);
  labels.emplace_back("__scheme__", registration.scheme);
  labels.emplace_back("__metrics_path__", registration.metrics_path);
  for (const auto& [name, value] : registration.params) {
    labels.emplace_back(std::string(kParamPrefix) + name, value);
  }
  const auto add_duration = [&](const char* name, std::optional<int64_t> duration_ms) {
    if (duration_ms) labels.emplace_back(name, core::format_duration(*duration_ms));
  };
  add_duration("__scrape_interval__", registration.interval_ms);
  add_duration("__scrape_timeout__", registration.timeout_ms);
  if (registration.retry_max) {
    labels.emplace_back("__scrape_retry_max__", std::to_string(*registration.retry_max));
  }
  add_duration("__scrape_retry_backoff__", registration.retry_backoff_ms);

  config::TargetGroup group;
  group.source = path;
  if (registration.state != RegistrationState::Up) return group;
  group.labels = model::Labels::of(std::move(labels));
  for (const std::string& target : registration.targets) {
    group.targets.push_back(model::Labels::of({{"__address__", target}}));
  }
  return group;
}

}  // namespace discovery
