// /proc/net/{netstat,snmp}: pairs of lines "Tcp: name name ..." and "Tcp: 1 2 ...";
// /proc/net/snmp6: "Ip6InOctets 123". Only the fields that --collector.netstat.fields names.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <fmt/core.h>

namespace agent {

namespace {

class NetstatCollector final : public Collector {
 public:
  explicit NetstatCollector(const Settings& settings)
      : folder_(settings.roots().proc + "/net/"), fields_(settings.pattern("netstat.fields")) {}

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
    if (!fields_.matches(field_)) return;
    const std::optional<double> number = to_number(value);
    if (!number) return;
    out.add("node_netstat_" + field_, model::MetricType::Unknown,
            fmt::format("Statistic {}{}.", protocol, field), {}, *number);
  }

  const std::string folder_;
  const Pattern fields_;
  std::string text_;
  std::string field_;
};

}  // namespace

std::unique_ptr<Collector> make_netstat_collector(const Settings& settings) {
  return std::make_unique<NetstatCollector>(settings);
}

}  // namespace agent
