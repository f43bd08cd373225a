// Tables of a configuration's keys, and the strict reader that works by them.
//
//   bytes > core::parse_yaml > read_mapping(table) > Value > checks > structs
//                                                     Value > write_yaml (yaml_writer.h)
//
// A table names every key of a mapping with its type and default; a key that is not in it
// is an error, and so is a value of another type. Scalars are read as Prometheus's YAML
// library does (YAML 1.1: yes and 0x10 are what they look like), null is the type's zero.

#pragma once

#include "core/result.h"
#include "core/yaml.h"

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace config {

enum class Type : uint8_t {
  Text,
  Secret,  // shown as <secret>
  Bool,
  Int,
  Uint,
  Float,
  Duration,
  Size,     // 10MB, 512KiB
  Url,      // shown without its password
  Regex,    // as Text; empty is shown as null
  Mapping,  // by a table
  List,     // of `element`
  Map,      // of any names to `element`
};

enum FieldFlag : uint32_t {
  kShown = 1,       // also when it is zero; without it zeroes are not shown
  kPath = 2,        // a file name: joined to the folder of the file that names it
  kNotBuilt = 4,    // accepted, has no effect yet
  kOptional = 8,    // a mapping that is there only when it is written; shown even if empty
  kFlow = 16,       // a list shown as [a, b]
  kIfWritten = 32,  // shown only if it was written
  kUrlText = 64,    // a text that may be a URL: shown without its password
};

struct Table;

struct Field {
  std::string_view key;
  Type type = Type::Text;
  uint32_t flags = 0;
  std::string_view preset{};     // the default, as it would be written
  Type element = Type::Text;     // of List and Map
  const Table* table = nullptr;  // of Mapping, and of elements that are mappings
  Type inner = Type::Text;       // of a Map of Lists: what the lists hold
  uint32_t element_flags = 0;    // kPath
};

struct Table {
  std::string_view name;  // for errors: "scrape config"
  std::span<const Field> fields;
};

// One array of the fields of several: for keys that stand inline.
template <size_t... N>
constexpr auto join_fields(const std::array<Field, N>&... parts) {
  std::array<Field, (N + ...)> all{};
  size_t count = 0;
  const auto append = [&](const auto& part) {
    for (const Field& field : part) all[count++] = field;
  };
  (append(parts), ...);
  return all;
}

// What was read, in the order of the table, defaults filled in.
struct Value {
  const Field* field = nullptr;  // of a mapping's member; of elements that of their list
  Type type = Type::Text;
  bool given = false;  // written, and not null
  int line = 0;        // of what was written, or of the mapping that lacks it
  int column = 0;
  std::string key;           // of a Map's element, or the member's
  std::string text;          // Text, Secret, Url, Regex
  double real = 0;           // Float
  int64_t number = 0;        // Bool, Int, Uint, Duration (milliseconds), Size (bytes)
  std::vector<Value> items;  // members of a Mapping, elements of a List or Map

  // A member of a mapping; `key` is in its table.
  const Value& at(std::string_view key) const;
  Value& at(std::string_view key);
  bool is_on() const { return number != 0; }
  bool is_zero() const;
  std::vector<std::string> texts() const;
  void set_text(std::string value);
  void set_number(int64_t value);
};

// Where a text came from, and what reading it needs.
struct Source {
  std::string file;    // for errors
  std::string folder;  // relative paths start here; "" leaves them alone
  // "section.key (file:line:column)" of what is accepted without effect; may be null.
  std::vector<std::string>* unsupported = nullptr;
  // A secret written as ${env:NAME}; without it such a secret is taken literally.
  std::function<std::string(const std::string&)> environment{};
};

// The folder of a file: "a/b.yml" > "a", "b.yml" > "".
std::string folder_of(const std::string& file);
// As Prometheus's JoinDir: absolute and empty paths stay, others are joined and cleaned.
std::string join_path(const std::string& folder, const std::string& path);

// `path` is where the mapping stands ("" at the top), for Source::unsupported.
core::Result<Value> read_mapping(const Table& table, const core::Yaml& node, const Source& source,
                                 std::string_view path = "");
// Every member with its default, nothing given.
Value default_mapping(const Table& table, int line, int column);

// InvalidArgument at the value's place: "file:line:column: message".
tl::unexpected<core::Error> error_at(const Source& source, const Value& value,
                                     std::string_view message);

// Scalars of YAML 1.1, as Prometheus reads them.
core::Result<bool> parse_bool(std::string_view text);
core::Result<int64_t> parse_int(std::string_view text);
core::Result<uint64_t> parse_uint(std::string_view text);
core::Result<double> parse_float(std::string_view text);
// "512KiB", "10MB", "1.5GB1MB": powers of 1024 either way; "0".
core::Result<int64_t> parse_size(std::string_view text);
std::string format_size(int64_t size);
// Whether a plain scalar would be read as something else than text.
bool needs_quotes(std::string_view text);
// An absolute or relative URL as Go's net/url accepts it, roughly: no control
// characters or blanks, a port that is a number.
core::Result<void> check_url(std::string_view url);
// The password of a URL replaced by xxxxx.
std::string hide_password(std::string_view url);
// scheme and host of a URL, "" what is missing.
struct UrlParts {
  std::string scheme;
  std::string host;
};
UrlParts url_parts(std::string_view url);

}  // namespace config
