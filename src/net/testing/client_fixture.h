// A client on a loop of its own, and what it was told.

#pragma once

#include "core/file_system.h"
#include "net/http_client.h"

#include <future>
#include <memory>
#include <string>

namespace net::testing {

class ClientFixture {
 public:
  // Ends the test program when the configuration does not load.
  explicit ClientFixture(ClientConfig config = {}, ClientLoopOptions options = {});

  std::future<core::Result<FetchResponse>> start(FetchRequest request) const;
  core::Result<FetchResponse> fetch(FetchRequest request) const;
  core::Result<FetchResponse> get(const std::string& url) const;
  // What went wrong, without the URL in front; "no error" if nothing did.
  core::Error error(FetchRequest request) const;
  void close() { client_.reset(); }

 private:
  core::PosixFileSystem files_;
  std::unique_ptr<ClientLoop> loop_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace net::testing
