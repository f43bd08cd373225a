// Processes and threads by state, from /proc/<pid>/stat and /proc/<pid>/task/<tid>/stat.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kThreads = {"node_processes_threads", MetricType::Gauge,
                                 "Allocated threads in system"};
constexpr MetricInfo kThreadsMax = {"node_processes_max_threads", MetricType::Gauge,
                                    "Limit of threads in the system"};
constexpr MetricInfo kState = {"node_processes_state", MetricType::Gauge,
                               "Number of processes in each state."};
constexpr MetricInfo kThreadState = {"node_processes_threads_state", MetricType::Gauge,
                                     "Number of threads in each state."};
constexpr MetricInfo kPids = {"node_processes_pids", MetricType::Gauge, "Number of PIDs"};
constexpr MetricInfo kPidsMax = {"node_processes_max_processes", MetricType::Gauge,
                                 "Number of max PIDs limit"};

struct ProcessStat {
  std::string_view state;
  double threads = 0;
};

// "77 (name) S 1 ...": the name may hold blanks and brackets.
std::optional<ProcessStat> parse_stat(std::string_view text) {
  const size_t end = text.rfind(')');
  if (end == text.npos) return std::nullopt;
  text.remove_prefix(end + 1);
  ProcessStat stat;
  stat.state = take_word(text);
  constexpr int kFieldsBetween = 16;  // state is field 3, num_threads field 20 (proc(5))
  for (int i = 0; i < kFieldsBetween; ++i) take_word(text);
  stat.threads = to_number(take_word(text)).value_or(0);
  return stat.state.empty() ? std::nullopt : std::optional(stat);
}

using States = std::map<std::string, double, std::less<>>;

void count_state(States& states, std::string_view state) {
  const auto at = states.find(state);
  if (at == states.end()) {
    states.emplace(state, 1);
  } else {
    ++at->second;
  }
}

// A process that ends meanwhile is not counted.
void count_threads(const std::string& folder, States& states) {
  std::string text;
  for (const std::string& thread : list_folder(folder)) {
    if (!read_text(folder + "/" + thread + "/stat", text)) continue;
    if (const auto stat = parse_stat(text)) count_state(states, stat->state);
  }
}

}  // namespace

std::unique_ptr<Collector> make_processes_collector(const Settings& settings) {
  return make_simple_collector(
      "processes", [proc = settings.roots().proc](Output& out) -> core::Result<void> {
        std::string text;
        States process_states;
        States thread_states;
        double threads = 0;
        double pids = 0;
        for (const std::string& entry : list_folder(proc)) {
          if (entry[0] < '0' || entry[0] > '9') continue;
          if (!read_text(proc + "/" + entry + "/stat", text)) continue;
          const auto stat = parse_stat(text);
          if (!stat) continue;
          ++pids;
          threads += stat->threads;
          count_state(process_states, stat->state);
          if (stat->threads > 1) {
            count_threads(proc + "/" + entry + "/task", thread_states);
          } else {
            count_state(thread_states, stat->state);
          }
        }
        out.add(kThreads, threads);
        if (const auto limit = read_number(proc + "/sys/kernel/threads-max"))
          out.add(kThreadsMax, *limit);
        for (const auto& [state, count] : process_states)
          out.add(kState, {{"state", state}}, count);
        for (const auto& [state, count] : thread_states) {
          out.add(kThreadState, {{"thread_state", state}}, count);
        }
        out.add(kPids, pids);
        if (const auto limit = read_number(proc + "/sys/kernel/pid_max")) out.add(kPidsMax, *limit);
        return {};
      });
}

}  // namespace agent
