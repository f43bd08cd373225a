#include "api/api.h"

#include "api/answer.h"
#include "api/route.h"
#include "core/metrics.h"
#include "model/matcher.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <mutex>
#include <shared_mutex>
#include <stop_token>
#include <unordered_map>

namespace api {

using core::Error;
using core::ErrorCode;
using core::Result;
using net::Request;
using net::Response;

namespace {

constexpr std::string_view kApiPrefix = "/api/";
constexpr std::string_view kManagementPrefix = "/-/";

bool lists_method(std::string_view methods, std::string_view method) {
  while (!methods.empty()) {
    const std::string_view one = methods.substr(0, methods.find(' '));
    methods.remove_prefix(std::min(methods.size(), one.size() + 1));
    if (one == method || (one == "GET" && method == "HEAD")) return true;
  }
  return false;
}

std::string allow_header(std::string_view methods) {
  std::string allow = "OPTIONS";
  for (const std::string_view method : {"GET", "HEAD", "POST", "PUT"}) {
    if (lists_method(methods, method)) allow += fmt::format(", {}", method);
  }
  return allow;
}

bool is_form(const Request& request) {
  return request.method == "POST" && request.header("Content-Type")
                                         .value_or("")
                                         .starts_with("application/x-www-form-urlencoded");
}

// The counters of one route. Filled by lookups in the registry, which stay valid.
class RouteMetrics {
 public:
  explicit RouteMetrics(std::string_view handler)
      : handler_(handler),
        duration_(core::duration_histogram("petrel_http_request_duration_seconds",
                                           "Time from a request's last byte to its answer.",
                                           {{"handler", std::string(handler)}})) {}

  void observe(int status, double seconds) {
    duration_.observe(seconds);
    const auto slot = static_cast<size_t>(status - kStatusMin);
    if (slot >= counters_.size()) return;
    core::Counter* counter = counters_[slot].load(std::memory_order_relaxed);
    if (counter == nullptr) {
      counter = &core::counter("petrel_http_requests_total", "HTTP requests answered.",
                               {{"handler", handler_}, {"code", std::to_string(status)}});
      counters_[slot].store(counter, std::memory_order_relaxed);
    }
    counter->add();
  }

 private:
  static constexpr int kStatusMin = 200;
  static constexpr int kStatusEnd = 512;

  const std::string handler_;
  core::DurationHistogram& duration_;
  std::array<std::atomic<core::Counter*>, kStatusEnd - kStatusMin> counters_{};
};

struct RouteEntry {
  explicit RouteEntry(const Route& of) : route(of), metrics(of.pattern) {}

  const Route route;
  RouteMetrics metrics;
};

// What stands for the '*', if the path fits the pattern.
std::optional<std::string_view> match_wildcard(std::string_view pattern, std::string_view path) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return std::nullopt;
  const std::string_view before = pattern.substr(0, star);
  const std::string_view behind = pattern.substr(star + 1);
  if (path.size() <= before.size() + behind.size()) return std::nullopt;
  if (!path.starts_with(before) || !path.ends_with(behind)) return std::nullopt;
  return path.substr(before.size(), path.size() - before.size() - behind.size());
}

}  // namespace

std::string_view Call::param(std::string_view name) const {
  for (const auto& [key, value] : params) {
    if (key == name) return value;
  }
  return {};
}

std::vector<std::string_view> Call::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : params) {
    if (key == name) values.emplace_back(value);
  }
  return values;
}

struct Api::Impl {
  Impl(ApiOptions given, const core::Clock& the_clock, StaticAssets the_assets);

  Response handle(const Request& request);
  RouteEntry* find(std::string_view path, std::string_view& argument) const;
  Response serve(const RouteEntry& entry, Call& call);
  Response call_handler(const Route& route, Call& call);
  static Result<void> read_params(const Route& route, Call& call);
  Response serve_other(Call& call);
  void add_cors(const Request& request, Response& response) const;

