// An Api over an in-memory store, for the tests of its routes.

#pragma once

#include "api/api.h"
#include "core/json_writer.h"
#include "core/testing/fake_clock.h"
#include "storage/testing/memory_store.h"

#include <string>
#include <utility>
#include <vector>

namespace api::testing {

// Confined to one thread. Ready unless told otherwise.
class ApiFixture {
 public:
  explicit ApiFixture(ApiOptions options = {}, StaticAssets assets = {})
      : engine(store, clock, {}), api(std::move(options), clock, assets) {
    make_ready();
  }

  void make_ready() {
    api.set_services({.sink = &store,
                      .source = &store,
                      .engine = &engine,
                      .rules = [this] { return rules; },
                      .cardinality = cardinality});
  }

  void write(std::vector<std::pair<std::string, std::string>> labels, int64_t time_ms,
             double value) {
    storage::WriteBatch batch;
    batch.add(model::Labels::of(std::move(labels)), time_ms, value);
    ENSURE(store.append(batch).has_value());
  }

  // `target` is a path with its query string.
  net::Response get(std::string_view target, net::Headers headers = {}) {
    return call("GET", target, std::move(headers));
  }
  net::Response call(std::string method, std::string_view target, net::Headers headers = {},
                     std::string body = {}) {
    const size_t question = target.find('?');
    net::Request request;
    request.method = std::move(method);
    request.path = net::percent_decode(target.substr(0, question));
    if (question != target.npos) request.query = std::string(target.substr(question + 1));
    request.headers = std::move(headers);
    request.body = std::move(body);
    return api.handle(request);
  }
  // Status and body in one string, for short comparisons.
  std::string text(std::string_view target) {
    const net::Response response = get(target);
    return std::to_string(response.status) + " " + response.body;
  }

  core::testing::FakeClock clock{1'435'781'451'781};
  storage::testing::MemoryStore store;
  promql::Engine engine;
  rules::RulesView rules;
  const storage::CardinalitySource* cardinality = nullptr;  // then make_ready()
  Api api;
};

inline std::string success(std::string_view data) {
  return "200 {\"status\":\"success\",\"data\":" + std::string(data) + "}";
}

inline std::string failure(int status, std::string_view type, std::string_view message) {
  std::string quoted;
  core::append_json_string(quoted, message);
  return std::to_string(status) + " {\"status\":\"error\",\"errorType\":\"" + std::string(type) +
         "\",\"error\":" + quoted + "}";
}

}  // namespace api::testing
