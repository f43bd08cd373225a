// What a route is and what its handler gets.

#pragma once

#include "api/api.h"
#include "api/push.h"
#include "core/clock.h"
#include "core/result.h"
#include "model/tenant.h"
#include "net/http.h"

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace api {

// One request on its way to a handler. Borrows everything for the call.
struct Call {
  const net::Request& request;
  const ApiOptions& options;
  const core::Clock& clock;
  const Services* services = nullptr;  // set for routes that need them
  StaticAssets assets;
  std::string_view argument;  // what stands for the '*' of the pattern
  net::Params params = {};    // of the form body, then of the URL
  model::TenantId tenant{model::kDefaultTenant};
  std::stop_token stop = {};  // asked for when the server stops: queries end early
  bool is_ready = false;
  Push* push = nullptr;  // set for routes with Body::Data

  // The first value of a parameter, "" when it is absent (as in Go's FormValue).
  std::string_view param(std::string_view name) const;
  // Every value, in order.
  std::vector<std::string_view> all(std::string_view name) const;
};

using Handler = core::Result<net::Response> (*)(const Call&);

enum class Needs : uint8_t { Nothing, Services };
// How errors are written: Prometheus's JSON, or plain text (write path, management).
enum class Errors : uint8_t { Json, Text };
// What a request's body is. Clients such as curl call every body a form; one that is data
// is never read as a form, whatever its Content-Type says.
enum class Body : uint8_t { Form, Data };

struct Route {
  std::string_view pattern;  // at most one '*', which stands for one or more bytes
  std::string_view methods;  // "GET", "GET POST"; HEAD goes with GET
  Handler handler;
  Needs needs = Needs::Services;
  Errors errors = Errors::Json;
  Body body = Body::Form;
};

// The tables, one per file of routes.
std::span<const Route> query_routes();
std::span<const Route> label_routes();
std::span<const Route> ingest_routes();
std::span<const Route> rules_routes();
std::span<const Route> status_routes();
std::span<const Route> cardinality_routes();
std::span<const Route> target_routes();
std::span<const Route> admin_routes();
std::span<const Route> management_routes();

// Files of the UI: any GET that is no route and not below /api/ or /-/.
net::Response serve_static(const Call& call);

}  // namespace api
