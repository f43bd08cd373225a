// /proc/net/{netstat,snmp}: pairs of lines "Tcp: name name ..." and "Tcp: 1 2 ...";
// /proc/net/snmp6: "Ip6InOctets 123". Only the fields node_exporter takes by default.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <algorithm>
#include <fmt/core.h>

namespace agent {

namespace {

// node_exporter's --collector.netstat.fields, by protocol; "*" at the end: any rest.
constexpr std::string_view kWanted[] = {
    "Ip_Forwarding",      "Ip6_InOctets",      "Ip6_OutOctets",      "IpExt_InOctets",
    "IpExt_OutOctets",    "Icmp_InMsgs",       "Icmp_OutMsgs",       "Icmp6_InMsgs",
    "Icmp6_OutMsgs",      "TcpExt_Listen*",    "TcpExt_Syncookies*", "TcpExt_TCPSynRetrans",
    "TcpExt_TCPTimeouts", "Tcp_ActiveOpens",   "Tcp_InSegs",         "Tcp_OutSegs",
    "Tcp_OutRsts",        "Tcp_PassiveOpens",  "Tcp_RetransSegs",    "Tcp_CurrEstab",
    "Udp_InDatagrams",    "Udp_OutDatagrams",  "Udp_NoPorts",        "Udp_RcvbufErrors",
    "Udp_SndbufErrors",   "Udp6_InDatagrams",  "Udp6_OutDatagrams",  "Udp6_NoPorts",
    "Udp6_RcvbufErrors",  "Udp6_SndbufErrors",
};

bool is_wanted(std::string_view field) {
  if (field.ends_with("_InErrors") || field.ends_with("_InErrs")) return true;
  return std::any_of(std::begin(kWanted), std::end(kWanted), [field](std::string_view wanted) {
    if (!wanted.ends_with('*')) return field == wanted;
    return field.starts_with(wanted.substr(0, wanted.size() - 1));
  });
}

class NetstatCollector final : public Collector {
 public:
  explicit NetstatCollector(const Roots& roots) : folder_(roots.proc + "/net/") {}

  std::string_view name() const override { return "netstat"; }

  core::Result<void> collect(Output& out) override {
    for (const char* file : {"netstat", "snmp"}) {
      TRY(read_text(folder_ + file, text_));
      std::string_view rest = text_;
      while (!rest.empty()) {
        std::string_view names = take_line(rest);
        std::string_view values = take_line(rest);
        std::string_view protocol = take_word(names);
        if (protocol != take_word(values) || !protocol.ends_with(':')) {
          return core::fail(core::ErrorCode::Io, "{}{}: \"{}\" has no line of values", folder_,
                            file, protocol);
        }
        protocol.remove_suffix(1);
        while (true) {
          const std::string_view field = take_word(names);
          const std::string_view value = take_word(values);
          if (field.empty() || value.empty()) break;
          add(out, protocol, field, value);
        }
      }
    }
    // A kernel without IPv6 has no such file.
    if (!read_text(folder_ + "snmp6", text_)) return {};
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      const std::string_view word = take_word(line);
      // "Icmp6InErrors": the protocol ends with the first 6.
      const size_t six = word.find('6');
      if (six == word.npos) continue;
      add(out, word.substr(0, six + 1), word.substr(six + 1), take_word(line));
    }
    return {};
  }

 private:
  void add(Output& out, std::string_view protocol, std::string_view field, std::string_view value) {
    field_.assign(protocol).append("_").append(field);
    if (!is_wanted(field_)) return;
    const std::optional<double> number = to_number(value);
    if (!number) return;
    out.add("node_netstat_" + field_, model::MetricType::Unknown,
            fmt::format("Statistic {}{}.", protocol, field), {}, *number);
  }

  const std::string folder_;
  std::string text_;
  std::string field_;
};

}  // namespace

std::unique_ptr<Collector> make_netstat_collector(const Roots& roots) {
  return std::make_unique<NetstatCollector>(roots);
}

}  // namespace agent
