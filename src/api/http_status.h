// The one map from ErrorCode to HTTP.

#pragma once

#include "core/result.h"

#include <string_view>

namespace api {

struct HttpStatus {
  int status = 500;
  std::string_view error_type;  // of Prometheus's error JSON
};

HttpStatus http_status(core::ErrorCode code);

}  // namespace api
