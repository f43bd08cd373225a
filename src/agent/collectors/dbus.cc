#include "agent/collectors/dbus.h"

#include "core/bytes.h"

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <utility>

namespace agent {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr size_t kHeadSize = 16;
constexpr size_t kMessageSizeMax = 16 << 20;
constexpr int kPatienceSeconds = 2;

// Codes of header fields.
constexpr uint8_t kPath = 1;
constexpr uint8_t kInterface = 2;
constexpr uint8_t kMember = 3;
constexpr uint8_t kErrorName = 4;
constexpr uint8_t kReplySerial = 5;
constexpr uint8_t kDestination = 6;
constexpr uint8_t kSignature = 8;

size_t aligned(size_t at, size_t size) {
  return (at + size - 1) / size * size;
}

void pad(std::string& out, size_t size) {
  out.resize(aligned(out.size(), size));
}

void append_text(std::string& out, std::string_view text) {
  pad(out, 4);
  core::append_le(out, static_cast<uint32_t>(text.size()));
  out.append(text).append(1, '\0');
}

void append_field(std::string& out, uint8_t code, char type, std::string_view text) {
  pad(out, 8);
  out.append({static_cast<char>(code), 1, type, 0});
  if (type == 'g') {
    out += static_cast<char>(text.size());
    out.append(text).append(1, '\0');
  } else {
    append_text(out, text);
  }
}

tl::unexpected<core::Error> system_error(std::string_view what, const std::string& path) {
  const bool is_absent = errno == ENOENT || errno == ECONNREFUSED || errno == EACCES;
  return fail(is_absent ? ErrorCode::NotFound : ErrorCode::Io, "{} {}: {}", what, path,
              std::strerror(errno));
}

}  // namespace

std::string_view DbusReader::take(size_t size) {
  if (!is_good_ || size > body_.size() - at_) {
    is_good_ = false;
    return {};
  }
  at_ += size;
  return body_.substr(at_ - size, size);
}

void DbusReader::align(size_t size) {
  take(aligned(at_, size) - at_);
}

uint64_t DbusReader::number(size_t size) {
  align(size);
  const std::string_view bytes = take(size);
  if (bytes.size() < size) return 0;
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), size);
  return value;
}

uint8_t DbusReader::byte() {
  const std::string_view bytes = take(1);
  return bytes.empty() ? 0 : static_cast<uint8_t>(bytes[0]);
}

std::string_view DbusReader::string() {
  const uint32_t size = uint32();
  const std::string_view text = take(size);
  take(1);
  return text;
}

std::string_view DbusReader::signature() {
  const uint8_t size = byte();
  const std::string_view text = take(size);
  take(1);
  return text;
}

size_t DbusReader::array_end(size_t element_alignment) {
  const uint32_t size = uint32();
  align(element_alignment);
  if (!is_good_ || size > body_.size() - at_) {
    is_good_ = false;
    return at_;
  }
  return at_ + size;
}

DbusValue read_variant(DbusReader& reader) {
  const std::string_view type = reader.signature();
  if (type == "s" || type == "o") return std::string(reader.string());
  if (type == "y") return static_cast<double>(reader.byte());
  if (type == "u" || type == "b") return static_cast<double>(reader.uint32());
  if (type == "i") return static_cast<double>(std::bit_cast<int32_t>(reader.uint32()));
  if (type == "t") return static_cast<double>(reader.uint64());
  if (type == "x") return static_cast<double>(std::bit_cast<int64_t>(reader.uint64()));
  if (type == "d") return std::bit_cast<double>(reader.uint64());
  return std::monostate();
}

Result<size_t> dbus_message_size(std::string_view head) {
  if (head.size() < kHeadSize) return fail(ErrorCode::InvalidArgument, "D-Bus: a short head");
  if (head[0] != 'l') {
    return fail(ErrorCode::Unsupported, "D-Bus: byte order '{}', expected 'l'", head[0]);
  }
  const size_t body = core::load_le<uint32_t>(head.substr(4));
  const size_t fields = core::load_le<uint32_t>(head.substr(12));
  if (body > kMessageSizeMax || fields > kMessageSizeMax) {
    return fail(ErrorCode::TooLarge, "D-Bus: a message of {} bytes, at most {} are read",
                body + fields, kMessageSizeMax);
  }
  return aligned(kHeadSize + fields, 8) + body;
}

