// /proc/net/softnet_stat: a line of hexadecimal columns per CPU (net/core/net-procfs.c).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

struct Column {
  size_t index;
  MetricInfo metric;
};
constexpr Column kColumns[] = {
    {0, {"node_softnet_processed_total", MetricType::Counter, "Number of processed packets"}},
    {1, {"node_softnet_dropped_total", MetricType::Counter, "Number of dropped packets"}},
    {2,
     {"node_softnet_times_squeezed_total", MetricType::Counter,
      "Number of times processing packets ran out of quota"}},
    {8,
     {"node_softnet_cpu_collision_total", MetricType::Counter,
      "Number of collision occur while obtaining device lock while transmitting"}},
    {9,
     {"node_softnet_received_rps_total", MetricType::Counter,
      "Number of times cpu woken up received_rps"}},
    {10,
     {"node_softnet_flow_limit_count_total", MetricType::Counter,
      "Number of times flow limit has been reached"}},
    {11, {"node_softnet_backlog_len", MetricType::Gauge, "Softnet backlog status"}},
};
constexpr size_t kCpuColumn = 12;  // since Linux 5.10; before, lines stand in order

}  // namespace

std::unique_ptr<Collector> make_softnet_collector(const Settings& settings) {
  return make_simple_collector(
      "softnet",
      [path = settings.roots().proc + "/net/softnet_stat"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view rest = text;
        std::vector<double> values;
        for (int row = 0; !rest.empty(); ++row) {
          std::string_view line = take_line(rest);
          values.clear();
          for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
            values.push_back(to_number("0x" + std::string(word)).value_or(0));
          }
          const std::string cpu = std::to_string(
              values.size() > kCpuColumn ? static_cast<int>(values[kCpuColumn]) : row);
          for (const Column& column : kColumns) {
            if (column.index < values.size())
              out.add(column.metric, {{"cpu", cpu}}, values[column.index]);
          }
        }
        return {};
      });
}

}  // namespace agent
