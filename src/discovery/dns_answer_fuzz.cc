#include "discovery/dns_lookup.h"

#include <cstdint>
#include <string_view>

// The first byte chooses the record type.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto type = static_cast<discovery::DnsType>(data[0] % 5);
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto answer = discovery::parse_dns_answer(bytes, type);
  if (!answer) return 0;
  for (const discovery::DnsRecord& record : answer->records) {
    const bool is_name = type == discovery::DnsType::Srv || type == discovery::DnsType::Mx ||
                         type == discovery::DnsType::Ns;
    ENSURE(!record.target.empty());
    ENSURE(!is_name || record.target.ends_with('.'));
  }
  return 0;
}
