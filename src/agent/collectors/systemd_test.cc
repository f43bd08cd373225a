// The systemd collector against a bus that answers as systemd 252 does.

#include "agent/collectors/dbus.h"
#include "agent/collectors/table.h"
#include "agent/testing/record.h"
#include "core/bytes.h"
#include "core/clock.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace agent {
namespace {

void pad(std::string& out, size_t size) {
  out.resize((out.size() + size - 1) / size * size);
}

void text(std::string& out, std::string_view value) {
  pad(out, 4);
  core::append_le(out, static_cast<uint32_t>(value.size()));
  out.append(value).append(1, '\0');
}

std::string variant(std::string_view value) {
  std::string out("\1s\0", 3);
  text(out, value);
  return out;
}

std::string variant(uint32_t value) {
  std::string out("\1u\0", 3);
  pad(out, 4);
  core::append_le(out, value);
  return out;
}

std::string variant(uint64_t value) {
  std::string out("\1t\0", 3);
  pad(out, 8);
  core::append_le(out, value);
  return out;
}

std::string unit_list() {
  std::string units;
  const auto add = [&units](const char* name, const char* state, const char* path) {
    pad(units, 8);
    for (const char* value : {name, "What it is", "loaded", state, "running", "", path}) {
      text(units, value);
    }
    pad(units, 4);
    core::append_le(units, uint32_t{0});
    text(units, "");
    text(units, "/");
  };
  add("ssh.service", "active", "/u/ssh");
  add("ssh.socket", "inactive", "/u/socket");
  add("apt.timer", "failed", "/u/apt");
  add("dev-sda.device", "active", "/u/device");
  std::string out;
  core::append_le(out, static_cast<uint32_t>(units.size()));
  pad(out, 8);
  return out + units;
}

std::string reply(uint32_t serial, const std::string& body, DbusKind kind = DbusKind::Return) {
  std::string fields("\5\1u\0", 4);
  core::append_le(fields, serial);
  std::string out = {'l', static_cast<char>(kind), 1, 1};
  core::append_le(out, static_cast<uint32_t>(body.size()));
  core::append_le(out, uint32_t{99});
  core::append_le(out, static_cast<uint32_t>(fields.size()));
  out += fields;
  pad(out, 8);
  return out + body;
}

// What systemd answers to a call, by the words that stand in it.
std::string answer_to(std::string_view call) {
  const auto has = [call](std::string_view word) { return call.find(word) != call.npos; };
  if (has("Hello")) return variant(":1.5").substr(3);
  if (has("ListUnits")) return unit_list();
  if (has("SystemState")) return variant("running");
  if (has("Version")) return variant("252.38-1~deb12u1");
  if (has("NAccepted")) return variant(uint32_t{7});
  if (has("NConnections")) return variant(uint32_t{2});
  if (has("NRefused")) return variant(uint32_t{1});
  if (has("LastTriggerUSec")) return variant(uint64_t{1'700'000'000'500'000});
  if (has("Type")) return variant("notify");
  return "";
}

void serve(int listener) {
  const int socket = ::accept(listener, nullptr, nullptr);
  std::string received;
  const auto receive = [&] {
    char buffer[4096];
    const ssize_t got = ::recv(socket, buffer, sizeof(buffer), 0);
    if (got > 0) received.append(buffer, static_cast<size_t>(got));
    return got > 0;
  };
  const auto send = [socket](std::string_view bytes) {
    CHECK(::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(bytes.size()));
  };
  while (received.find("\r\n") == received.npos && receive()) {
  }
  CHECK(received.starts_with(std::string("\0AUTH EXTERNAL ", 15)));
  send("OK 0123456789abcdef\r\n");
  while (received.find("BEGIN\r\n") == received.npos && receive()) {
  }
  received.erase(0, received.find("BEGIN\r\n") + 7);
  while (true) {
    while (received.size() >= 16 && received.size() >= *dbus_message_size(received)) {
      const size_t size = *dbus_message_size(received);
      const std::string call = received.substr(0, size);
      received.erase(0, size);
      const auto serial = core::load_le<uint32_t>(std::string_view(call).substr(8));
      send(reply(serial + 1000, "", DbusKind::Signal));  // not for this call
      const std::string body = answer_to(call);
      send(reply(serial, body, body.empty() ? DbusKind::Error : DbusKind::Return));
    }
    if (!receive()) break;
  }
  ::close(socket);
}

TEST_CASE("units, sockets, timers and the system's state are read over D-Bus") {
  const std::string run = fmt::format("/tmp/petrel_systemd_test.{}", ::getpid());
  REQUIRE(::system(("mkdir -p " + run + "/dbus").c_str()) == 0);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  (run + "/dbus/system_bus_socket").copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  std::thread server([listener] { serve(listener); });
  const core::SystemClock clock;
  CollectorOptions options;
  options.roots.run = run;
  options.disable_defaults = true;
  options.chosen["systemd"] = true;
  auto made = make_collectors(options, clock);
  REQUIRE(made);
  testing::RecordingOutput output;
  const auto result = made->front()->collect(output);
  server.join();
  ::close(listener);
  REQUIRE(::system(("rm -r " + run).c_str()) == 0);
  REQUIRE_MESSAGE(result, result.error().message);
  for (const char* line : {
           R"(node_systemd_unit_state{name="ssh.service",state="active",type="notify"} 1)",
           R"(node_systemd_unit_state{name="ssh.service",state="failed",type="notify"} 0)",
           R"(node_systemd_unit_state{name="apt.timer",state="failed",type=""} 1)",
           R"(node_systemd_units{state="active"} 2)",
           R"(node_systemd_units{state="activating"} 0)",
           R"(node_systemd_system_running 1)",
           R"(node_systemd_version{version="252.38-1~deb12u1"} 252.38)",
           R"(node_systemd_socket_accepted_connections_total{name="ssh.socket"} 7)",
           R"(node_systemd_socket_current_connections{name="ssh.socket"} 2)",
           R"(node_systemd_socket_refused_connections_total{name="ssh.socket"} 1)",
           R"(node_systemd_timer_last_trigger_seconds{name="apt.timer"} 1700000000.5)",
       }) {
    CAPTURE(line);
    CHECK(output.text().find(std::string(line) + "\n") != std::string::npos);
  }
  CHECK(output.text().find("dev-sda.device") == std::string::npos);
}

TEST_CASE("a host without systemd is NotFound") {
  const core::SystemClock clock;
  CollectorOptions options;
  options.roots.run = "/nonexistent";
  options.disable_defaults = true;
  options.chosen["systemd"] = true;
  auto made = make_collectors(options, clock);
  REQUIRE(made);
  testing::RecordingOutput output;
  const auto result = made->front()->collect(output);
  REQUIRE(!result);
  CHECK(result.error().code == core::ErrorCode::NotFound);
}

TEST_CASE("a message cut anywhere, or with odd lengths, is an error and no crash") {
  const std::string whole = reply(5, variant("text"));
  for (size_t size = 0; size < whole.size(); ++size) {
    CHECK(!parse_dbus_message(std::string_view(whole).substr(0, size)));
  }
  const auto message = parse_dbus_message(whole);
  REQUIRE(message);
  CHECK(message->reply_serial == 5);
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string odd = whole;
    odd[at] = '\xff';
    const auto result = parse_dbus_message(odd);
    if (!result) continue;
    DbusReader reader(result->body);
    (void)read_variant(reader);
  }
}

}  // namespace
}  // namespace agent
