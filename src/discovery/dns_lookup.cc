#include "discovery/dns_lookup.h"

#include <algorithm>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <array>
#include <cstring>
#include <netinet/in.h>
#include <resolv.h>

namespace discovery {
namespace {

using core::ErrorCode;

struct TypeName {
  DnsType type;
  std::string_view name;
  ns_type code;
};
constexpr std::array<TypeName, 5> kTypes = {{{DnsType::Srv, "SRV", ns_t_srv},
                                             {DnsType::A, "A", ns_t_a},
                                             {DnsType::Aaaa, "AAAA", ns_t_aaaa},
                                             {DnsType::Mx, "MX", ns_t_mx},
                                             {DnsType::Ns, "NS", ns_t_ns}}};

const TypeName& entry_of(DnsType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [type](const TypeName& entry) { return entry.type == type; });
}

// A name inside the message, as text with a final dot.
core::Result<std::string> read_name(const ns_msg& message, const uint8_t* at) {
  std::array<char, NS_MAXDNAME> text{};
  if (ns_name_uncompress(ns_msg_base(message), ns_msg_end(message), at, text.data(), text.size()) <
      0) {
    return core::fail(ErrorCode::Corruption, "malformed name in a DNS answer");
  }
  std::string name(text.data());
  if (!name.ends_with('.')) name += '.';
  return name;
}

core::Result<DnsRecord> read_record(const ns_msg& message, const ns_rr& record, DnsType type) {
  const uint8_t* data = ns_rr_rdata(record);
  const size_t size = ns_rr_rdlen(record);
  const auto address = [&](int family, size_t expected) -> core::Result<DnsRecord> {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (size != expected || inet_ntop(family, data, text.data(), text.size()) == nullptr) {
      return core::fail(ErrorCode::Corruption, "address of {} bytes in a DNS answer", size);
    }
    return DnsRecord{text.data(), 0};
  };
  // How many bytes stand before the name.
  size_t name_at = 0;
  switch (type) {
    case DnsType::A:
      return address(AF_INET, 4);
    case DnsType::Aaaa:
      return address(AF_INET6, 16);
    case DnsType::Srv:
      name_at = 6;  // priority, weight, port
      break;
    case DnsType::Mx:
      name_at = 2;  // preference
      break;
    case DnsType::Ns:
      break;
  }
  if (size <= name_at) {
    return core::fail(ErrorCode::Corruption, "record of {} bytes in a DNS answer", size);
  }
  DnsRecord result;
  if (type == DnsType::Srv) result.port = static_cast<uint16_t>(data[4] << 8 | data[5]);
  result.target = TRY(read_name(message, data + name_at));
  return result;
}

class SystemResolver final : public DnsResolver {
 public:
  explicit SystemResolver(std::string server) : server_(std::move(server)) {}

  std::vector<std::string> candidates(const std::string& name) override {
    State state(server_);
    std::vector<std::string> search;
    for (const char* domain : state.res.dnsrch) {
      if (domain == nullptr) break;
      search.emplace_back(domain);
    }
    return search_candidates(name, search, static_cast<int>(state.res.ndots));
  }

  core::Result<DnsAnswer> ask(const std::string& name, DnsType type) override {
    State state(server_);
    if (!state.is_ready) return core::fail(ErrorCode::Unavailable, "resolv.conf cannot be read");
    std::array<uint8_t, NS_PACKETSZ> query{};
    const int query_size =
        res_nmkquery(&state.res, ns_o_query, name.c_str(), ns_c_in, entry_of(type).code, nullptr, 0,
                     nullptr, query.data(), query.size());
    if (query_size < 0) {
      return core::fail(ErrorCode::InvalidArgument, "\"{}\" is not a DNS name", name);
    }
    // What does not fit into a datagram is asked for over TCP by the library.
    std::vector<uint8_t> answer(NS_MAXMSG);
    const int size = res_nsend(&state.res, query.data(), query_size, answer.data(),
                               static_cast<int>(answer.size()));
    if (size < 0) {
      return core::fail(ErrorCode::Unavailable, "could not resolve {}: no server answered", name);
    }
    const auto taken = std::min(static_cast<size_t>(size), answer.size());
    return parse_dns_answer({reinterpret_cast<const char*>(answer.data()), taken}, type)
        .context("resolve {}", name);
  }

