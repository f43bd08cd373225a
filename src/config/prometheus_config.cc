#include "config/prometheus_config.h"

#include "config/discovery_reader.h"
#include "config/discovery_tables.h"
#include "config/limits_reader.h"
#include "config/relabel_reader.h"
#include "config/remote_tables.h"
#include "config/scrape_reader.h"
#include "config/yaml_writer.h"
#include "core/yaml.h"

#include <algorithm>
#include <map>
#include <re2/re2.h>

namespace config {
namespace {

using core::Result;
using core::Yaml;

constexpr auto kAlertmanagerFields =
    join_fields(client_fields(),
                std::array{
                    Field{.key = "sigv4",
                          .type = Type::Mapping,
                          .flags = kOptional | kNotBuilt,
                          .table = &kSigV4Table},
                    Field{.key = "scheme", .preset = "http"},
                    Field{.key = "path_prefix"},
                    Field{.key = "timeout", .type = Type::Duration, .preset = "10s"},
                    Field{.key = "api_version", .flags = kShown, .preset = "v2"},
                    relabel_field("relabel_configs"),
                    relabel_field("alert_relabel_configs"),
                },
                kDiscoveryFields);
constexpr Table kAlertmanagerTable{"alertmanagers", kAlertmanagerFields};

constexpr std::array kAlertingFields = {
    relabel_field("alert_relabel_configs"),
    // Not built: alerts go out by an Alertmanager configuration of our own.
    Field{.key = "alertmanagers",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kAlertmanagerTable},
};
constexpr Table kAlertingTable{"alerting", kAlertingFields};

constexpr std::array kRuntimeFields = {Field{.key = "gogc", .type = Type::Int}};
constexpr Table kRuntimeTable{"runtime", kRuntimeFields};
constexpr int64_t kGogcDefault = 75;

constexpr std::array kTsdbFields = {
    Field{.key = "out_of_order_time_window", .type = Type::Duration},
};
constexpr Table kTsdbTable{"tsdb", kTsdbFields};
constexpr std::array kExemplarsFields = {Field{.key = "max_exemplars", .type = Type::Int}};
constexpr Table kExemplarsTable{"exemplars", kExemplarsFields};
constexpr std::array kStorageFields = {
    Field{.key = "tsdb", .type = Type::Mapping, .flags = kOptional, .table = &kTsdbTable},
    Field{.key = "exemplars",
          .type = Type::Mapping,
          .flags = kOptional | kNotBuilt,
          .table = &kExemplarsTable},
};
constexpr Table kStorageTable{"storage", kStorageFields};

constexpr Field scrape_list(std::string_view key) {
  return {.key = key, .type = Type::List, .element = Type::Mapping, .table = &kScrapeTable};
}

constexpr std::array kTopFields = {
    Field{.key = "global", .type = Type::Mapping, .flags = kShown, .table = &kGlobalTable},
    Field{.key = "runtime", .type = Type::Mapping, .flags = kNotBuilt, .table = &kRuntimeTable},
    Field{.key = "alerting", .type = Type::Mapping, .table = &kAlertingTable},
    Field{.key = "rule_files", .type = Type::List, .element_flags = kPath},
    Field{.key = "scrape_config_files", .type = Type::List, .element_flags = kPath},
    scrape_list("scrape_configs"),
    Field{.key = "storage", .type = Type::Mapping, .table = &kStorageTable},
    Field{.key = "tracing",
          .type = Type::Mapping,
          .flags = kOptional | kNotBuilt,
          .table = &kTracingTable},
    Field{.key = "remote_write",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kRemoteWriteTable},
    Field{.key = "remote_read",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kRemoteReadTable},
    Field{.key = "otlp", .type = Type::Mapping, .flags = kNotBuilt, .table = &kOtlpTable},
    kLimitsField,
    kOverridesField,
    kInstanceLimitsField,
};
constexpr Table kTopTable{"the configuration", kTopFields};

constexpr std::array kScrapeFileFields = {scrape_list("scrape_configs")};
constexpr Table kScrapeFileTable{"a scrape config file", kScrapeFileFields};

// Petrel's own sections, planned: their content is not looked at yet.
constexpr std::string_view kOwnSections[] = {"tenants", "slo", "oncall", "pipeline"};

Result<void> check_patterns(const Value& patterns, std::string_view what, const Source& source) {
  static const re2::RE2 kPattern(R"([^*]*(\*[^/]*)?)");
  for (const Value& pattern : patterns.items) {
    if (re2::RE2::FullMatch(pattern.text, kPattern)) continue;
    return error_at(source, pattern,
                    fmt::format("invalid {} file path \"{}\", expected '*' only in its last part",
                                what, pattern.text));
  }
  return {};
}

class Reader {
 public:
  Reader(const std::string& path, const ReadContext& context)
      : context_(context),
        source_{.file = path,
                .folder = folder_of(path),
                .unsupported = &config_.unsupported_keys,
                .environment = context.environment} {}

