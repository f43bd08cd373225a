#include "config/schema.h"

#include "core/secret.h"
#include "core/time.h"

#include <algorithm>
#include <bit>
#include <filesystem>
#include <optional>

namespace config {
namespace {

using core::ErrorCode;
using core::Result;
using core::Yaml;

std::string_view expected_kind(Type type) {
  switch (type) {
    case Type::Mapping:
    case Type::Map:
      return "a mapping";
    case Type::List:
      return "a list";
    case Type::Bool:
      return "true or false";
    case Type::Int:
    case Type::Uint:
      return "a whole number";
    case Type::Float:
      return "a number";
    case Type::Duration:
      return "a duration such as 15s or 1h30m";
    case Type::Size:
      return "a size such as 10MB";
    case Type::Url:
      return "a URL";
    case Type::Text:
    case Type::Secret:
    case Type::Regex:
      return "a text";
  }
  return "?";
}

std::string_view found_kind(const Yaml& node) {
  switch (node.kind) {
    case Yaml::Kind::Null:
      return "nothing";
    case Yaml::Kind::Scalar:
      return "a text";
    case Yaml::Kind::Sequence:
      return "a list";
    case Yaml::Kind::Mapping:
      return "a mapping";
  }
  return "?";
}

// How many letters two words differ by; stops counting beyond what is a slip of the pen.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string unknown_key(const Table& table, std::string_view key) {
  std::string message = fmt::format("unknown key \"{}\" in {}", key, table.name);
  constexpr size_t kKeySizeMax = 64;  // longer ones are not slips of the pen
  if (key.size() > kKeySizeMax) return message;
  const Field* nearest = nullptr;
  size_t nearest_distance = key.size() < 5 ? 2 : 3;
  for (const Field& field : table.fields) {
    const size_t d = distance(key, field.key);
    if (d >= nearest_distance) continue;
    nearest = &field;
    nearest_distance = d;
  }
  if (nearest != nullptr) message += fmt::format(", did you mean \"{}\"?", nearest->key);
  return message;
}

class Reader {
 public:
  explicit Reader(const Source& source) : source_(source) {}

  Result<Value> mapping(const Table& table, const Yaml& node, std::string_view path) {
    Value value = default_mapping(table, node.line, node.column);
    value.given = true;
    for (const auto& [key, member] : node.members) {
      const auto known = std::ranges::find(table.fields, key.text, &Field::key);
      if (known == table.fields.end()) return error(key, unknown_key(table, key.text));
      const std::string at = path.empty() ? key.text : fmt::format("{}.{}", path, key.text);
      const auto index = static_cast<size_t>(known - table.fields.begin());
      value.items[index] = TRY(element(*known, known->type, member, key.text, at));
      if ((known->flags & kNotBuilt) != 0) report_not_built(value.items[index], at, key);
    }
    return value;
  }

 private:
  tl::unexpected<core::Error> error(const Yaml& node, std::string_view message) const {
    return tl::unexpected(core::yaml_error(source_.file, node, message));
  }

  void report_not_built(const Value& value, std::string_view path, const Yaml& key) const {
    // What is switched off need not be built.
    const bool is_off = !value.given || (value.type == Type::Bool && !value.is_on());
    if (is_off || source_.unsupported == nullptr) return;
    source_.unsupported->push_back(
        fmt::format("{} ({}:{}:{})", path, source_.file, key.line, key.column));
  }

  Result<void> expect(const Yaml& node, Yaml::Kind kind, Type type, std::string_view key) const {
    if (node.kind == kind) return {};
    return error(
        node, fmt::format("{}: expected {}, found {}", key, expected_kind(type), found_kind(node)));
  }

  Result<Value> element(const Field& field, Type type, const Yaml& node, std::string_view key,
                        std::string_view path) {
    Value value;
    value.field = &field;
    value.type = type;
    value.line = node.line;
    value.column = node.column;
    value.key = key;
    if (node.kind == Yaml::Kind::Null) {
      if (type == Type::Mapping) zero_members(value, *field.table);
      return value;
    }
    value.given = true;
    switch (type) {
      case Type::Mapping: {
        TRY(expect(node, Yaml::Kind::Mapping, type, key));
        Value members = TRY(mapping(*field.table, node, path));
        value.items = std::move(members.items);
        return value;
      }
      case Type::List: {
        TRY(expect(node, Yaml::Kind::Sequence, type, key));
        const Type inner = field.type == Type::List ? field.element : field.inner;
        for (const Yaml& item : node.items) {
          value.items.push_back(TRY(element(field, inner, item, key, path)));
        }
        return value;
      }
      case Type::Map:
        TRY(expect(node, Yaml::Kind::Mapping, type, key));
        for (const auto& [name, item] : node.members) {
          const std::string full_name = fmt::format("{}.{}", key, name.text);
          value.items.push_back(TRY(element(field, field.element, item, full_name, path)));
          value.items.back().key = name.text;
        }
        std::ranges::sort(value.items, {}, &Value::key);
        return value;
      default:
        TRY(expect(node, Yaml::Kind::Scalar, type, key));
        TRY(scalar(field, node, key, value));
        return value;
    }
  }

  static void zero_members(Value& value, const Table& table) {
    for (const Field& field : table.fields) {
      Value& member = value.items.emplace_back();
      member.field = &field;
      member.type = field.type;
      member.key = field.key;
      member.line = value.line;
      member.column = value.column;
      if (field.type == Type::Mapping) zero_members(member, *field.table);
    }
  }

  template <typename T>
  Result<T> named(Result<T> result, const Yaml& node, std::string_view key) const {
    if (result) return result;
    return error(node, fmt::format("{}: {}", key, result.error().message));
  }

