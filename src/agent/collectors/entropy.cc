// /proc/sys/kernel/random.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kAvailable = {"node_entropy_available_bits", MetricType::Gauge,
                                   "Bits of available entropy."};
constexpr MetricInfo kPoolSize = {"node_entropy_pool_size_bits", MetricType::Gauge,
                                  "Bits of entropy pool."};

}  // namespace

std::unique_ptr<Collector> make_entropy_collector(const Settings& settings) {
  return make_simple_collector(
      "entropy",
      [folder = settings.roots().proc + "/sys/kernel/random/"](Output& out) -> core::Result<void> {
        for (const auto& [file, metric] :
             {std::pair("entropy_avail", &kAvailable), std::pair("poolsize", &kPoolSize)}) {
          std::string text;
          TRY(read_text(folder + file, text));
          std::string_view line = text;
          if (const auto value = to_number(take_word(line))) out.add(*metric, *value);
        }
        return {};
      });
}

}  // namespace agent
