#include "scrape/target.h"

#include "core/json_writer.h"
#include "core/time.h"
#include "core/utf8.h"
#include "net/http.h"

#include <algorithm>
#include <charconv>

namespace scrape {
namespace {

using core::ErrorCode;

constexpr std::string_view kAddress = "__address__";
constexpr std::string_view kScheme = "__scheme__";
constexpr std::string_view kPath = "__metrics_path__";
constexpr std::string_view kInterval = "__scrape_interval__";
constexpr std::string_view kTimeout = "__scrape_timeout__";
constexpr std::string_view kRetryMax = "__scrape_retry_max__";
constexpr std::string_view kRetryBackoff = "__scrape_retry_backoff__";
constexpr std::string_view kParamPrefix = "__param_";
constexpr std::string_view kMetaPrefix = "__meta_";
constexpr std::string_view kHiddenPrefix = "__";

// A scrape that is tried again has to end within its timeout.
constexpr uint32_t kRetriesMax = 3;

std::string quoted(std::string_view text) {
  std::string out;
  core::append_json_string(out, text);
  return out;
}

// What discovery and the configuration say together, before relabelling
// (PopulateDiscoveredLabels).
void set_discovered(const config::ScrapeConfig& config, const model::Labels& group,
                    const model::Labels& own, model::LabelsBuilder& labels) {
  labels.reset(group);
  for (const model::Label& label : own) labels.set(label.name, label.value);
  const auto set_default = [&labels](std::string_view name, std::string_view value) {
    if (labels.get(name).empty()) labels.set(name, value);
  };
  set_default("job", config.job_name);
  set_default(kInterval, core::format_duration(config.interval_ms));
  set_default(kTimeout, core::format_duration(config.timeout_ms));
  set_default(kPath, config.metrics_path);
  set_default(kScheme, config.scheme);
  for (const auto& [name, values] : config.params) {
    if (!values.empty()) set_default(std::string(kParamPrefix) + name, values.front());
  }
}

core::Result<int64_t> read_duration(const model::LabelsBuilder& labels, std::string_view label,
                                    std::string_view what) {
  const int64_t duration_ms =
      TRY(core::parse_duration_ms(labels.get(label)).context("error parsing {}", what));
  if (duration_ms == 0) return core::fail(ErrorCode::InvalidArgument, "{} cannot be 0", what);
  return duration_ms;
}

core::Result<void> read_retries(const model::LabelsBuilder& labels, Target& target) {
  if (const std::string_view text = labels.get(kRetryMax); !text.empty()) {
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), target.retry_max);
    if (error != std::errc() || end != text.data() + text.size() ||
        target.retry_max > kRetriesMax) {
      return core::fail(ErrorCode::InvalidArgument,
                        "error parsing {}: {} is not a number from 0 to {}", kRetryMax,
                        quoted(text), kRetriesMax);
    }
  }
  if (const std::string_view text = labels.get(kRetryBackoff); !text.empty()) {
    target.retry_backoff_ms =
        TRY(core::parse_duration_ms(text).context("error parsing {}", kRetryBackoff));
  }
  return {};
}

// As Go's url.URL prints paths and hosts: what may stand there stays.
std::string escape(std::string_view text, std::string_view allowed) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (allowed.find(text[i]) != std::string_view::npos) {
      out += text[i];
    } else {
      out += net::percent_encode(text.substr(i, 1));
    }
  }
  return out;
}

// application/x-www-form-urlencoded, sorted by name (Go's url.Values.Encode).
std::string encode_query(const config::ScrapeConfig& config, const model::LabelsBuilder& labels) {
  std::vector<std::pair<std::string, std::vector<std::string>>> params = config.params;
  labels.for_each([&params](const model::Label& label) {
    if (!label.name.starts_with(kParamPrefix)) return;
    const std::string_view name = label.name.substr(kParamPrefix.size());
    const auto same = std::find_if(params.begin(), params.end(),
                                   [name](const auto& param) { return param.first == name; });
    if (same == params.end()) {
      params.emplace_back(name, std::vector<std::string>{std::string(label.value)});
    } else if (same->second.empty()) {
      same->second.emplace_back(label.value);
    } else {
      same->second.front() = label.value;
    }
  });
  std::sort(params.begin(), params.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto encode = [](std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      out += text[i] == ' ' ? "+" : net::percent_encode(text.substr(i, 1));
    }
    return out;
  };
  std::string out;
  for (const auto& [name, values] : params) {
    for (const std::string& value : values) {
      out += (out.empty() ? "" : "&") + encode(name) + "=" + encode(value);
    }
  }
  return out;
}

