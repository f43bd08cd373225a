// /proc/spl/kstat/zfs: tables "name type data" of OpenZFS, one folder per pool.

#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <algorithm>
#include <fmt/core.h>

namespace agent {

using model::MetricType;

namespace {

// The kstat, and what node_exporter calls it.
constexpr std::pair<std::string_view, std::string_view> kTables[] = {
    {"abdstats", "zfs_abd"},
    {"arcstats", "zfs_arc"},
    {"dbufstats", "zfs_dbuf"},
    {"dmu_tx", "zfs_dmu_tx"},
    {"dnodestats", "zfs_dnode"},
    {"fm", "zfs_fm"},
    {"vdev_cache_stats", "zfs_vdev_cache"},
    {"vdev_mirror_stats", "zfs_vdev_mirror"},
    {"xuio_stats", "zfs_xuio"},
    {"zfetchstats", "zfs_zfetch"},
    {"zil", "zfs_zil"},
};
constexpr std::string_view kPoolStates[] = {"online",  "degraded", "faulted",  "offline",
                                            "removed", "unavail",  "suspended"};

// Types of a kstat's value (sys/kstat.h).
constexpr std::string_view kInt64 = "3";
constexpr std::string_view kUint64 = "4";
constexpr std::string_view kString = "7";

void add_value(Output& out, std::string_view subsystem, std::string_view kstat,
               std::string_view key, std::span<const LabelPair> labels, double value) {
  out.add(fmt::format("node_{}_{}", subsystem, key), MetricType::Unknown,
          fmt::format("kstat.zfs.misc.{}.{}", kstat, key), labels, value);
}

// Below the head "name type data"; -1 and what is no number go without.
void add_table(Output& out, std::string_view text, std::string_view subsystem,
               std::string_view kstat, std::span<const LabelPair> labels) {
  bool is_below = false;
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view key = take_word(line);
    const std::string_view type = take_word(line);
    if (!is_below) {
      is_below = key == "name" && type == "type";
      continue;
    }
    const auto value = to_number(take_word(line));
    if (!value || (type != kUint64 && type != kInt64)) continue;
    add_value(out, subsystem, kstat, key, labels, *value);
  }
}

std::string_view text_of(std::string_view text, std::string_view wanted) {
  while (!text.empty()) {
    std::string_view line = take_line(text);
    const std::string_view key = take_word(line);
    if (key == wanted && take_word(line) == kString) return take_word(line);
  }
  return {};
}

// A line of names and one of values.
void add_io(Output& out, std::string_view text, std::string_view pool) {
  while (!text.empty()) {
    std::string_view names = take_line(text);
    if (!names.starts_with("nread")) continue;
    std::string_view values = take_line(text);
    for (std::string_view name = take_word(names); !name.empty(); name = take_word(names)) {
      const auto value = to_number(take_word(values));
      const LabelPair labels[] = {{"zpool", pool}};
      if (value) add_value(out, "zfs_zpool", "io", name, labels, *value);
    }
  }
}

void add_pool(Output& out, const std::string& folder, const std::string& pool) {
  std::string text;
  for (const std::string& file : list_folder(folder)) {
    if (!file.starts_with("objset-") || !read_text(folder + "/" + file, text)) continue;
    const std::string dataset(text_of(text, "dataset_name"));
    const LabelPair labels[] = {{"zpool", pool}, {"dataset", dataset}};
    add_table(out, text, "zfs_zpool_dataset", "objset", labels);
  }
  if (read_text(folder + "/io", text)) add_io(out, text, pool);
  const auto state = read_value(folder + "/state");
  if (!state) return;
  for (const std::string_view one : kPoolStates) {
    const bool is_it =
        state->size() == one.size() && std::equal(one.begin(), one.end(), state->begin(),
                                                  [](char a, char b) { return a == (b | 0x20); });
    out.add({"node_zfs_zpool_state", MetricType::Gauge, "kstat.zfs.misc.state"},
            {{"zpool", pool}, {"state", one}}, is_it ? 1 : 0);
  }
}

}  // namespace

std::unique_ptr<Collector> make_zfs_collector(const Settings& settings) {
  return make_simple_collector(
      "zfs",
      [folder = settings.roots().proc + "/spl/kstat/zfs"](Output& out) -> core::Result<void> {
        const std::vector<std::string> entries = list_folder(folder);
        if (entries.empty()) {
          return core::fail(core::ErrorCode::NotFound, "no ZFS in {}", folder);
        }
        std::string text;
        for (const auto& [kstat, subsystem] : kTables) {
          if (!read_text(folder + "/" + std::string(kstat), text)) continue;
          add_table(out, text, subsystem, kstat, {});
        }
        for (const std::string& entry : entries) {
          if (!list_folder(folder + "/" + entry).empty())
            add_pool(out, folder + "/" + entry, entry);
        }
        return {};
      });
}

}  // namespace agent
