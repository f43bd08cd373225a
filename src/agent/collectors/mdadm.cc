// /proc/mdstat: software RAID.
//
//   md0 : active raid6 sdc1[3] sdb1[4](F) sda1[0] sdd1[2](S)
//         7813735424 blocks super 1.2 level 6, 64k chunk, algorithm 2 [4/3] [U_UU]
//         [==>..................]  recovery = 11.5% (902752/7813735424) finish=37.8min ...

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <algorithm>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kState = {"node_md_state", MetricType::Gauge,
                               "Indicates the state of md-device."};
constexpr MetricInfo kDisks = {"node_md_disks", MetricType::Gauge,
                               "Number of active/failed/spare disks of device."};
constexpr MetricInfo kRequired = {"node_md_disks_required", MetricType::Gauge,
                                  "Total number of disks of device."};
constexpr MetricInfo kBlocks = {"node_md_blocks", MetricType::Gauge,
                                "Total number of blocks on device."};
constexpr MetricInfo kSynced = {"node_md_blocks_synced", MetricType::Gauge,
                                "Number of blocks synced on device."};
constexpr std::string_view kStates[] = {"active", "inactive", "recovering", "resync", "check"};

struct Array {
  std::string_view name;
  std::string_view state;
  double active = 0;
  double required = 0;
  double failed = 0;
  double spare = 0;
  double blocks = 0;
  double synced = 0;
};

// "[4/3]" of the line of blocks: wanted and there. Arrays without redundancy have none.
bool parse_members(std::string_view line, Array& array) {
  for (size_t open = line.find('['); open != line.npos; open = line.find('[', open + 1)) {
    const size_t slash = line.find('/', open);
    const size_t close = line.find(']', open);
    if (slash == line.npos || close == line.npos || slash > close) continue;
    const auto required = to_number(line.substr(open + 1, slash - open - 1));
    const auto active = to_number(line.substr(slash + 1, close - slash - 1));
    if (!required || !active) continue;
    array.required = *required;
    array.active = *active;
    return true;
  }
  return false;
}

// "resync = 11.5% (902752/7813735424) ...", also "resync=PENDING" and "resync=DELAYED".
void parse_progress(std::string_view line, Array& array) {
  for (const auto& [word, state] :
       {std::pair("recovery", "recovering"), std::pair("resync", "resync"),
        std::pair("check", "check"), std::pair("reshape", "recovering")}) {
    const size_t at = line.find(word);
    if (at == line.npos) continue;
    array.state = state;
    const bool waits =
        line.find("PENDING", at) != line.npos || line.find("DELAYED", at) != line.npos;
    const size_t open = line.find('(', at);
    const size_t slash = line.find('/', at);
    array.synced = 0;
    if (!waits && open != line.npos && slash != line.npos && slash > open) {
      array.synced = to_number(line.substr(open + 1, slash - open - 1)).value_or(0);
    }
    return;
  }
}

Array parse_head(std::string_view line) {
  Array array;
  array.name = take_word(line);
  take_word(line);  // ":"
  array.state = take_word(line);
  double members = 0;
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    if (word.find('[') == word.npos) continue;  // "raid1", "(auto-read-only)"
    ++members;
    array.failed += word.ends_with("(F)") ? 1 : 0;
    array.spare += word.ends_with("(S)") ? 1 : 0;
  }
  array.active = array.state == "active" ? members - array.failed - array.spare : 0;
  array.required = array.active;
  return array;
}

void add_array(Output& out, const Array& array) {
  for (const std::string_view state : kStates) {
    out.add(kState, {{"device", array.name}, {"state", state}}, state == array.state ? 1 : 0);
  }
  out.add(kDisks, {{"device", array.name}, {"state", "active"}}, array.active);
  out.add(kDisks, {{"device", array.name}, {"state", "failed"}}, array.failed);
  out.add(kDisks, {{"device", array.name}, {"state", "spare"}}, array.spare);
  out.add(kRequired, {{"device", array.name}}, array.required);
  out.add(kBlocks, {{"device", array.name}}, array.blocks);
  out.add(kSynced, {{"device", array.name}}, array.synced);
}

}  // namespace

std::unique_ptr<Collector> make_mdadm_collector(const Settings& settings) {
  return make_simple_collector(
      "mdadm", [path = settings.roots().proc + "/mdstat"](Output& out) -> core::Result<void> {
        std::string text;
        TRY(read_text(path, text));
        std::optional<Array> array;
        std::string_view rest = text;
        while (!rest.empty()) {
          const std::string_view line = take_line(rest);
          std::string_view words = line;
          const std::string_view first = take_word(words);
          const bool is_head =
              !line.starts_with(' ') && line.find(" : ") != line.npos && first != "Personalities";
          if (is_head) {
            if (array) add_array(out, *array);
            array = parse_head(line);
          } else if (array && take_word(words).starts_with("blocks")) {
            array->blocks = array->synced = to_number(first).value_or(0);
            parse_members(line, *array);
          } else if (array) {
            parse_progress(line, *array);
          }
        }
        if (array) add_array(out, *array);
        return {};
      });
}

}  // namespace agent
