#include "app/collector_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>

namespace app {
namespace {

// Older names of settings.
constexpr std::pair<std::string_view, std::string_view> kAliases[] = {
    {"filesystem.mount-points-exclude", "filesystem.ignored-mount-points"},
    {"filesystem.fs-types-exclude", "filesystem.ignored-fs-types"},
    {"diskstats.device-exclude", "diskstats.ignored-devices"},
    {"netdev.device-include", "netdev.device-whitelist"},
    {"netdev.device-exclude", "netdev.device-blacklist"},
    {"systemd.unit-include", "systemd.unit-whitelist"},
    {"systemd.unit-exclude", "systemd.unit-blacklist"},
};

constexpr std::string_view kIgnored[] = {
    "collector.filesystem.mount-timeout",
    "collector.filesystem.stat-workers",
    "collector.netclass.netlink",
    "collector.netdev.address-info",
    "collector.netdev.netlink",
    "collector.netdev.enable-detailed-metrics",
    "collector.netdev.label-ifalias",
    "collector.systemd.private",
    "collector.arp.netlink",
    "collector.hwmon.sensor-include",
    "collector.hwmon.sensor-exclude",
    "collector.mountstats",
};

std::string names_of(std::string_view setting) {
  std::string names = "--collector." + std::string(setting);
  for (const auto& [name, alias] : kAliases) {
    if (name == setting) names += ",--collector." + std::string(alias);
  }
  return names;
}

}  // namespace

void add_collector_flags(CLI::App& cli, CollectorFlags& flags, HelpOfCollectors help_of) {
  const bool is_hidden = help_of == HelpOfCollectors::Hidden;
  // CLI11 does not show a group without a name.
  const std::string group = is_hidden ? "" : "Collectors";
  const std::string settings_group = is_hidden ? "" : "Settings of collectors";
  const std::string unbuilt_group = is_hidden ? "" : "Collectors that are not built";
  cli.add_flag("--collector.disable-defaults", flags.disable_defaults,
               "Switch every collector off that no flag switches on.")
      ->group(group);
  const auto add_switch = [&](const std::string& name, const std::string& help, bool is_built) {
    cli.add_flag_function(
           "--collector." + name + ",!--no-collector." + name,
           [&flags, name, is_built](int64_t count) {
             if (is_built) flags.chosen[name] = count > 0;
             if (!is_built && count > 0) flags.unbuilt.push_back(name);
           },
           help)
        ->group(is_built ? group : unbuilt_group);
  };
  for (const agent::CollectorInfo& collector : agent::collector_table()) {
    add_switch(std::string(collector.name),
               collector.is_default ? "On by default." : "Off by default.", true);
  }
  for (const std::string_view name : agent::unbuilt_collectors()) {
    add_switch(std::string(name), "Accepted, without effect.", false);
  }
  for (const agent::SettingInfo& setting : agent::setting_table()) {
    const std::string name(setting.name);
    const std::string help(setting.help);
    if (setting.kind == agent::SettingKind::Switch) {
      cli.add_flag_function(
             "--collector." + name + ",!--no-collector." + name,
             [&flags, name](int64_t count) { flags.switches[name] = count > 0; }, help)
          ->group(settings_group);
      continue;
    }
    cli.add_option_function<std::string>(
           names_of(setting.name),
           [&flags, name](const std::string& text) {
             // The folder of text files may be given several times.
             std::string& all = flags.texts[name];
             all += (name == "textfile.directory" && !all.empty() ? "," : "");
             all = name == "textfile.directory" ? all + text : text;
           },
           help)
        ->type_name(setting.kind == agent::SettingKind::Pattern ? "REGEX" : "PATH")
        ->default_str(std::string(setting.default_text))
        ->trigger_on_parse()
        ->allow_extra_args(false)
        ->group(settings_group);
  }
}

void apply(const CollectorFlags& flags, agent::CollectorOptions& options) {
  options.disable_defaults = flags.disable_defaults;
  for (const auto& [name, is_on] : flags.chosen) options.chosen[name] = is_on;
  for (const auto& [name, text] : flags.texts) options.settings[name] = text;
  for (const auto& [name, is_on] : flags.switches)
    options.settings[name] = is_on ? "true" : "false";
}

std::vector<std::string> split_empty_values(const std::vector<std::string>& arguments) {
  std::vector<std::string> out;
  for (const std::string& argument : arguments) {
    const bool is_empty = argument.starts_with("--") && argument.find('=') == argument.size() - 1;
    out.push_back(is_empty ? argument.substr(0, argument.size() - 1) : argument);
    if (is_empty) out.emplace_back();
  }
  return out;
}

bool is_ignored_collector_setting(std::string_view name) {
  if (name.starts_with("no-")) name.remove_prefix(3);
  if (name == "runtime.gomaxprocs") return true;
  if (std::find(std::begin(kIgnored), std::end(kIgnored), name) != std::end(kIgnored)) return true;
  if (!name.starts_with("collector.")) return false;
  const std::string_view rest = name.substr(std::string_view("collector.").size());
  const std::string_view collector = rest.substr(0, rest.find('.'));
  const auto all = agent::unbuilt_collectors();
  // "qdisk" is how node_exporter spells two settings of qdisc.
  return collector == "qdisk" || std::find(all.begin(), all.end(), collector) != all.end();
}

}  // namespace app
