#include "net/testing/client_fixture.h"

namespace net::testing {

using core::Result;

ClientFixture::ClientFixture(ClientConfig config, ClientLoopOptions options)
    : loop_(std::move(*ClientLoop::start(options))) {
  auto created = HttpClient::create(*loop_, std::move(config), files_);
  ENSURE(created.has_value());
  client_ = std::move(*created);
}

std::future<Result<FetchResponse>> ClientFixture::start(FetchRequest request) const {
  auto promise = std::make_shared<std::promise<Result<FetchResponse>>>();
  client_->fetch(std::move(request), [promise](Result<FetchResponse> result) {
    promise->set_value(std::move(result));
  });
  return promise->get_future();
}

Result<FetchResponse> ClientFixture::fetch(FetchRequest request) const {
  return start(std::move(request)).get();
}

Result<FetchResponse> ClientFixture::get(const std::string& url) const {
  return fetch({.url = url});
}

core::Error ClientFixture::error(FetchRequest request) const {
  const std::string prefix =
      fmt::format("Get \"{}\": ", request.prepared ? request.prepared->url : request.url);
  const Result<FetchResponse> result = fetch(std::move(request));
  if (result) return {core::ErrorCode::Internal, "no error"};
  const std::string& text = result.error().message;
  return {result.error().code, text.starts_with(prefix) ? text.substr(prefix.size()) : text};
}

}  // namespace net::testing