std::string make_url(const config::ScrapeConfig& config, const model::LabelsBuilder& labels) {
  std::string url(labels.get(kScheme));
  if (!url.empty()) url += ':';
  url += "//" + escape(labels.get(kAddress), "!$&'()*+,;=:[]<>\"");
  const std::string_view path = labels.get(kPath);
  if (!path.empty() && !path.starts_with('/')) url += '/';
  url += escape(path, "$&+,/:;=@");
  const std::string query = encode_query(config, labels);
  return query.empty() ? url : url + "?" + query;
}

core::Result<void> check_address(std::string_view address) {
  // People write URLs into target lists.
  if (address.find('/') == std::string_view::npos) return {};
  return core::fail(ErrorCode::InvalidArgument, "{} is not a valid hostname", quoted(address));
}

// What comes after relabelling; `labels` has an address.
core::Result<void> fill_target(const config::ScrapeConfig& config, model::LabelsBuilder& labels,
                               TargetDecision& decision) {
  Target& target = decision.target;
  TRY(check_address(labels.get(kAddress)));
  target.interval_ms = TRY(read_duration(labels, kInterval, "scrape interval"));
  target.timeout_ms = TRY(read_duration(labels, kTimeout, "scrape timeout"));
  if (target.timeout_ms > target.interval_ms) {
    return core::fail(ErrorCode::InvalidArgument,
                      "scrape timeout cannot be greater than scrape interval ({} > {})",
                      quoted(labels.get(kTimeout)), quoted(labels.get(kInterval)));
  }
  labels.remove_if([](const model::Label& label) { return label.name.starts_with(kMetaPrefix); });
  if (labels.get("instance").empty()) labels.set("instance", labels.get(kAddress));
  decision.relabelled = labels.build();
  for (const model::Label& label : decision.relabelled) {
    if (!core::is_utf8(label.value)) {
      return core::fail(ErrorCode::InvalidArgument, "invalid label value for {}: {}",
                        quoted(label.name), quoted(label.value));
    }
  }
  TRY(read_retries(labels, target));
  target.url = make_url(config, labels);
  // Two targets may differ in a hidden label only, as in Prometheus. A new interval
  // does not make a new target.
  labels.remove(kInterval).remove(kTimeout).remove(kRetryMax).remove(kRetryBackoff);
  target.key = target.url + '\n' + labels.build().bytes();
  labels.remove_if([](const model::Label& label) { return label.name.starts_with(kHiddenPrefix); });
  target.labels = labels.build();
  return {};
}

}  // namespace

TargetDecision decide_target(const config::ScrapeConfig& config, const model::Labels& group,
                             const model::Labels& own) {
  TargetDecision decision;
  model::LabelsBuilder labels;
  set_discovered(config, group, own, labels);
  decision.target.discovered = labels.build();
  for (size_t i = 0; i < config.relabel_rules.size(); ++i) {
    if (config.relabel_rules[i].apply(labels)) continue;
    decision.outcome = Outcome::DroppedByRelabelling;
    decision.dropped_by = static_cast<int>(i);
    return decision;
  }
  if (labels.get(kAddress).empty()) {
    decision.outcome = Outcome::NoAddress;
    decision.error = "no address";
    return decision;
  }
  if (const auto filled = fill_target(config, labels, decision); !filled) {
    decision.outcome = Outcome::Invalid;
    decision.error = filled.error().message;
  }
  return decision;
}

namespace {

// Only what differs from the defaults.
std::string rule_text(const model::RelabelConfig& rule) {
  const model::RelabelConfig defaults;
  std::string out = fmt::format("{{action: {}", model::relabel_action_name(rule.action));
  if (!rule.source_labels.empty()) {
    out += ", source_labels: [";
    for (size_t i = 0; i < rule.source_labels.size(); ++i) {
      out += (i == 0 ? "" : ", ") + quoted(rule.source_labels[i]);
    }
    out += ']';
  }
  const auto add = [&out](std::string_view key, const std::string& value,
                          const std::string& standard) {
    if (value != standard) out += fmt::format(", {}: {}", key, quoted(value));
  };
  add("separator", rule.separator, defaults.separator);
  add("regex", rule.regex, defaults.regex);
  if (rule.modulus != 0) out += fmt::format(", modulus: {}", rule.modulus);
  add("target_label", rule.target_label, defaults.target_label);
  add("replacement", rule.replacement, defaults.replacement);
  return out + '}';
}

}  // namespace

std::vector<RelabelStep> explain_target(const config::ScrapeConfig& config,
                                        const model::Labels& group, const model::Labels& own) {
  std::vector<RelabelStep> steps;
  model::LabelsBuilder labels;
  set_discovered(config, group, own, labels);
  for (const model::RelabelRule& rule : config.relabel_rules) {
    RelabelStep& step = steps.emplace_back();
    step.rule = rule_text(rule.config());
    step.before = labels.build();
    step.kept = rule.apply(labels);
    if (!step.kept) break;
    step.after = labels.build();
  }
  return steps;
}

}  // namespace scrape
