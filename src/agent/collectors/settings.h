// What the collectors are made with: where the files are, and node_exporter's settings
// with their patterns compiled.

#pragma once

#include "agent/collector.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace re2 {
class RE2;
}

namespace agent {

// A regular expression that may match anywhere in the text, as node_exporter's do; or
// none at all. Cheap to copy, thread-safe.
class Pattern {
 public:
  Pattern() = default;
  explicit Pattern(std::shared_ptr<const re2::RE2> regex) : regex_(std::move(regex)) {}
  bool is_set() const { return regex_ != nullptr; }
  // False when there is none.
  bool matches(std::string_view text) const;

 private:
  std::shared_ptr<const re2::RE2> regex_;
};

// node_exporter's pairs of ...-include and ...-exclude.
struct DeviceFilter {
  Pattern include;
  Pattern exclude;

  bool ignores(std::string_view device) const {
    return exclude.matches(device) || (include.is_set() && !include.matches(device));
  }
};

// Immutable.
class Settings {
 public:
  static core::Result<Settings> create(const CollectorOptions& options, const core::Clock& clock);

  const Roots& roots() const { return roots_; }
  const core::Clock& clock() const { return *clock_; }
  // Precondition of all three: the setting is in setting_table().
  const std::string& text(std::string_view name) const;
  bool is_on(std::string_view name) const { return text(name) == "true"; }
  Pattern pattern(std::string_view name) const;
  // Of `<base>-include` and `<base>-exclude`.
  DeviceFilter filter(std::string_view base) const;

 private:
  Roots roots_;
  const core::Clock* clock_ = nullptr;
  std::map<std::string, std::string, std::less<>> texts_;
  std::map<std::string, Pattern, std::less<>> patterns_;
};

}  // namespace agent
