// As much of D-Bus as asking systemd needs: method calls and their answers, over a Unix
// socket (https://dbus.freedesktop.org/doc/dbus-specification.html).

#pragma once

#include "core/result.h"

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace agent {

enum class DbusKind : uint8_t { Call = 1, Return = 2, Error = 3, Signal = 4 };

struct DbusMessage {
  DbusKind kind = DbusKind::Return;
  uint32_t reply_serial = 0;
  std::string error_name;
  std::string body;
};

// Reads a body: values stand at multiples of their size from its start.
class DbusReader {
 public:
  explicit DbusReader(std::string_view body) : body_(body) {}

  // Each returns 0 or "" once something did not fit; is_good() then says so.
  uint8_t byte();
  uint32_t uint32() { return static_cast<uint32_t>(number(4)); }
  uint64_t uint64() { return number(8); }
  std::string_view string();  // and object paths
  std::string_view signature();
  void align(size_t size);
  // Of an array's bytes: its end as a position, for at_end_of().
  size_t array_end(size_t element_alignment);
  bool is_before(size_t end) const { return is_good_ && at_ < end; }
  bool is_good() const { return is_good_; }

 private:
  uint64_t number(size_t size);
  std::string_view take(size_t size);

  std::string_view body_;
  size_t at_ = 0;
  bool is_good_ = true;
};

using DbusValue = std::variant<std::monostate, double, std::string>;
// A variant that holds a number, a boolean or text; monostate for other types.
DbusValue read_variant(DbusReader& reader);

// The bytes of a message from its head on. `size` tells how many bytes it takes,
// once 16 are there.
core::Result<size_t> dbus_message_size(std::string_view head);
core::Result<DbusMessage> parse_dbus_message(std::string_view bytes);

struct DbusCall {
  std::string_view destination;
  std::string_view path;
  std::string_view interface;
  std::string_view member;
  std::initializer_list<std::string_view> arguments;  // strings
};
std::string encode_dbus_call(const DbusCall& call, uint32_t serial);

// Confined to one thread.
class DbusConnection {
 public:
  // `is_bus`: a message bus, which wants Hello first; otherwise systemd's private socket.
  static core::Result<DbusConnection> connect(const std::string& socket_path, bool is_bus);
  DbusConnection(DbusConnection&& other) noexcept;
  DbusConnection& operator=(DbusConnection&& other) = delete;
  ~DbusConnection();

  // The body of the answer. An error of the other side is NotFound with its name.
  core::Result<std::string> call(const DbusCall& call);

 private:
  explicit DbusConnection(int handle) : handle_(handle) {}
  core::Result<void> authenticate();
  core::Result<void> send(std::string_view bytes);
  core::Result<void> receive_until(size_t size);

  int handle_;
  uint32_t serial_ = 0;
  std::string received_;
};

}  // namespace agent
