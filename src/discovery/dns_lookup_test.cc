#include "discovery/dns_lookup.h"

#include "core/log.h"
#include "discovery/dns_provider.h"
#include "discovery/testing/provider_run.h"

#include <algorithm>
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <map>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

namespace discovery {
namespace {

void append_u16(std::string& out, uint32_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

std::string name_bytes(const std::string& name) {
  std::string out;
  for (size_t start = 0; start < name.size();) {
    const size_t dot = name.find('.', start);
    out += static_cast<char>(dot - start);
    out += name.substr(start, dot - start);
    start = dot + 1;
  }
  return out + '\0';
}

struct RawRecord {
  uint16_t type;
  std::string data;
};

std::string srv(uint16_t port, const std::string& target) {
  std::string data;
  append_u16(data, 10);
  append_u16(data, 5);
  append_u16(data, port);
  return data + name_bytes(target);
}

// The answer to `query` (or to nothing): a message with these records.
std::string message(int code, const std::vector<RawRecord>& records, std::string_view query = {}) {
  std::string out(query.empty() ? std::string("\x12\x34", 2) : std::string(query.substr(0, 2)));
  append_u16(out, 0x8180 | static_cast<uint32_t>(code));
  append_u16(out, 1);
  append_u16(out, static_cast<uint32_t>(records.size()));
  append_u16(out, 0);
  append_u16(out, 0);
  out += query.empty() ? name_bytes("q.test.") + std::string("\0\1\0\1", 4)
                       : std::string(query.substr(12));
  for (const RawRecord& record : records) {
    append_u16(out, 0xc00c);  // the name of the question
    append_u16(out, record.type);
    append_u16(out, 1);
    append_u16(out, 0);
    append_u16(out, 60);
    append_u16(out, static_cast<uint32_t>(record.data.size()));
    out += record.data;
  }
  return out;
}

constexpr uint16_t kA = 1;
constexpr uint16_t kNs = 2;
constexpr uint16_t kCname = 5;
constexpr uint16_t kMx = 15;
constexpr uint16_t kAaaa = 28;
constexpr uint16_t kSrv = 33;

TEST_CASE("records of the type asked for are read, others are left out") {
  const auto records = [](DnsType type, const std::vector<RawRecord>& raw) {
    const auto answer = parse_dns_answer(message(0, raw), type);
    REQUIRE(answer.has_value());
    return answer->records;
  };
  CHECK(records(DnsType::Srv, {{kSrv, srv(9100, "a.test.")}, {kSrv, srv(9101, "b.test.")}}) ==
        std::vector<DnsRecord>{{"a.test.", 9100}, {"b.test.", 9101}});
  CHECK(records(DnsType::A, {{kCname, name_bytes("x.test.")}, {kA, "\x7f\x01\x02\x03"}}) ==
        std::vector<DnsRecord>{{"127.1.2.3", 0}});
  CHECK(records(DnsType::Aaaa, {{kAaaa, std::string(15, '\0') + '\1'}}) ==
        std::vector<DnsRecord>{{"::1", 0}});
  CHECK(records(DnsType::Mx, {{kMx, std::string("\0\n", 2) + name_bytes("mail.test.")}}) ==
        std::vector<DnsRecord>{{"mail.test.", 0}});
  CHECK(records(DnsType::Ns, {{kNs, name_bytes("ns.test.")}}) ==
        std::vector<DnsRecord>{{"ns.test.", 0}});
}

TEST_CASE("the code of an answer decides what it tells") {
  CHECK_FALSE(parse_dns_answer(message(3, {}), DnsType::A)->name_exists);
  CHECK(parse_dns_answer(message(0, {}), DnsType::A)->name_exists);
  CHECK(parse_dns_answer(message(2, {}), DnsType::A).error().message ==
        "the server answered with code 2");
}

TEST_CASE("an answer cut at any byte is an error") {
  const std::string whole = message(0, {{kSrv, srv(9100, "a.test.")}, {kA, "\x7f\x01\x02\x03"}});
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse_dns_answer(whole.substr(0, size), DnsType::Srv).has_value());
  }
  CHECK_FALSE(parse_dns_answer(message(0, {{kA, "\x7f"}}), DnsType::A).has_value());
  CHECK_FALSE(parse_dns_answer(message(0, {{kSrv, "123456"}}), DnsType::Srv).has_value());
}

TEST_CASE("names are completed as resolv.conf says") {
  using Names = std::vector<std::string>;
  const Names search = {"a.test", "b.test."};
  CHECK(search_candidates("x.", search, 1) == Names{"x."});
  CHECK(search_candidates("x", search, 1) == Names{"x.a.test.", "x.b.test.", "x."});
  CHECK(search_candidates("x.y", search, 1) == Names{"x.y.", "x.y.a.test.", "x.y.b.test."});
  CHECK(search_candidates("x.y", search, 2) == Names{"x.y.a.test.", "x.y.b.test.", "x.y."});
}

// Knows some names; every other one does not exist, unless it fails.
class TableResolver final : public DnsResolver {
 public:
  struct Table {
    std::map<std::string, std::vector<DnsRecord>> records;
    std::vector<std::string> failing;
    std::vector<std::string> asked;
    core::testing::FakeClock* clock = nullptr;
    int64_t takes_ms = 0;  // by `clock`
  };
  explicit TableResolver(std::shared_ptr<Table> table) : table_(std::move(table)) {}
  std::vector<std::string> candidates(const std::string& name) override {
    return search_candidates(name, {"first.test", "second.test"}, 1);
  }
  core::Result<DnsAnswer> ask(const std::string& name, DnsType) override {
    table_->asked.push_back(name);
    if (table_->clock != nullptr) table_->clock->advance_ms(table_->takes_ms);
    if (std::count(table_->failing.begin(), table_->failing.end(), name) > 0) {
      return core::fail(core::ErrorCode::Unavailable, "no server answered");
    }
    const auto found = table_->records.find(name);
    if (found == table_->records.end()) return DnsAnswer{false, {}};
    return DnsAnswer{true, found->second};
  }

