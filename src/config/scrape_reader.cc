#include "config/scrape_reader.h"

#include "config/client_config_reader.h"
#include "config/discovery_reader.h"

#include <algorithm>
#include <bit>
#include <fmt/format.h>
#include <set>

namespace config {
namespace {

using core::Result;

constexpr std::array<std::string_view, 5> kProtocols = {
    "OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusProto", "PrometheusText0.0.4",
    "PrometheusText1.0.0"};
constexpr std::array<std::string_view, 4> kDefaultProtocols = {
    "OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4"};

std::string lowercase(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return text;
}

Result<void> check_protocol(const Value& protocol, const Source& source, std::string_view prefix,
                            std::string_view suffix) {
  if (std::ranges::count(kProtocols, protocol.text) > 0) return {};
  return error_at(source, protocol,
                  fmt::format("{}unknown scrape protocol {}, supported: [{}]{}", prefix,
                              protocol.text, fmt::join(kProtocols, " "), suffix));
}

// `whose`: " for global config", " for scrape config with job name "x"".
Result<void> check_protocols(const Value& list, const Source& source, std::string_view whose) {
  if (list.items.empty()) {
    return error_at(source, list, fmt::format("scrape_protocols cannot be empty{}", whose));
  }
  std::set<std::string> known;
  for (const Value& protocol : list.items) {
    if (!known.insert(lowercase(protocol.text)).second) {
      return error_at(source, protocol,
                      fmt::format("duplicated protocol in scrape_protocols, got [{}]{}",
                                  fmt::join(list.texts(), " "), whose));
    }
    TRY(check_protocol(protocol, source, "scrape_protocols: ", whose));
  }
  return {};
}

void set_default_protocols(Value& list) {
  for (const std::string_view protocol : kDefaultProtocols) {
    Value& item = list.items.emplace_back();
    item.field = list.field;
    item.line = list.line;
    item.column = list.column;
    item.text = protocol;
  }
}

// ${NAME} and $NAME as Go's os.Expand has them; $$ is a dollar.
std::string expand(std::string_view text, const ReadContext& context) {
  const auto is_name = [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  const auto is_special = [](char c) {
    return std::string_view("*#$@!?-0123456789").find(c) != std::string_view::npos;
  };
  const auto value_of = [&context](std::string_view name) {
    if (name == "$") return std::string("$");
    return context.environment ? context.environment(std::string(name)) : std::string();
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const std::string_view rest = text.substr(i + 1);
    if (rest[0] == '{') {
      const size_t end = rest.find('}');
      // Without an end the sign and the brace go; of ${} both braces go.
      if (end == std::string_view::npos) {
        i += 1;
        continue;
      }
      if (end > 1) out += value_of(rest.substr(1, end - 1));
      i += end + 1;
      continue;
    }
    size_t size = 0;
    if (is_special(rest[0])) {
      size = 1;
    } else {
      while (size < rest.size() && is_name(rest[size])) ++size;
    }
    if (size == 0) {
      out += '$';
      continue;
    }
    out += value_of(rest.substr(0, size));
    i += size;
  }
  return out;
}

Result<model::Labels> take_external_labels(Value& labels, const Source& source,
                                           const ReadContext& context) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (Value& label : labels.items) {
    if (label.key.empty()) {
      return error_at(source, label, "external_labels: \"\" is not a valid label name");
    }
    label.set_text(expand(label.text, context));
    pairs.emplace_back(label.key, label.text);
  }
  return model::Labels::of(std::move(pairs));
}

uint64_t unsigned_of(const Value& value) {
  return std::bit_cast<uint64_t>(value.number);
}

Result<uint64_t> size_of(const Value& value, const Source& source) {
  if (value.number >= 0) return static_cast<uint64_t>(value.number);
  return error_at(source, value, fmt::format("{} must not be negative", value.key));
}

void inherit(Value& value, const Value& global, std::string_view key) {
  Value& own = value.at(key);
  if (!own.is_zero()) return;
  const Value& from = global.at(key);
  own.number = from.number;
  own.text = from.text;
}

constexpr std::string_view kLegacy = "legacy";
constexpr std::string_view kUtf8 = "utf8";
constexpr std::string_view kAllowUtf8 = "allow-utf-8";
constexpr std::array<std::string_view, 4> kEscapings = {kAllowUtf8, "underscores", "dots",
                                                        "values"};

bool is_escaping(std::string_view text) {
  return std::ranges::count(kEscapings, text) > 0;
}

// How names are judged and escaped; blank ones follow from each other and from global.
Result<void> take_name_schemes(Value& value, const Value& global, const Source& source) {
  const auto validation_of = [&source](const Value& scheme, std::string_view whose,
                                       std::string_view blank) -> Result<std::string> {
    if (scheme.text.empty()) return std::string(blank);
    if (scheme.text == kLegacy || scheme.text == kUtf8) return scheme.text;
    return error_at(source, scheme,
                    fmt::format("unknown {} name validation method specified, must be either "
                                "'legacy' or 'utf8', got {}",
                                whose, scheme.text));
  };
  const auto check_escaping = [&source](const Value& scheme,
                                        std::string_view whose) -> Result<void> {
    if (scheme.text.empty() || is_escaping(scheme.text)) return {};
    return error_at(source, scheme,
                    fmt::format("unknown {} name escaping method specified, must be one of "
                                "'allow-utf-8', 'underscores', 'dots', or 'values', got {}",
                                whose, scheme.text));
  };
  const std::string global_validation =
      TRY(validation_of(global.at("metric_name_validation_scheme"), "global", kUtf8));
  Value& validation = value.at("metric_name_validation_scheme");
  validation.set_text(TRY(validation_of(validation, "scrape config", global_validation)));

  const Value& global_escaping = global.at("metric_name_escaping_scheme");
  TRY(check_escaping(global_escaping, "global"));
  Value& escaping = value.at("metric_name_escaping_scheme");
  TRY(check_escaping(escaping, "scrape config"));
  if (escaping.text.empty()) {
    escaping.set_text(!global_escaping.text.empty()  ? global_escaping.text
                      : global_validation == kLegacy ? "underscores"
                                                     : std::string(kAllowUtf8));
  }
  if (escaping.text == kAllowUtf8 && validation.text != kUtf8) {
    return error_at(source, validation,
                    "utf8 metric names requested but validation scheme is not set to UTF8");
  }
  return {};
}

Result<void> take_times(Value& value, const Value& global, const Source& source) {
  Value& interval = value.at("scrape_interval");
  Value& timeout = value.at("scrape_timeout");
  inherit(value, global, "scrape_interval");
  if (timeout.number > interval.number) {
    return error_at(source, timeout,
                    fmt::format("scrape timeout greater than scrape interval for scrape config "
                                "with job name \"{}\"",
                                value.at("job_name").text));
  }
  if (timeout.number == 0) {
    timeout.set_number(std::min(global.at("scrape_timeout").number, interval.number));
  }
  return {};
}

void inherit_flag(Value& value, const Value& global, std::string_view key) {
  Value& own = value.at(key);
  if (!own.given) own.set_number(global.at(key).number);
}

// From a validated value to the struct.
Result<void> fill(ScrapeConfig& scrape, const Value& value, const Source& source) {
  scrape.job_name = value.at("job_name").text;
  scrape.interval_ms = value.at("scrape_interval").number;
  scrape.timeout_ms = value.at("scrape_timeout").number;
  scrape.metrics_path = value.at("metrics_path").text;
  scrape.scheme = value.at("scheme").text;
  for (const Value& parameter : value.at("params").items) {
    scrape.params.emplace_back(parameter.key, parameter.texts());
  }
  scrape.honor_labels = value.at("honor_labels").is_on();
  scrape.honor_timestamps = value.at("honor_timestamps").is_on();
  scrape.track_timestamps_staleness = value.at("track_timestamps_staleness").is_on();
  scrape.scrape_protocols = value.at("scrape_protocols").texts();
  scrape.fallback_scrape_protocol = value.at("fallback_scrape_protocol").text;
  scrape.scrape_native_histograms = value.at("scrape_native_histograms").is_on();
  scrape.always_scrape_classic_histograms = value.at("always_scrape_classic_histograms").is_on();
  scrape.convert_classic_histograms_to_nhcb =
      value.at("convert_classic_histograms_to_nhcb").is_on();
  scrape.extra_scrape_metrics = value.at("extra_scrape_metrics").is_on();
  scrape.enable_compression = value.at("enable_compression").is_on();
  scrape.body_size_limit = TRY(size_of(value.at("body_size_limit"), source));
  scrape.sample_limit = unsigned_of(value.at("sample_limit"));
  scrape.target_limit = unsigned_of(value.at("target_limit"));
  scrape.label_limit = unsigned_of(value.at("label_limit"));
  scrape.label_name_length_limit = unsigned_of(value.at("label_name_length_limit"));
  scrape.label_value_length_limit = unsigned_of(value.at("label_value_length_limit"));
  scrape.native_histogram_bucket_limit = unsigned_of(value.at("native_histogram_bucket_limit"));
  scrape.native_histogram_min_bucket_factor = value.at("native_histogram_min_bucket_factor").real;
  scrape.keep_dropped_targets = unsigned_of(value.at("keep_dropped_targets"));
  scrape.name_scheme = value.at("metric_name_validation_scheme").text == kLegacy
                           ? model::NameScheme::Legacy
                           : model::NameScheme::Utf8;
  scrape.name_escaping_scheme = value.at("metric_name_escaping_scheme").text;
  scrape.scrape_failure_log_file = value.at("scrape_failure_log_file").text;
  return {};
}

}  // namespace

Result<GlobalConfig> take_global(Value& global, bool is_written, const Source& source,
                                 const ReadContext& context) {
  GlobalConfig taken;
  taken.external_labels = TRY(take_external_labels(global.at("external_labels"), source, context));
  Value& interval = global.at("scrape_interval");
  Value& timeout = global.at("scrape_timeout");
  Value& evaluation = global.at("evaluation_interval");
  if (interval.number == 0) interval.set_number(taken.scrape_interval_ms);
  if (timeout.number > interval.number) {
    return error_at(source, timeout, "global scrape timeout greater than scrape interval");
  }
  if (timeout.number == 0) {
    timeout.set_number(std::min(taken.scrape_timeout_ms, interval.number));
  }
  if (evaluation.number == 0) evaluation.set_number(taken.evaluation_interval_ms);
  Value& protocols = global.at("scrape_protocols");
  if (!protocols.given) set_default_protocols(protocols);
  TRY(check_protocols(protocols, source, " for global config"));
  TRY(size_of(global.at("body_size_limit"), source));
  if (!is_written) {
    global.at("metric_name_validation_scheme").set_text(std::string(kUtf8));
    global.at("metric_name_escaping_scheme").set_text(std::string(kAllowUtf8));
  }
  taken.scrape_interval_ms = interval.number;
  taken.scrape_timeout_ms = timeout.number;
  taken.evaluation_interval_ms = evaluation.number;
  taken.rule_query_offset_ms = global.at("rule_query_offset").number;
  taken.query_log_file = global.at("query_log_file").text;
  return taken;
}

Result<ScrapeConfig> take_scrape(Value& value, const Value& global, const Source& source) {
  if (!value.given) return error_at(source, value, "empty or null scrape config section");
  const std::string& job = value.at("job_name").text;

  ScrapeConfig scrape;
  scrape.discoveries = TRY(take_discoveries(value, source));
  if (job.empty()) return error_at(source, value, "job_name is empty");
  scrape.client = TRY(take_client_config(value, source));
  Value& relabelling = value.at("relabel_configs");
  if (relabelling.items.empty()) TRY(check_static_targets(value, source));
  scrape.relabel_rules = TRY(take_relabel_rules(
      relabelling, source, "empty or null target relabeling rule in scrape config"));
  scrape.metric_relabel_rules =
      TRY(take_relabel_rules(value.at("metric_relabel_configs"), source,
                             "empty or null metric relabeling rule in scrape config"));

  TRY(take_times(value, global, source));
  for (const std::string_view key :
       {"body_size_limit", "sample_limit", "target_limit", "label_limit", "label_name_length_limit",
        "label_value_length_limit", "keep_dropped_targets", "scrape_failure_log_file"}) {
    inherit(value, global, key);
  }
  Value& protocols = value.at("scrape_protocols");
  if (!protocols.given) protocols.items = global.at("scrape_protocols").items;
  TRY(check_protocols(protocols, source,
                      fmt::format(" for scrape config with job name \"{}\"", job)));
  const Value& fallback = value.at("fallback_scrape_protocol");
  if (!fallback.is_zero()) {
    TRY(check_protocol(
        fallback, source,
        fmt::format("invalid fallback_scrape_protocol for scrape config with job name \"{}\": ",
                    job),
        ""));
  }
  TRY(take_name_schemes(value, global, source));
  inherit_flag(value, global, "always_scrape_classic_histograms");
  inherit_flag(value, global, "convert_classic_histograms_to_nhcb");
  inherit_flag(value, global, "scrape_native_histograms");
  inherit_flag(value, global, "extra_scrape_metrics");
  TRY(fill(scrape, value, source));
  return scrape;
}

}  // namespace config
