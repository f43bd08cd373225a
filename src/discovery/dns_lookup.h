// DNS lookups by record type: libresolv asks, this file reads the answers.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace discovery {

enum class DnsType : uint8_t { Srv, A, Aaaa, Mx, Ns };
// "SRV", "a", ...
core::Result<DnsType> parse_dns_type(std::string_view name);

struct DnsRecord {
  std::string target;  // a name with its final dot, or an address
  uint16_t port = 0;   // of SRV

  bool operator==(const DnsRecord&) const = default;
};

struct DnsAnswer {
  bool name_exists = true;         // false: NXDOMAIN
  std::vector<DnsRecord> records;  // of the type asked for
};

// Reads a DNS message (RFC 1035). Records of other types, such as CNAME, are left out.
// Unavailable for answers that tell nothing (SERVFAIL, REFUSED); Corruption for messages
// that are cut.
core::Result<DnsAnswer> parse_dns_answer(std::string_view message, DnsType type);

// Thread-safe.
class DnsResolver {
 public:
  virtual ~DnsResolver() = default;
  // Names to ask for in turn until one exists: those of the search list of resolv.conf,
  // the name itself first when it has enough dots.
  virtual std::vector<std::string> candidates(const std::string& name) = 0;
  // Blocks. `name` ends with a dot.
  virtual core::Result<DnsAnswer> ask(const std::string& name, DnsType type) = 0;
};

// The system's resolver: /etc/resolv.conf, LOCALDOMAIN, RES_OPTIONS. `server`
// ("127.0.0.1:5353") is asked instead of the configured ones unless it is empty.
std::unique_ptr<DnsResolver> system_dns_resolver(std::string server);

// The names to ask for, given what resolv.conf says.
std::vector<std::string> search_candidates(const std::string& name,
                                           const std::vector<std::string>& search, int ndots);

// The records of the first candidate that exists; none when all do not exist. An error
// when no candidate exists and one of them could not be asked for.
core::Result<std::vector<DnsRecord>> look_up(DnsResolver& resolver, const std::string& name,
                                             DnsType type);

}  // namespace discovery
