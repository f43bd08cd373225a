// /proc/net/udp and udp6: the column tx_queue:rx_queue, hexadecimal bytes.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kQueues = {
    "node_udp_queues", MetricType::Gauge,
    "Number of allocated memory in the kernel for UDP datagrams in bytes."};

}  // namespace

std::unique_ptr<Collector> make_udp_queues_collector(const Settings& settings) {
  return make_simple_collector(
      "udp_queues", [folder = settings.roots().proc + "/net/"](Output& out) -> core::Result<void> {
        bool found = false;
        std::string text;
        for (const auto& [file, version] : {std::pair("udp", "v4"), std::pair("udp6", "v6")}) {
          if (!read_text(folder + file, text)) continue;  // a kernel without IPv6
          found = true;
          double sent = 0;
          double received = 0;
          std::string_view rest = text;
          take_line(rest);  // the head
          while (!rest.empty()) {
            std::string_view line = take_line(rest);
            for (int i = 0; i < 4; ++i) take_word(line);
            const std::string_view queues = take_word(line);
            const size_t colon = queues.find(':');
            if (colon == queues.npos) continue;
            sent += to_number("0x" + std::string(queues.substr(0, colon))).value_or(0);
            received += to_number("0x" + std::string(queues.substr(colon + 1))).value_or(0);
          }
          out.add(kQueues, {{"queue", "tx"}, {"ip", version}}, sent);
          out.add(kQueues, {{"queue", "rx"}, {"ip", version}}, received);
        }
        if (!found) return core::fail(core::ErrorCode::NotFound, "no udp in {}", folder);
        return {};
      });
}

}  // namespace agent
