#include "agent/collectors/settings.h"

#include <algorithm>
#include <re2/re2.h>

namespace agent {
namespace {

core::Result<Pattern> compile(std::string_view name, const std::string& text) {
  if (text.empty()) return Pattern();
  RE2::Options options;
  options.set_log_errors(false);
  auto regex = std::make_shared<const RE2>(text, options);
  if (!regex->ok()) {
    return core::fail(core::ErrorCode::InvalidArgument,
                      "--collector.{}={}: expected a regular expression: {}", name, text,
                      regex->error());
  }
  return Pattern(std::move(regex));
}

// Of two that exclude each other, as in node_exporter. A default does not count.
core::Result<void> check_pairs(const CollectorOptions& options) {
  const auto is_given = [&options](const std::string& name) {
    const auto at = options.settings.find(name);
    return at != options.settings.end() && !at->second.empty();
  };
  for (const SettingInfo& setting : setting_table()) {
    constexpr std::string_view kInclude = "-include";
    if (!setting.name.ends_with("device-include")) continue;
    const std::string base(setting.name.substr(0, setting.name.size() - kInclude.size()));
    if (is_given(base + "-include") && is_given(base + "-exclude")) {
      return core::fail(core::ErrorCode::InvalidArgument,
                        "--collector.{}-include and --collector.{}-exclude exclude each other",
                        base, base);
    }
  }
  return {};
}

}  // namespace

bool Pattern::matches(std::string_view text) const {
  return regex_ && RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *regex_);
}

core::Result<Settings> Settings::create(const CollectorOptions& options, const core::Clock& clock) {
  TRY(check_pairs(options));
  Settings settings;
  settings.roots_ = options.roots;
  settings.clock_ = &clock;
  for (const SettingInfo& setting : setting_table()) {
    const auto given = options.settings.find(setting.name);
    const std::string name(setting.name);
    settings.texts_[name] =
        given == options.settings.end() ? std::string(setting.default_text) : given->second;
    // An include that is given replaces the default exclude.
    constexpr std::string_view kExclude = "device-exclude";
    if (given == options.settings.end() && name.ends_with(kExclude)) {
      const std::string include = name.substr(0, name.size() - kExclude.size()) + "device-include";
      const auto other = options.settings.find(include);
      if (other != options.settings.end() && !other->second.empty()) settings.texts_[name].clear();
    }
    if (setting.kind != SettingKind::Pattern) continue;
    settings.patterns_[name] = TRY(compile(name, settings.texts_[name]));
  }
  for (const auto& [name, value] : options.settings) {
    if (!settings.texts_.contains(name)) {
      return core::fail(core::ErrorCode::InvalidArgument, "--collector.{}={}: no such setting",
                        name, value);
    }
  }
  return settings;
}

const std::string& Settings::text(std::string_view name) const {
  const auto at = texts_.find(name);
  ENSURE(at != texts_.end());
  return at->second;
}

Pattern Settings::pattern(std::string_view name) const {
  const auto at = patterns_.find(name);
  ENSURE(at != patterns_.end());
  return at->second;
}

DeviceFilter Settings::filter(std::string_view base) const {
  return {pattern(std::string(base) + "-include"), pattern(std::string(base) + "-exclude")};
}

}  // namespace agent
