// Runs scripts of Prometheus's promqltest notation against the engine:
//
//   load 5m
//     http_requests{job="a"}  0+10x10
//
//   eval instant at 50m sum(http_requests)
//     {} 100
//
// An instant query is also run as the middle step of a range query, as the reference
// runner does.

#pragma once

#include "core/result.h"

#include <string>
#include <string_view>
#include <vector>

namespace promql::testing {

struct ScriptFailure {
  int line = 0;
  std::string query;
  std::string what;
  bool unsupported = false;  // the engine said that it lacks something
};

struct ScriptResult {
  int evals = 0;
  std::vector<ScriptFailure> failures;
};

struct ScriptOptions {
  // As the reference runner sets it; off is the engine's default.
  bool delayed_name_removal = true;
};

// An error only for a script that cannot be read.
core::Result<ScriptResult> run_script(std::string_view text, const ScriptOptions& options = {});

}  // namespace promql::testing