 private:
  std::shared_ptr<Table> table_;
};

TEST_CASE("the first name of the search list that exists is the answer") {
  const auto table = std::make_shared<TableResolver::Table>();
  TableResolver resolver(table);
  table->records["x.second.test."] = {{"127.0.0.1", 0}};
  CHECK(look_up(resolver, "x", DnsType::A)->size() == 1);
  CHECK(table->asked == std::vector<std::string>{"x.first.test.", "x.second.test."});
  table->failing = {"x.first.test."};
  CHECK(look_up(resolver, "x", DnsType::A)->size() == 1);
  table->records.clear();
  CHECK(look_up(resolver, "x", DnsType::A).error().message ==
        "could not resolve \"x\": no server answered");
  table->failing.clear();
  CHECK(look_up(resolver, "x", DnsType::A)->empty());
}

struct DnsRun : testing::ProviderRun {
  std::shared_ptr<TableResolver::Table> table = std::make_shared<TableResolver::Table>();

  void begin(const std::string& type, std::vector<std::string> names, uint16_t port = 0) {
    config::DnsDiscovery config;
    config.names = std::move(names);
    config.type = type;
    config.port = port;
    auto made = make_dns_provider(config, "job/2", parts, std::make_unique<TableResolver>(table));
    REQUIRE(made.has_value());
    start(std::move(*made));
    scheduler.run_due();
  }
  std::string target(const std::string& source, size_t index) {
    return groups.at(source).targets.at(index).to_string();
  }
};

TEST_CASE("targets of each record type carry their meta labels") {
  DnsRun run;
  run.table->records["_p._tcp.test."] = {{"a.test.", 9100}, {"b.test.", 9101}};
  run.begin("SRV", {"_p._tcp.test."});
  CHECK(run.target("_p._tcp.test.", 1) ==
        R"({__address__="b.test:9101", __meta_dns_name="_p._tcp.test.", )"
        R"(__meta_dns_srv_record_port="9101", __meta_dns_srv_record_target="b.test."})");
  const auto only_target = [](const std::string& type, const std::string& target) {
    DnsRun other;
    other.table->records["n.test."] = {{target, 0}};
    other.begin(type, {"n.test"}, 80);
    return other.target("n.test", 0);
  };
  CHECK(only_target("a", "10.0.0.1") == R"({__address__="10.0.0.1:80", __meta_dns_name="n.test"})");
  CHECK(only_target("AAAA", "::1") == R"({__address__="[::1]:80", __meta_dns_name="n.test"})");
  CHECK(only_target("MX", "m.test.") ==
        R"({__address__="m.test:80", __meta_dns_mx_record_target="m.test.", )"
        R"(__meta_dns_name="n.test"})");
  CHECK(only_target("NS", "s.test.") == R"({__address__="s.test:80", __meta_dns_name="n.test", )"
                                        R"(__meta_dns_ns_record_target="s.test."})");
}

TEST_CASE("a name that cannot be resolved keeps its targets, one that is gone loses them") {
  core::set_log_level(static_cast<core::LogLevel>(100));
  DnsRun run;
  run.table->records["a.test."] = {{"10.0.0.1", 0}};
  run.table->records["b.test."] = {{"10.0.0.2", 0}};
  run.begin("A", {"a.test.", "b.test."}, 80);
  run.table->failing = {"a.test."};
  run.table->records["b.test."] = {{"10.0.0.3", 0}};
  run.scheduler.run_for(30'000);
  CHECK(run.addresses("a.test.") == "10.0.0.1:80");
  CHECK(run.addresses("b.test.") == "10.0.0.3:80");
  CHECK(run.provider->status().invalid ==
        std::vector<std::string>{"could not resolve \"a.test.\": no server answered"});
  run.table->failing = {"a.test.", "b.test."};
  run.scheduler.run_for(30'000);
  CHECK(run.provider->status().last_error == "could not resolve \"a.test.\": no server answered");
  CHECK(run.addresses("b.test.") == "10.0.0.3:80");
  run.table->failing.clear();
  run.table->records.erase("b.test.");
  run.scheduler.run_for(30'000);
  CHECK(run.addresses("a.test.") == "10.0.0.1:80");
  CHECK(run.addresses("b.test.") == "none");
  CHECK(run.provider->status().last_error.empty());
  core::set_log_level(core::LogLevel::Info);
}

TEST_CASE("names that a slow server leaves no time for come first the next time") {
  DnsRun run;
  for (const char* name : {"a.test.", "b.test.", "c.test."}) {
    run.table->records[name] = {{"10.0.0.1", 0}};
  }
  run.begin("A", {"a.test.", "b.test.", "c.test."}, 80);
  run.table->asked.clear();
  run.table->clock = &run.clock;
  run.table->takes_ms = 6'000;
  run.scheduler.run_for(30'000);
  CHECK(run.table->asked == std::vector<std::string>{"a.test.", "b.test."});
  CHECK(run.addresses("c.test.") == "10.0.0.1:80");
  CHECK(run.provider->status().invalid ==
        std::vector<std::string>{"could not resolve \"c.test.\": other names took too long"});
  run.table->takes_ms = 0;
  run.table->asked.clear();
  run.scheduler.run_for(30'000);
  CHECK(run.table->asked.front() == "c.test.");
  CHECK(run.provider->status().invalid.empty());
}

// A DNS server on a loopback port, over UDP, that gives every question one answer.
class TinyServer {
 public:
  TinyServer(int code, std::vector<RawRecord> records) {
    fd_ = ::socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, code, records = std::move(records)] { serve(code, records); });
  }
  ~TinyServer() {
    ::shutdown(fd_, SHUT_RDWR);  // ends recvfrom
    thread_.join();
    ::close(fd_);
  }
  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  void serve(int code, const std::vector<RawRecord>& records) const {
    std::string query(512, '\0');
    while (true) {
      sockaddr_in from{};
      socklen_t size = sizeof from;
      const ssize_t got =
          ::recvfrom(fd_, query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (got <= 12) return;
      const std::string answer =
          message(code, records, std::string_view(query).substr(0, static_cast<size_t>(got)));
      ::sendto(fd_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }

  int fd_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

TEST_CASE("the system's resolver asks a server and reads its answer") {
  const TinyServer server(0, {{kSrv, srv(9100, "a.test.")}});
  const auto resolver = system_dns_resolver(server.address());
  const auto answer = resolver->ask("_x._tcp.test.", DnsType::Srv);
  REQUIRE_MESSAGE(answer.has_value(), answer.error().message);
  CHECK(answer->records == std::vector<DnsRecord>{{"a.test.", 9100}});
  CHECK(resolver->ask(std::string(300, 'x') + ".", DnsType::A)
            .error()
            .message.ends_with("is not a DNS name"));
}

TEST_CASE("the system's resolver tells a missing name from a server that fails") {
  const TinyServer missing(3, {});
  CHECK_FALSE(system_dns_resolver(missing.address())->ask("x.test.", DnsType::A)->name_exists);
  const TinyServer failing(2, {});
  CHECK_FALSE(system_dns_resolver(failing.address())->ask("x.test.", DnsType::A).has_value());
}

}  // namespace
}  // namespace discovery
