// Recordings of tools/record_host.sh: a line per series, labels, timestamps and values.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <vector>

struct Series {
  std::string labels;
  std::vector<int64_t> timestamps_ms;
  std::vector<double> values;
};

// InvalidArgument that names the line, when it is not a recording.
core::Result<std::vector<Series>> read_recording(const std::string& path);