  ApiOptions options;
  const core::Clock& clock;
  // Where the options bring no gate.
  struct DefaultGate {
    tenant::LimitsTable limits;
    core::ByteBudget budget{limits.instance().inflight_bytes_max};
    tenant::PushGate gate;
    explicit DefaultGate(const core::Clock& of) : gate(limits, of, budget) {}
  };
  std::unique_ptr<DefaultGate> default_gate;
  const StaticAssets assets;
  std::optional<model::Matcher> cors_origins;  // nullopt: every origin
  std::vector<std::unique_ptr<RouteEntry>> entries;
  std::unordered_map<std::string_view, RouteEntry*> by_path;  // patterns without '*'
  RouteMetrics static_metrics{"static"};

  // Requests that use the services hold the lock shared; see set_services().
  std::atomic<bool> is_ready = false;
  std::shared_mutex services_mutex;
  Services services;  // guarded by services_mutex

  std::stop_source stop;
};

Api::Impl::Impl(ApiOptions given, const core::Clock& the_clock, StaticAssets the_assets)
    : options(std::move(given)), clock(the_clock), assets(the_assets) {
  if (options.push_gate == nullptr) {
    default_gate = std::make_unique<DefaultGate>(clock);
    options.push_gate = &default_gate->gate;
  }
  for (const auto table :
       {query_routes(), label_routes(), ingest_routes(), rules_routes(), status_routes(),
        cardinality_routes(), target_routes(), admin_routes(), management_routes()}) {
    for (const Route& route : table) {
      RouteEntry& entry = *entries.emplace_back(std::make_unique<RouteEntry>(route));
      if (route.pattern.find('*') == std::string_view::npos) by_path.emplace(route.pattern, &entry);
    }
  }
  if (options.cors_origin == ".*") return;
  auto origins = model::Matcher::create(model::MatchType::Regex, "origin", options.cors_origin);
  // A pattern that does not compile allows nobody; the flag's parser reports it.
  cors_origins = origins ? *origins : model::Matcher::equal("origin", "");
}

Response Api::Impl::handle(const Request& request) {
  const int64_t started_ns = clock.monotonic_ns();
  Call call{
      .request = request, .options = options, .clock = clock, .assets = assets, .argument = {}};
  call.stop = stop.get_token();
  call.is_ready = is_ready;
  RouteEntry* const entry = find(request.path, call.argument);
  Response response = entry != nullptr ? serve(*entry, call) : serve_other(call);
  if (request.path.starts_with(kApiPrefix)) add_cors(request, response);
  RouteMetrics& metrics = entry != nullptr ? entry->metrics : static_metrics;
  metrics.observe(response.status, static_cast<double>(clock.monotonic_ns() - started_ns) / 1e9);
  return response;
}

RouteEntry* Api::Impl::find(std::string_view path, std::string_view& argument) const {
  if (const auto found = by_path.find(path); found != by_path.end()) return found->second;
  for (const auto& entry : entries) {
    if (const auto matched = match_wildcard(entry->route.pattern, path)) {
      argument = *matched;
      return entry.get();
    }
  }
  return nullptr;
}

Response Api::Impl::serve(const RouteEntry& entry, Call& call) {
  const Route& route = entry.route;
  if (!lists_method(route.methods, call.request.method)) {
    Response response;
    if (call.request.method == "OPTIONS") {
      response.status = 204;
    } else {
      response = Response::text(405, "Method Not Allowed\n");
    }
    response.headers.emplace_back("Allow", allow_header(route.methods));
    return response;
  }
  if (route.needs == Needs::Nothing) return call_handler(route, call);

  const auto unavailable = [&] {
    const Error error{ErrorCode::Unavailable, "Service Unavailable: not ready yet"};
    return route.errors == Errors::Json ? error_response(error) : text_error_response(error);
  };
  // Looked at before the lock too, so that clear_services() is not kept waiting by
  // requests that come after it.
  if (!is_ready) return unavailable();
  const std::shared_lock lock(services_mutex);
  if (!is_ready) return unavailable();
  call.services = &services;
  return call_handler(route, call);
}