 private:
  // resolv.conf is read anew each time, as it changes on laptops and in containers.
  struct State {
    explicit State(const std::string& server) {
      is_ready = res_ninit(&res) == 0;
      constexpr int kTimeoutSeconds = 2;
      constexpr int kTries = 1;  // of each server; the next refresh is another one
      res.retrans = std::min(res.retrans, kTimeoutSeconds);
      res.retry = std::min(res.retry, kTries);
      if (is_ready && !server.empty()) use(server);
    }
    ~State() {
      if (is_ready) res_nclose(&res);
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    void use(const std::string& server) {
      const size_t colon = server.rfind(':');
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port =
          htons(static_cast<uint16_t>(std::strtoul(server.c_str() + colon + 1, nullptr, 10)));
      is_ready = colon != std::string::npos &&
                 inet_pton(AF_INET, server.substr(0, colon).c_str(), &address.sin_addr) == 1;
      res.nscount = 1;
      res.nsaddr_list[0] = address;
    }

    struct __res_state res{};
    bool is_ready = false;
  };

  const std::string server_;
};

}  // namespace

core::Result<DnsType> parse_dns_type(std::string_view name) {
  for (const TypeName& entry : kTypes) {
    if (entry.name.size() == name.size() &&
        strncasecmp(entry.name.data(), name.data(), name.size()) == 0) {
      return entry.type;
    }
  }
  return core::fail(ErrorCode::InvalidArgument, "invalid DNS-SD records type {}", name);
}

core::Result<DnsAnswer> parse_dns_answer(std::string_view bytes, DnsType type) {
  ns_msg message;
  if (bytes.size() > NS_MAXMSG || ns_initparse(reinterpret_cast<const uint8_t*>(bytes.data()),
                                               static_cast<int>(bytes.size()), &message) < 0) {
    return core::fail(ErrorCode::Corruption, "malformed DNS answer of {} bytes", bytes.size());
  }
  const int code = ns_msg_getflag(message, ns_f_rcode);
  DnsAnswer answer;
  if (code == ns_r_nxdomain) {
    answer.name_exists = false;
    return answer;
  }
  if (code != ns_r_noerror) {
    return core::fail(ErrorCode::Unavailable, "the server answered with code {}", code);
  }
  for (int i = 0; i < ns_msg_count(message, ns_s_an); ++i) {
    ns_rr record;
    if (ns_parserr(&message, ns_s_an, i, &record) < 0) {
      return core::fail(ErrorCode::Corruption, "malformed record {} in a DNS answer", i);
    }
    if (ns_rr_class(record) != ns_c_in || ns_rr_type(record) != entry_of(type).code) continue;
    answer.records.push_back(TRY(read_record(message, record, type)));
  }
  return answer;
}

std::vector<std::string> search_candidates(const std::string& name,
                                           const std::vector<std::string>& search, int ndots) {
  if (name.ends_with('.')) return {name};
  // "a.b" has two labels, and enough dots when ndots is 1.
  const bool is_first = std::count(name.begin(), name.end(), '.') >= ndots;
  std::vector<std::string> names;
  if (is_first) names.push_back(name + '.');
  for (const std::string& domain : search) {
    if (domain.empty() || domain == ".") continue;
    names.push_back(name + '.' + domain + (domain.ends_with('.') ? "" : "."));
  }
  if (!is_first) names.push_back(name + '.');
  return names;
}

core::Result<std::vector<DnsRecord>> look_up(DnsResolver& resolver, const std::string& name,
                                             DnsType type) {
  std::string problem;
  for (const std::string& candidate : resolver.candidates(name)) {
    auto answer = resolver.ask(candidate, type);
    if (!answer) {
      problem = answer.error().message;
    } else if (answer->name_exists) {
      return std::move(answer->records);
    }
  }
  if (problem.empty()) return std::vector<DnsRecord>();
  return core::fail(ErrorCode::Unavailable, "could not resolve \"{}\": {}", name, problem);
}

std::unique_ptr<DnsResolver> system_dns_resolver(std::string server) {
  return std::make_unique<SystemResolver>(std::move(server));
}

}  // namespace discovery
