#include "app/config.h"

#include "core/json_writer.h"
#include "core/time.h"
#include "core/yaml.h"

#include <algorithm>
#include <array>
#include <glob.h>
#include <set>

namespace app {
namespace {

using core::ErrorCode;
using core::Result;
using core::Yaml;

constexpr std::array<std::string_view, 9> kOtherSections = {
    "runtime",        "alerting",    "scrape_config_files",
    "scrape_configs", "storage",     "tracing",
    "remote_write",   "remote_read", "otlp"};

constexpr std::array<std::string_view, 18> kOtherGlobals = {"scrape_interval",
                                                            "scrape_timeout",
                                                            "scrape_protocols",
                                                            "query_log_file",
                                                            "scrape_failure_log_file",
                                                            "body_size_limit",
                                                            "sample_limit",
                                                            "target_limit",
                                                            "label_limit",
                                                            "label_name_length_limit",
                                                            "label_value_length_limit",
                                                            "keep_dropped_targets",
                                                            "metric_name_validation_scheme",
                                                            "metric_name_escaping_scheme",
                                                            "always_scrape_classic_histograms",
                                                            "convert_classic_histograms_to_nhcb",
                                                            "scrape_native_histograms",
                                                            "extra_scrape_metrics"};

// Reads one file; keeps its name for errors.
class Reader {
 public:
  Reader(const std::string& path, Config& config) : path_(path), config_(config) {}

  Result<void> read(const Yaml& root) {
    if (root.kind == Yaml::Kind::Null) return {};
    TRY(expect(root, Yaml::Kind::Mapping, "a mapping with keys such as global and rule_files"));
    for (const auto& [key, value] : root.members) {
      if (key.text == "global") {
        TRY(read_global(value));
      } else if (key.text == "rule_files") {
        TRY(read_rule_files(value));
      } else if (is_one_of(kOtherSections, key.text)) {
        unsupported(key, key.text);
      } else {
        return error(key, "unknown key \"" + key.text + "\"");
      }
    }
    return {};
  }

 private:
  template <size_t N>
  static bool is_one_of(const std::array<std::string_view, N>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  tl::unexpected<core::Error> error(const Yaml& node, std::string_view message) const {
    return tl::unexpected(core::yaml_error(path_, node, message));
  }

  Result<void> expect(const Yaml& node, Yaml::Kind kind, std::string_view what) const {
    if (node.kind == kind) return {};
    return error(node, fmt::format("expected {}, found a {}", what, node.kind_name()));
  }

  void unsupported(const Yaml& key, std::string_view name) {
    config_.unsupported_keys.push_back(
        fmt::format("{} ({}:{}:{})", name, path_, key.line, key.column));
  }

  Result<int64_t> read_duration(const Yaml& node, std::string_view key) const {
    TRY(expect(node, Yaml::Kind::Scalar, "a duration such as 30s"));
    const Result<int64_t> duration_ms = core::parse_duration_ms(node.text);
    if (!duration_ms) {
      return error(node, fmt::format("{}: {}", key, duration_ms.error().message));
    }
    return *duration_ms;
  }

  Result<void> read_global(const Yaml& global) {
    if (global.kind == Yaml::Kind::Null) return {};
    TRY(expect(global, Yaml::Kind::Mapping, "a mapping"));
    for (const auto& [key, value] : global.members) {
      if (key.text == "evaluation_interval") {
        config_.evaluation_interval_ms = TRY(read_duration(value, key.text));
        if (config_.evaluation_interval_ms <= 0) {
          return error(value, "evaluation_interval must be greater than 0");
        }
      } else if (key.text == "rule_query_offset") {
        config_.rule_query_offset_ms = TRY(read_duration(value, key.text));
      } else if (key.text == "external_labels") {
        TRY(read_external_labels(value));
      } else if (is_one_of(kOtherGlobals, key.text)) {
        unsupported(key, "global." + key.text);
      } else {
        return error(key, "unknown key \"" + key.text + "\" in global");
      }
    }
    return {};
  }

  Result<void> read_external_labels(const Yaml& labels) {
    if (labels.kind == Yaml::Kind::Null) return {};
    TRY(expect(labels, Yaml::Kind::Mapping, "a mapping of label names to values"));
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const auto& [key, value] : labels.members) {
      if (value.kind != Yaml::Kind::Scalar && value.kind != Yaml::Kind::Null) {
        return error(value, fmt::format("external label \"{}\": expected a text", key.text));
      }
      if (key.text.empty() || key.text == model::kMetricName) {
        return error(key, fmt::format("\"{}\" is not a valid label name", key.text));
      }
      pairs.emplace_back(key.text, value.text);
    }
    config_.external_labels = model::Labels::of(std::move(pairs));
    return {};
  }

  Result<void> read_rule_files(const Yaml& list) {
    if (list.kind == Yaml::Kind::Null) return {};
    TRY(expect(list, Yaml::Kind::Sequence, "a list of file patterns"));
    const size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : path_.substr(0, slash + 1);
    for (const Yaml& item : list.items) {
      TRY(expect(item, Yaml::Kind::Scalar, "a file pattern"));
      config_.rule_globs.push_back(item.text.starts_with('/') ? item.text : folder + item.text);
    }
    return {};
  }

  const std::string& path_;
  Config& config_;
};

}  // namespace

Result<Config> parse_config(std::string_view text, const std::string& path) {
  const Yaml root = TRY(core::parse_yaml(text, path));
  Config config;
  TRY(Reader(path, config).read(root));
  return config;
}

std::string effective_yaml(const Config& config) {
  std::string yaml = fmt::format("global:\n  evaluation_interval: {}\n  rule_query_offset: {}\n",
                                 core::format_duration(config.evaluation_interval_ms),
                                 core::format_duration(config.rule_query_offset_ms));
  // JSON strings are YAML strings.
  if (!config.external_labels.empty()) yaml += "  external_labels:\n";
  for (const model::Label& label : config.external_labels) {
    yaml += "    ";
    core::append_json_string(yaml, label.name);
    yaml += ": ";
    core::append_json_string(yaml, label.value);
    yaml += '\n';
  }
  if (!config.rule_globs.empty()) yaml += "rule_files:\n";
  for (const std::string& pattern : config.rule_globs) {
    yaml += "- ";
    core::append_json_string(yaml, pattern);
    yaml += '\n';
  }
  return yaml;
}

Result<std::vector<std::string>> expand_globs(const std::vector<std::string>& patterns) {
  std::set<std::string> files;
  for (const std::string& pattern : patterns) {
    glob_t found{};
    const int status = ::glob(pattern.c_str(), GLOB_ERR, nullptr, &found);
    for (size_t i = 0; i < found.gl_pathc; ++i) files.emplace(found.gl_pathv[i]);
    ::globfree(&found);
    if (status == GLOB_NOMATCH && pattern.find_first_of("*?[") == std::string::npos) {
      return core::fail(ErrorCode::NotFound, "rule file {}: there is no such file", pattern);
    }
    if (status != 0 && status != GLOB_NOMATCH) {
      return core::fail(ErrorCode::Io, "cannot read the folder of the pattern \"{}\"", pattern);
    }
  }
  return std::vector<std::string>(files.begin(), files.end());
}

}  // namespace app
