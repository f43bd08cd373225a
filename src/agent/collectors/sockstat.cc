// /proc/net/sockstat and sockstat6: "TCP: inuse 5 orphan 0 tw 3 alloc 7 mem 2".

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <fmt/core.h>
#include <unistd.h>

namespace agent {

namespace {

class SockstatCollector final : public Collector {
 public:
  explicit SockstatCollector(const Roots& roots)
      : folder_(roots.proc + "/net/"), page_size_(static_cast<double>(::getpagesize())) {}

  std::string_view name() const override { return "sockstat"; }

  core::Result<void> collect(Output& out) override {
    TRY(read_text(folder_ + "sockstat", text_));
    add_all(out);
    // A kernel without IPv6 has no such file.
    if (read_text(folder_ + "sockstat6", text_)) add_all(out);
    return {};
  }

 private:
  void add_all(Output& out) {
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      std::string_view protocol = take_word(line);
      if (!protocol.ends_with(':')) continue;
      protocol.remove_suffix(1);
      while (true) {
        const std::string_view state = take_word(line);
        const std::optional<double> value = to_number(take_word(line));
        if (state.empty() || !value) break;
        if (protocol == "sockets") {
          // All IPv4 sockets, whatever their protocol.
          out.add("node_sockstat_sockets_used", model::MetricType::Gauge,
                  "Number of IPv4 sockets in use.", {}, *value);
          continue;
        }
        add(out, protocol, state, *value);
        // "mem" counts pages.
        if (state == "mem") add(out, protocol, "mem_bytes", *value * page_size_);
      }
    }
  }

  static void add(Output& out, std::string_view protocol, std::string_view state, double value) {
    out.add(fmt::format("node_sockstat_{}_{}", protocol, state), model::MetricType::Gauge,
            fmt::format("Number of {} sockets in state {}.", protocol, state), {}, value);
  }

  const std::string folder_;
  const double page_size_;
  std::string text_;
};

}  // namespace

std::unique_ptr<Collector> make_sockstat_collector(const Settings& settings) {
  return std::make_unique<SockstatCollector>(settings.roots());
}

}  // namespace agent
