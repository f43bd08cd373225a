// The command line of `petrel agent`: node_exporter's, and what pushing needs.

#pragma once

#include "agent/collector.h"
#include "core/log.h"
#include "core/result.h"
#include "net/client_config.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace app {

struct AgentFlags {
  std::vector<std::string> listen_addresses;  // empty: the default
  bool allow_anonymous = false;
  std::string telemetry_path = "/metrics";
  bool disable_exporter_metrics = false;
  uint32_t requests_max = 40;  // 0: no limit
  agent::CollectorOptions collectors;

  std::string push_url;  // empty: nothing is pushed
  std::string job = "node";
  std::string instance;  // empty: <host name>:<port>
  int64_t push_interval_ms = 5'000;
  int64_t push_timeout_ms = 30'000;
  int64_t counter_interval_ms = 0;  // 0: counters go as they come
  std::string buffer_path = "agent-data/buffer";
  uint64_t buffer_size_max = 1ULL << 30;
  int64_t buffer_age_max_ms = 24 * 3'600'000LL;
  net::ClientConfig client;

  core::LogLevel log_level = core::LogLevel::Info;
  core::LogFormat log_format = core::LogFormat::Logfmt;
  std::vector<std::string> warnings;  // flags that do nothing here
};

struct AgentFlagsOutcome {
  AgentFlags flags;
  std::optional<std::string> print_and_exit;
};

// InvalidArgument names the flag, its value and what was expected.
core::Result<AgentFlagsOutcome> parse_agent_flags(const std::vector<std::string>& arguments);

// "1GiB", "512MB", "4096": bytes.
core::Result<uint64_t> parse_size(std::string_view text);

}  // namespace app
