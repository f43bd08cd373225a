// The Prometheus configuration file, as far as it is built: `global` and `rule_files`
// act, every other key that Prometheus 3 knows is accepted and reported.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "model/labels.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace app {

struct Config {
  int64_t evaluation_interval_ms = 60'000;
  int64_t rule_query_offset_ms = 0;
  model::Labels external_labels;
  std::vector<std::string> rule_globs;  // relative to the file's folder, made absolute
  // Known to Prometheus but without effect here: "scrape_configs (prometheus.yml:7:1)".
  std::vector<std::string> unsupported_keys;
};

// `path` names the file in errors and is what relative patterns start from.
// InvalidArgument: file:line:column, the key and what was expected.
core::Result<Config> parse_config(std::string_view text, const std::string& path);

// What is in effect, as YAML, for /api/v1/status/config. Keys without effect are left
// out: they may hold secrets that only the component they belong to knows to mask.
std::string effective_yaml(const Config& config);

// Rule files that match the patterns, sorted, each once. A pattern may match nothing, as in
// Prometheus; a name without wildcards that is not there is NotFound: a slip of the pen
// must not leave a server without its rules.
core::Result<std::vector<std::string>> expand_globs(const std::vector<std::string>& patterns);

}  // namespace app
