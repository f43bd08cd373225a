#include "discovery/target_groups.h"

#include "core/json.h"
#include "core/utf8.h"
#include "core/yaml.h"

#include <algorithm>
#include <utility>

namespace discovery {
namespace {

using config::TargetGroup;
using core::ErrorCode;
using core::Json;
using core::Yaml;
using Pairs = std::vector<std::pair<std::string, std::string>>;

TargetGroup make_group(std::string source, const std::vector<std::string>& addresses,
                       Pairs labels) {
  TargetGroup group;
  group.source = std::move(source);
  group.labels = model::Labels::of(std::move(labels));
  group.targets.reserve(addresses.size());
  for (const std::string& address : addresses) {
    group.targets.push_back(model::Labels::of({{"__address__", address}}));
  }
  return group;
}

std::string source_of(const std::string& origin, size_t index) {
  return fmt::format("{}:{}", origin, index);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  return out;
}

// JSON has no line numbers left when it is read: errors go by path ("group 2, labels").
class JsonReader {
 public:
  explicit JsonReader(const std::string& origin) : origin_(origin) {}

  core::Result<TargetGroup> read_group(const Json& json, size_t index) const {
    const std::string place = fmt::format("group {}", index);
    if (json.is_null()) return fail("nil target group item found", place);
    const auto* members = json.as_object();
    if (members == nullptr) return fail_type(place, "an object", json);
    std::vector<std::string> addresses;
    Pairs labels;
    for (const auto& [key, value] : *members) {
      // Go's JSON reader takes keys without regard to case.
      if (lower(key) == "targets") {
        addresses = TRY(read_targets(value, place));
      } else if (lower(key) == "labels") {
        labels = TRY(read_labels(value, place));
      } else {
        return fail(fmt::format("unknown field \"{}\", expected targets or labels", key), place);
      }
    }
    return make_group(source_of(origin_, index), addresses, std::move(labels));
  }

  tl::unexpected<core::Error> fail_type(const std::string& place, std::string_view expected,
                                        const Json& found) const {
    return fail(fmt::format("expected {}, found {}", expected, found.type_name()), place);
  }

 private:
  core::Result<std::vector<std::string>> read_targets(const Json& json,
                                                      const std::string& group) const {
    std::vector<std::string> addresses;
    if (json.is_null()) return addresses;
    const auto* items = json.as_array();
    if (items == nullptr) return fail_type(group + ", targets", "an array of strings", json);
    for (const Json& item : *items) {
      const std::string* address = item.as_string();
      if (address == nullptr) {
        return fail_type(fmt::format("{}, targets[{}]", group, addresses.size()), "a string", item);
      }
      addresses.push_back(*address);
    }
    return addresses;
  }

  core::Result<Pairs> read_labels(const Json& json, const std::string& group) const {
    Pairs labels;
    if (json.is_null()) return labels;
    const auto* members = json.as_object();
    if (members == nullptr) return fail_type(group + ", labels", "an object", json);
    for (const auto& [name, value] : *members) {
      if (name.empty()) return fail("\"\" is not a valid label name", group + ", labels");
      const std::string* text = value.as_string();
      if (text == nullptr) {
        return fail_type(fmt::format("{}, labels, \"{}\"", group, name), "a string", value);
      }
      labels.emplace_back(name, *text);
    }
    return labels;
  }

  tl::unexpected<core::Error> fail(std::string_view message, const std::string& place) const {
    return core::fail(ErrorCode::InvalidArgument, "{}: {}: {}", origin_, place, message);
  }

  const std::string& origin_;
};

class YamlReader {
 public:
  explicit YamlReader(const std::string& origin) : origin_(origin) {}

  core::Result<TargetGroup> read_group(const Yaml& yaml, size_t index) const {
    if (yaml.kind == Yaml::Kind::Null) return fail(yaml, "nil target group item found");
    if (yaml.kind != Yaml::Kind::Mapping) return fail_type(yaml, "a mapping");
    std::vector<std::string> addresses;
    Pairs labels;
    for (const auto& [key, value] : yaml.members) {
      if (key.text == "targets") {
        addresses = TRY(read_targets(value));
      } else if (key.text == "labels") {
        labels = TRY(read_labels(value));
      } else {
        return fail(key, fmt::format("unknown key \"{}\", expected targets or labels", key.text));
      }
    }
    return make_group(source_of(origin_, index), addresses, std::move(labels));
  }

  tl::unexpected<core::Error> fail_type(const Yaml& found, std::string_view expected) const {
    return fail(found, fmt::format("expected {}, found {}", expected, found.kind_name()));
  }

 private:
  // Numbers and the like are taken as they are written.
  core::Result<std::string> read_text(const Yaml& yaml) const {
    if (yaml.kind == Yaml::Kind::Null) return std::string();
    if (yaml.kind != Yaml::Kind::Scalar) return fail_type(yaml, "a string");
    if (!core::is_utf8(yaml.text)) return fail(yaml, "text is not valid UTF-8");
    return yaml.text;
  }

  core::Result<std::vector<std::string>> read_targets(const Yaml& yaml) const {
    std::vector<std::string> addresses;
    if (yaml.kind == Yaml::Kind::Null) return addresses;
    if (yaml.kind != Yaml::Kind::Sequence) return fail_type(yaml, "a sequence of strings");
    for (const Yaml& item : yaml.items) addresses.push_back(TRY(read_text(item)));
    return addresses;
  }

  core::Result<Pairs> read_labels(const Yaml& yaml) const {
    Pairs labels;
    if (yaml.kind == Yaml::Kind::Null) return labels;
    if (yaml.kind != Yaml::Kind::Mapping) return fail_type(yaml, "a mapping");
    for (const auto& [name, value] : yaml.members) {
      if (name.text.empty() || !core::is_utf8(name.text)) {
        return fail(name, "not a valid label name");
      }
      labels.emplace_back(name.text, TRY(read_text(value)));
    }
    return labels;
  }

  tl::unexpected<core::Error> fail(const Yaml& at, std::string_view message) const {
    return tl::unexpected(core::yaml_error(origin_, at, message));
  }

  const std::string& origin_;
};

}  // namespace

core::Result<std::vector<TargetGroup>> parse_target_groups_json(std::string_view text,
                                                                const std::string& origin) {
  std::vector<TargetGroup> groups;
  const Json json = TRY(core::parse_json(text).context("{}", origin));
  if (json.is_null()) return groups;
  const JsonReader reader(origin);
  const auto* items = json.as_array();
  if (items == nullptr) return reader.fail_type("document", "an array of target groups", json);
  groups.reserve(items->size());
  for (const Json& item : *items) groups.push_back(TRY(reader.read_group(item, groups.size())));
  return groups;
}

core::Result<std::vector<TargetGroup>> parse_target_groups_yaml(std::string_view text,
                                                                const std::string& origin) {
  std::vector<TargetGroup> groups;
  const Yaml yaml = TRY(core::parse_yaml(text, origin));
  if (yaml.kind == Yaml::Kind::Null) return groups;
  const YamlReader reader(origin);
  if (yaml.kind != Yaml::Kind::Sequence) {
    return reader.fail_type(yaml, "a sequence of target groups");
  }
  groups.reserve(yaml.items.size());
  for (const Yaml& item : yaml.items) {
    groups.push_back(TRY(reader.read_group(item, groups.size())));
  }
  return groups;
}

void add_label(std::vector<TargetGroup>& groups, std::string_view name, std::string_view value) {
  for (TargetGroup& group : groups) {
    group.labels = model::LabelsBuilder(group.labels).set(name, value).build();
  }
}

}  // namespace discovery
