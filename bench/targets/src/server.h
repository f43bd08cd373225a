// One thread, epoll, keep-alive: every loopback address is a target.

#pragma once

#include "pages.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

// When and where scrapes came in since the last reset.
class Arrivals {
 public:
  void reset();
  void add(uint32_t address, size_t bytes);
  std::string json() const;

 private:
  static constexpr std::chrono::milliseconds kBin{100};

  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  uint64_t scrapes_ = 0;
  uint64_t bytes_ = 0;
  std::vector<uint32_t> bins_;
  std::unordered_map<uint32_t, uint32_t> by_address_;
};

class Server {
 public:
  explicit Server(std::vector<Page> pages) : pages_(std::move(pages)) {}
  // False when the port cannot be had.
  bool listen(uint16_t port);
  [[noreturn]] void run();

 private:
  struct Connection {
    uint32_t address = 0;  // of the target
    uint32_t scrapes = 0;
    uint64_t skip = 0;     // of a body that is thrown away
    std::string input;     // of a request that came in pieces
    std::string output;    // what the socket did not take yet
  };

  void accept_all();
  void serve(int socket);
  // Takes whole requests off `bytes`. False: close.
  bool take(int socket, Connection& connection, std::string_view& bytes);
  bool send(int socket, Connection& connection, std::string_view bytes);
  bool flush(int socket, Connection& connection);
  void close_connection(int socket);

  std::vector<Page> pages_;
  Arrivals arrivals_;
  int epoll_ = -1;
  int listener_ = -1;
  std::vector<std::unique_ptr<Connection>> connections_;  // by descriptor
  std::array<char, 1 << 16> buffer_;
};