  Result<PrometheusConfig> read(Yaml root) {
    take_own_sections(root);
    top_ = TRY(read_mapping(kTopTable, root, source_));
    Value& global = top_.at("global");
    config_.global = TRY(take_global(global, global.given, source_, context_));
    TRY(check_patterns(top_.at("rule_files"), "rule", source_));
    TRY(check_patterns(top_.at("scrape_config_files"), "scrape config", source_));
    config_.rule_globs = top_.at("rule_files").texts();
    config_.scrape_file_globs = top_.at("scrape_config_files").texts();

    Value& runtime = top_.at("runtime").at("gogc");
    if (runtime.number == 0) runtime.set_number(kGogcDefault);
    TRY(take_alerting());
    for (Value& scrape : top_.at("scrape_configs").items) {
      TRY(take_job(scrape, source_, "main config file"));
    }
    const Value& tsdb = top_.at("storage").at("tsdb");
    if (tsdb.given) config_.out_of_order_window_ms = tsdb.at("out_of_order_time_window").number;
    TRY(check_tracing(top_.at("tracing"), source_));
    TRY(check_remote_writes(top_.at("remote_write"), source_));
    TRY(check_remote_reads(top_.at("remote_read"), source_));
    TRY(check_otlp(top_.at("otlp"), global, source_));
    config_.limits = TRY(take_limits(top_, source_));
    config_.effective_yaml = write_yaml(top_);
    // Shown by their names only, as in Prometheus.
    TRY(read_scrape_files());
    return std::move(config_);
  }

 private:
  // Reports and removes them.
  void take_own_sections(Yaml& root) {
    std::erase_if(root.members, [this](const auto& member) {
      const Yaml& key = member.first;
      if (std::ranges::count(kOwnSections, key.text) == 0) return false;
      config_.unsupported_keys.push_back(
          fmt::format("{} ({}:{}:{})", key.text, source_.file, key.line, key.column));
      return true;
    });
  }

  Result<void> take_job(Value& value, const Source& source, const std::string& origin) {
    ScrapeConfig scrape = TRY(take_scrape(value, top_.at("global"), source));
    const auto [first, is_new] = jobs_.emplace(scrape.job_name, origin);
    if (!is_new) {
      std::string message =
          fmt::format("found multiple scrape configs with job name \"{}\"", scrape.job_name);
      if (source.file != source_.file) message += ", first found in " + first->second;
      return error_at(source, value.at("job_name"), message);
    }
    config_.scrapes.push_back(std::move(scrape));
    return {};
  }

  Result<void> read_scrape_files() {
    for (const Value& pattern : top_.at("scrape_config_files").items) {
      Result<std::vector<std::string>> files = expand_globs({pattern.text});
      // As in Prometheus, a file that is not there yet is no error.
      if (!files && files.error().code == core::ErrorCode::NotFound) continue;
      if (!files) return error_at(source_, pattern, files.error().message);
      for (const std::string& path : *files) {
        TRY(read_scrape_file(path).context("scrape_config_files"));
      }
    }
    return {};
  }

  Result<void> read_scrape_file(const std::string& path) {
    Source source = source_;
    source.file = path;
    source.folder = folder_of(path);
    const std::string text = TRY(context_.files.read_file(path));
    const Yaml root = TRY(core::parse_yaml(text, path));
    Value value = TRY(read_mapping(kScrapeFileTable, root, source));
    for (Value& scrape : value.at("scrape_configs").items) {
      TRY(take_job(scrape, source, fmt::format("\"{}\"", path)));
    }
    return {};
  }

  Result<void> take_alerting() {
    Value& alerting = top_.at("alerting");
    config_.alert_relabel_rules = TRY(take_relabel_rules(
        alerting.at("alert_relabel_configs"), source_, "empty or null alert relabeling rule"));
    for (Value& value : alerting.at("alertmanagers").items) {
      config_.alertmanagers.push_back(TRY(take_alertmanager(value)));
    }
    return {};
  }

  Result<AlertmanagerConfig> take_alertmanager(Value& value) {
    if (!value.given) {
      return error_at(source_, value, "empty or null section in alerting.alertmanagers");
    }
    AlertmanagerConfig taken;
    const Value& version = value.at("api_version");
    if (version.text != "v2") {
      return error_at(source_, version,
                      fmt::format("expected Alertmanager api version to be one of [v2] but got {}",
                                  version.text));
    }
    taken.discoveries = TRY(take_discoveries(value, source_));
    taken.client = TRY(take_client_config(value, source_));
    const bool authenticates =
        taken.client.basic_auth || taken.client.authorization || taken.client.oauth2;
    if (authenticates && value.at("sigv4").given) {
      return error_at(
          source_, value.at("sigv4"),
          "at most one of basic_auth, authorization, oauth2, & sigv4 must be configured");
    }
    TRY(check_sigv4(value.at("sigv4"), source_));
    Value& relabelling = value.at("relabel_configs");
    if (relabelling.items.empty()) TRY(check_static_targets(value, source_));
    taken.relabel_rules = TRY(take_relabel_rules(
        relabelling, source_, "empty or null Alertmanager target relabeling rule"));
    taken.alert_relabel_rules =
        TRY(take_relabel_rules(value.at("alert_relabel_configs"), source_,
                               "empty or null Alertmanager alert relabeling rule"));
    taken.scheme = value.at("scheme").text;
    taken.path_prefix = value.at("path_prefix").text;
    taken.timeout_ms = value.at("timeout").number;
    taken.api_version = version.text;
    return taken;
  }

  const ReadContext& context_;
  PrometheusConfig config_;
  Source source_;
  Value top_;
  std::map<std::string, std::string> jobs_;  // name > where it was first found
};

}  // namespace

Result<PrometheusConfig> parse_prometheus_config(std::string_view text, const std::string& path,
                                                 const ReadContext& context) {
  Yaml root = TRY(core::parse_yaml(text, path));
  return Reader(path, context).read(std::move(root));
}

}  // namespace config
