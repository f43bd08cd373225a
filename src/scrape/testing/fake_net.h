// A client and a provider that answer what the test says.

#pragma once

#include "core/scheduler.h"
#include "discovery/provider.h"
#include "net/http_client.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace scrape::testing {

class NoLoop final : public net::ClientLoop {};

// What the fake servers answer, and what they were asked.
struct FakeServers {
  struct Answer {
    int status = 200;
    std::string body = {};
    std::string content_type = "text/plain; version=0.0.4";
    int64_t delay_ms = 1;
    core::Error error = {};  // instead of a response, when it has a message
    bool never = false;      // runs into the timeout
  };
  core::Scheduler& scheduler;
  std::function<Answer(const net::FetchRequest&)> answer;
  std::vector<net::FetchRequest> requests = {};
  uint32_t in_flight = 0;
  uint32_t in_flight_max = 0;
};

// Destroyed only when it has no request under way.
class FakeClient final : public net::HttpClient {
 public:
  explicit FakeClient(FakeServers& servers) : servers_(servers) {}

  void fetch(net::FetchRequest request, Done done) override {
    if (request.prepared) {
      request.url = request.prepared->url;
      request.headers = *request.prepared->headers;
    }
    servers_.requests.push_back(request);
    const FakeServers::Answer answer = servers_.answer(request);
    servers_.in_flight_max = std::max(servers_.in_flight_max, ++servers_.in_flight);
    const int64_t delay_ms = answer.never ? request.timeout_ms : answer.delay_ms;
    servers_.scheduler.after(delay_ms, [&servers = servers_, answer, done = std::move(done)] {
      --servers.in_flight;
      if (answer.never) {
        done(core::fail(core::ErrorCode::Timeout, "context deadline exceeded"));
      } else if (!answer.error.message.empty()) {
        done(tl::unexpected(answer.error));
      } else {
        done(net::FetchResponse{.status = answer.status,
                                .headers = {{"Content-Type", answer.content_type}},
                                .body = answer.body,
                                .wire_bytes = answer.body.size()});
      }
    });
  }

 private:
  FakeServers& servers_;
};

// Providers by the file name of a FileDiscovery; static ones answer at once.
struct FakeProviders {
  std::map<std::string, discovery::Provider::Update> updates;
  size_t made = 0;
  size_t stopped = 0;
};

class FakeProvider final : public discovery::Provider {
 public:
  FakeProvider(config::DiscoveryConfig config, FakeProviders& all)
      : config_(std::move(config)), all_(all) {
    ++all_.made;
  }
  void start(Update update) override {
    if (const auto* fixed = std::get_if<config::StaticDiscovery>(&config_)) {
      update(fixed->groups);
    } else {
      all_.updates[std::get<config::FileDiscovery>(config_).files.front()] = std::move(update);
    }
  }
  void stop() override { ++all_.stopped; }
  discovery::ProviderStatus status() const override { return {"fake", "", 0, {}}; }

 private:
  const config::DiscoveryConfig config_;
  FakeProviders& all_;
};

}  // namespace scrape::testing
