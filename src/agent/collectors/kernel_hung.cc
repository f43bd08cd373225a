// /proc/sys/kernel/hung_task_detect_count: tasks that hung, since the start (Linux 6.13).

#include "agent/collectors/table.h"
#include "agent/text_file.h"

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kTasks = {"node_kernel_hung_tasks", MetricType::Counter,
                               "Total number of tasks that have been detected as hung."};

}  // namespace

std::unique_ptr<Collector> make_kernel_hung_collector(const Settings& settings) {
  return make_simple_collector(
      "kernel_hung",
      [path = settings.roots().proc +
              "/sys/kernel/hung_task_detect_count"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::string_view line = text;
        if (const auto value = to_number(take_word(line))) out.add(kTasks, *value);
        return {};
      });
}

}  // namespace agent
