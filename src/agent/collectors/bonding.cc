// /sys/class/net/bonding_masters and the states of each bond's interfaces.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kSlaves = {"node_bonding_slaves", MetricType::Gauge,
                                "Number of configured slaves per bonding interface."};
constexpr MetricInfo kActive = {"node_bonding_active", MetricType::Gauge,
                                "Number of active slaves per bonding interface."};

// Newer kernels call the link lower_<name>, older ones slave_<name>.
bool is_active(const std::string& base, std::string_view slave) {
  for (const std::string_view prefix : {"/lower_", "/slave_"}) {
    const auto state =
        read_value(fmt::format("{}{}{}/bonding_slave/mii_status", base, prefix, slave));
    if (state) return *state == "up";
  }
  return false;
}

}  // namespace

std::unique_ptr<Collector> make_bonding_collector(const Settings& settings) {
  return make_simple_collector(
      "bonding",
      [folder = settings.roots().sys + "/class/net/"](Output& out) -> core::Result<void> {
        std::string masters;
        TRY(read_text(folder + "bonding_masters", masters));
        std::string_view rest = masters;
        for (std::string_view master = take_word(rest); !master.empty(); master = take_word(rest)) {
          const std::string base = folder + std::string(master);
          const std::string slaves = read_value(base + "/bonding/slaves").value_or("");
          double configured = 0;
          double active = 0;
          std::string_view names = slaves;
          for (std::string_view slave = take_word(names); !slave.empty();
               slave = take_word(names)) {
            ++configured;
            active += is_active(base, slave) ? 1 : 0;
          }
          out.add(kSlaves, {{"master", master}}, configured);
          out.add(kActive, {{"master", master}}, active);
        }
        return {};
      });
}

}  // namespace agent