  Result<void> scalar(const Field& field, const Yaml& node, std::string_view key, Value& value) {
    // A quoted "5" is a text for YAML; units are texts anyway.
    const bool wants_plain = value.type == Type::Bool || value.type == Type::Int ||
                             value.type == Type::Uint || value.type == Type::Float;
    if (wants_plain && node.quoted) {
      return error(node, fmt::format("{}: expected {}, found the quoted text \"{}\"", key,
                                     expected_kind(value.type), node.text));
    }
    switch (value.type) {
      case Type::Bool:
        value.number = TRY(named(parse_bool(node.text), node, key)) ? 1 : 0;
        return {};
      case Type::Int:
        value.number = TRY(named(parse_int(node.text), node, key));
        return {};
      case Type::Uint:
        value.number = std::bit_cast<int64_t>(TRY(named(parse_uint(node.text), node, key)));
        return {};
      case Type::Float:
        value.real = TRY(named(parse_float(node.text), node, key));
        return {};
      case Type::Duration: {
        const Result<int64_t> duration_ms = core::parse_duration_ms(node.text);
        if (!duration_ms) {
          return error(node, fmt::format("{}: {}, expected a duration such as 15s or 1h30m", key,
                                         duration_ms.error().message));
        }
        value.number = *duration_ms;
        return {};
      }
      case Type::Size:
        value.number = TRY(named(parse_size(node.text), node, key));
        return {};
      case Type::Url:
        if (const Result<void> url = check_url(node.text); !url) {
          return error(node, fmt::format("{}: {}", key, url.error().message));
        }
        value.text = node.text;
        return {};
      case Type::Secret:
        value.text = TRY(secret(node, key));
        return {};
      default:
        value.text = node.text;
        const uint32_t flags = value.type == field.type ? field.flags : field.element_flags;
        if ((flags & kPath) != 0) value.text = join_path(source_.folder, value.text);
        return {};
    }
  }

  Result<std::string> secret(const Yaml& node, std::string_view key) const {
    constexpr std::string_view kStart = "${env:";
    const std::string& text = node.text;
    if (!source_.environment || !text.starts_with(kStart) || !text.ends_with('}')) return text;
    const std::string name = text.substr(kStart.size(), text.size() - kStart.size() - 1);
    std::string found = source_.environment(name);
    if (found.empty()) {
      return error(node, fmt::format("{}: the environment variable {} is not set", key, name));
    }
    return found;
  }

  const Source& source_;
};

// Presets are our own: a bad one is a bug.
void set_preset(Value& value, std::string_view preset) {
  switch (value.type) {
    case Type::Bool:
      value.number = preset == "true" ? 1 : 0;
      return;
    case Type::Int:
    case Type::Uint:
      value.number = *parse_int(preset);
      return;
    case Type::Float:
      value.real = *parse_float(preset);
      return;
    case Type::Duration:
      value.number = *core::parse_duration_ms(preset);
      return;
    case Type::Size:
      value.number = *parse_size(preset);
      return;
    default:
      value.text = preset;
  }
}

}  // namespace

const Value& Value::at(std::string_view wanted) const {
  const auto found =
      std::ranges::find(items, wanted, [](const Value& v) -> std::string_view { return v.key; });
  ENSURE(found != items.end());
  return *found;
}

Value& Value::at(std::string_view wanted) {
  return const_cast<Value&>(std::as_const(*this).at(wanted));
}

bool Value::is_zero() const {
  switch (type) {
    case Type::Float:
      return real == 0;
    case Type::Bool:
    case Type::Int:
    case Type::Uint:
    case Type::Duration:
    case Type::Size:
      return number == 0;
    case Type::List:
    case Type::Map:
      return items.empty();
    case Type::Mapping:
      if (field != nullptr && (field->flags & kOptional) != 0) return !given;
      return std::ranges::all_of(items, &Value::is_zero);
    default:
      return text.empty();
  }
}

std::vector<std::string> Value::texts() const {
  std::vector<std::string> all;
  for (const Value& item : items) all.push_back(item.text);
  return all;
}

void Value::set_text(std::string value) {
  text = std::move(value);
}

void Value::set_number(int64_t value) {
  number = value;
}

std::string folder_of(const std::string& file) {
  return std::filesystem::path(file).parent_path().string();
}

std::string join_path(const std::string& folder, const std::string& path) {
  if (path.empty() || path.starts_with('/') || folder.empty()) return path;
  return (std::filesystem::path(folder) / path).lexically_normal().string();
}

Value default_mapping(const Table& table, int line, int column) {
  Value value;
  value.type = Type::Mapping;
  value.line = line;
  value.column = column;
  for (const Field& field : table.fields) {
    Value& member = value.items.emplace_back();
    member.field = &field;
    member.type = field.type;
    member.key = field.key;
    member.line = line;
    member.column = column;
    if (field.type == Type::Mapping) {
      member.items = default_mapping(*field.table, line, column).items;
    } else if (!field.preset.empty()) {
      set_preset(member, field.preset);
    }
  }
  return value;
}

Result<Value> read_mapping(const Table& table, const Yaml& node, const Source& source,
                           std::string_view path) {
  if (node.kind == Yaml::Kind::Null) return default_mapping(table, node.line, node.column);
  if (node.kind != Yaml::Kind::Mapping) {
    return tl::unexpected(core::yaml_error(
        source.file, node,
        fmt::format("{}: expected a mapping, found {}", table.name, found_kind(node))));
  }
  return Reader(source).mapping(table, node, path);
}

tl::unexpected<core::Error> error_at(const Source& source, const Value& value,
                                     std::string_view message) {
  return tl::unexpected(
      core::Error{ErrorCode::InvalidArgument,
                  fmt::format("{}:{}:{}: {}", source.file, value.line, value.column, message)});
}

}  // namespace config
