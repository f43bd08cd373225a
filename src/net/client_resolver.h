// Looks up host names on threads of its own, because getaddrinfo blocks.

#pragma once

#include "core/result.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace net {

// Thread-safe. Threads start with the first look-up.
class Resolver {
 public:
  // Addresses as text, in the order the system prefers.
  using Done = std::function<void(core::Result<std::vector<std::string>>)>;

  Resolver();
  // Look-ups under way are forgotten: a slow name server does not hold up the end.
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Calls `done` once, unless the resolver ends before; quick, from one of its threads.
  // Unavailable: "lookup NAME: no such host".
  void look_up(const std::string& host, Done done);

 private:
  struct Shared;
  static void run(const std::shared_ptr<Shared>& shared);

  std::shared_ptr<Shared> shared_;
};

}  // namespace net