Result<DbusMessage> parse_dbus_message(std::string_view bytes) {
  const size_t size = TRY(dbus_message_size(bytes));
  if (bytes.size() < size) return fail(ErrorCode::InvalidArgument, "D-Bus: a short message");
  const size_t body_size = core::load_le<uint32_t>(bytes.substr(4));
  DbusMessage message;
  message.kind = static_cast<DbusKind>(bytes[1]);
  DbusReader reader(bytes.substr(0, size - body_size));
  for (size_t i = 0; i < kHeadSize - 4; ++i) reader.byte();
  const size_t end = reader.array_end(8);
  while (reader.is_before(end)) {
    reader.align(8);
    const uint8_t code = reader.byte();
    // Fields are of the types o, s, g and u.
    DbusReader ahead = reader;
    const bool is_signature = ahead.signature() == "g";
    if (is_signature) {
      reader = ahead;
      reader.signature();
      continue;
    }
    const DbusValue value = read_variant(reader);
    if (std::holds_alternative<std::monostate>(value)) {
      return fail(ErrorCode::InvalidArgument, "D-Bus: an odd header field {}", code);
    }
    if (const auto* number = std::get_if<double>(&value); number && code == kReplySerial) {
      const bool is_serial = *number >= 0 && *number <= UINT32_MAX;
      message.reply_serial = is_serial ? static_cast<uint32_t>(*number) : 0;
    }
    if (const auto* text = std::get_if<std::string>(&value); text && code == kErrorName) {
      message.error_name = *text;
    }
  }
  if (!reader.is_good()) return fail(ErrorCode::InvalidArgument, "D-Bus: a malformed header");
  message.body = bytes.substr(size - body_size, body_size);
  return message;
}

std::string encode_dbus_call(const DbusCall& call, uint32_t serial) {
  std::string body;
  for (const std::string_view argument : call.arguments) append_text(body, argument);
  std::string fields;
  append_field(fields, kPath, 'o', call.path);
  append_field(fields, kInterface, 's', call.interface);
  append_field(fields, kMember, 's', call.member);
  append_field(fields, kDestination, 's', call.destination);
  if (!body.empty()) {
    append_field(fields, kSignature, 'g', std::string(call.arguments.size(), 's'));
  }
  std::string out = {'l', static_cast<char>(DbusKind::Call), 0, 1};
  core::append_le(out, static_cast<uint32_t>(body.size()));
  core::append_le(out, serial);
  core::append_le(out, static_cast<uint32_t>(fields.size()));
  out += fields;
  pad(out, 8);
  return out + body;
}

Result<DbusConnection> DbusConnection::connect(const std::string& socket_path, bool is_bus) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof(address.sun_path)) {
    return fail(ErrorCode::InvalidArgument, "the path {} is too long for a socket", socket_path);
  }
  socket_path.copy(address.sun_path, socket_path.size());
  DbusConnection connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connection.handle_ < 0) return system_error("socket", socket_path);
  const timeval patience{.tv_sec = kPatienceSeconds, .tv_usec = 0};
  ::setsockopt(connection.handle_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  ::setsockopt(connection.handle_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (::connect(connection.handle_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    return system_error("connect", socket_path);
  }
  TRY(connection.authenticate().context("{}", socket_path));
  if (is_bus) {
    TRY(connection.call({.destination = "org.freedesktop.DBus",
                         .path = "/org/freedesktop/DBus",
                         .interface = "org.freedesktop.DBus",
                         .member = "Hello",
                         .arguments = {}}));
  }
  return connection;
}

DbusConnection::DbusConnection(DbusConnection&& other) noexcept
    : handle_(std::exchange(other.handle_, -1)),
      serial_(other.serial_),
      received_(std::move(other.received_)) {}

DbusConnection::~DbusConnection() {
  if (handle_ >= 0) ::close(handle_);
}

Result<void> DbusConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(handle_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return fail(ErrorCode::Io, "D-Bus: send: {}", std::strerror(errno));
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return {};
}

Result<void> DbusConnection::receive_until(size_t size) {
  std::array<char, 16 << 10> buffer;
  while (received_.size() < size) {
    const ssize_t got = ::recv(handle_, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorCode::Io, "D-Bus: receive: {}", std::strerror(errno));
    if (got == 0) return fail(ErrorCode::Io, "D-Bus: the other side closed the connection");
    received_.append(buffer.data(), static_cast<size_t>(got));
  }
  return {};
}

// EXTERNAL: the kernel tells the other side who we are; the user id in hexadecimal ASCII.
Result<void> DbusConnection::authenticate() {
  std::string line(1, '\0');
  line += "AUTH EXTERNAL ";
  for (const char digit : std::to_string(::geteuid())) line += fmt::format("{:02x}", digit);
  TRY(send(line + "\r\n"));
  while (received_.find("\r\n") == received_.npos) TRY(receive_until(received_.size() + 1));
  if (!received_.starts_with("OK")) {
    return fail(ErrorCode::PermissionDenied, "D-Bus refuses this user: {}",
                received_.substr(0, received_.find('\r')));
  }
  received_.erase(0, received_.find("\r\n") + 2);
  return send("BEGIN\r\n");
}

Result<std::string> DbusConnection::call(const DbusCall& call) {
  const uint32_t serial = ++serial_;
  TRY(send(encode_dbus_call(call, serial)));
  while (true) {
    TRY(receive_until(kHeadSize));
    const size_t size = TRY(dbus_message_size(received_));
    TRY(receive_until(size));
    DbusMessage message = TRY(parse_dbus_message(received_));
    received_.erase(0, size);
    if (message.reply_serial != serial) continue;  // a signal, say
    if (message.kind == DbusKind::Return) return std::move(message.body);
    if (message.kind == DbusKind::Error) {
      return fail(ErrorCode::NotFound, "D-Bus: {}.{}: {}", call.interface, call.member,
                  message.error_name);
    }
  }
}

}  // namespace agent