Response Api::Impl::call_handler(const Route& route, Call& call) {
  std::optional<Push> push;
  Result<void> admitted;
  if (route.body == Body::Data) {
    push.emplace(*options.push_gate, call.tenant, route.errors);
    call.push = &*push;
    admitted = push->admit_body(call.request.body.size());
  }
  const auto run = [&]() -> Result<Response> {
    TRY(std::move(admitted));
    TRY(read_params(route, call));
    return route.handler(call);
  };
  Result<Response> result = run();
  if (result) return std::move(*result);
  if (push) return push->answer(result.error());
  return route.errors == Errors::Json ? error_response(result.error())
                                      : text_error_response(result.error());
}

Result<void> Api::Impl::read_params(const Route& route, Call& call) {
  const auto read = [&](std::string_view text) -> Result<void> {
    net::Params params = TRY(net::parse_query_strict(text).context("error parsing form values"));
    for (auto& param : params) call.params.push_back(std::move(param));
    return {};
  };
  if (route.body == Body::Form && is_form(call.request)) TRY(read(call.request.body));
  return read(call.request.query);
}

Response Api::Impl::serve_other(Call& call) {
  const std::string_view path = call.request.path;
  if (path.starts_with(kApiPrefix)) {
    return error_response(404, "not_found", fmt::format("no such endpoint: {}", path));
  }
  if (path.starts_with(kManagementPrefix)) return Response::text(404, "404 page not found\n");
  if (!lists_method("GET", call.request.method)) {
    Response response = Response::text(405, "Method Not Allowed\n");
    response.headers.emplace_back("Allow", allow_header("GET"));
    return response;
  }
  return serve_static(call);
}

// As Prometheus does for every request that names its origin.
void Api::Impl::add_cors(const Request& request, Response& response) const {
  const std::string_view origin = request.header("Origin").value_or("");
  if (origin.empty()) return;
  auto& headers = response.headers;
  headers.emplace_back("Access-Control-Allow-Headers",
                       "Accept, Authorization, Content-Type, Origin");
  headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
  headers.emplace_back("Access-Control-Expose-Headers", "Date");
  headers.emplace_back("Vary", "Origin");
  if (!cors_origins) {
    headers.emplace_back("Access-Control-Allow-Origin", "*");
  } else if (cors_origins->matches(origin)) {
    headers.emplace_back("Access-Control-Allow-Origin", std::string(origin));
  }
}

Api::Api(ApiOptions options, const core::Clock& clock, StaticAssets assets)
    : impl_(std::make_unique<Impl>(std::move(options), clock, assets)) {}

Api::~Api() = default;

Response Api::handle(const Request& request) {
  return impl_->handle(request);
}

void Api::set_services(Services services) {
  ENSURE(services.sink != nullptr && services.source != nullptr && services.engine != nullptr);
  impl_->is_ready = false;
  const std::unique_lock lock(impl_->services_mutex);
  impl_->services = std::move(services);
  impl_->is_ready = true;
}

void Api::cancel_queries() {
  impl_->stop.request_stop();
}

void Api::clear_services() {
  impl_->is_ready = false;
  const std::unique_lock lock(impl_->services_mutex);
  impl_->services = {};
}

bool Api::is_query(const Request& request) const {
  std::string_view argument;
  const RouteEntry* const entry = impl_->find(request.path, argument);
  if (entry == nullptr) return false;
  const auto holds = [&](std::span<const Route> table) {
    return std::any_of(table.begin(), table.end(),
                       [&](const Route& route) { return route.pattern == entry->route.pattern; });
  };
  return holds(query_routes()) || holds(label_routes()) || holds(cardinality_routes());
}

bool Api::is_push(const Request& request) const {
  std::string_view argument;
  const RouteEntry* const entry = impl_->find(request.path, argument);
  return entry != nullptr && entry->route.body == Body::Data;
}

bool Api::is_ready() const {
  return impl_->is_ready;
}

}  // namespace api
