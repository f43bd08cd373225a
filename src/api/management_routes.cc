// Operations: health, readiness, reload, own metrics.

#include "api/answer.h"
#include "api/route.h"
#include "core/metrics.h"

namespace api {

namespace {

using core::ErrorCode;
using core::fail;
using core::Result;
using net::Response;

Result<Response> healthy(const Call&) {
  return Response::text(200, "Petrel is Healthy.\n");
}

Result<Response> ready(const Call& call) {
  if (call.is_ready) {
    // Ready for reads: a load balancer that took a read-only server away would take its
    // data away as well. Writes answer 503 themselves.
    std::string text = "Petrel is Ready.\n";
    if (call.options.trouble) {
      for (const Trouble& one : call.options.trouble()) {
        text += fmt::format("Degraded: {}: {}\n", one.part, one.text);
      }
    }
    return Response::text(200, text);
  }
  return fail(ErrorCode::Unavailable, "Service Unavailable: the log is being replayed");
}

Result<Response> reload(const Call& call) {
  if (!call.options.enable_lifecycle) {
    return fail(ErrorCode::PermissionDenied, "Lifecycle API is not enabled.");
  }
  if (!call.options.reload) return fail(ErrorCode::Unsupported, "nothing to reload");
  const Result<void> reloaded = call.options.reload();
  if (reloaded) return Response::text(200, "");
  // 500 whatever the reason, as in Prometheus: the request was fine, the files were not.
  return Response::text(500, "failed to reload config: " + reloaded.error().message + "\n");
}

Result<Response> metrics(const Call&) {
  Response response = Response::text(200, core::expose_metrics());
  response.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}};
  return response;
}

constexpr Route kRoutes[] = {
    {"/-/healthy", "GET", healthy, Needs::Nothing, Errors::Text},
    {"/-/ready", "GET", ready, Needs::Nothing, Errors::Text},
    {"/-/reload", "POST PUT", reload, Needs::Nothing, Errors::Text},
    {"/metrics", "GET", metrics, Needs::Nothing, Errors::Text},
};

}  // namespace

std::span<const Route> management_routes() {
  return kRoutes;
}

}  // namespace api
