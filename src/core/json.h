// Reads JSON into a tree (simdjson inside). For requests, configuration and
// answers of other services; hot paths have their own readers.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace core {

// A JSON value. Object members keep their order; a repeated key keeps its last value.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;
  using Variant = std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object>;

  Json() = default;
  explicit Json(Variant value) : value_(std::move(value)) {}

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(value_); }
  bool is_number() const {
    return std::holds_alternative<int64_t>(value_) || std::holds_alternative<double>(value_);
  }
  const bool* as_bool() const { return std::get_if<bool>(&value_); }
  const int64_t* as_int() const { return std::get_if<int64_t>(&value_); }
  const std::string* as_string() const { return std::get_if<std::string>(&value_); }
  const Array* as_array() const { return std::get_if<Array>(&value_); }
  const Object* as_object() const { return std::get_if<Object>(&value_); }
  // Integers are converted. Precondition: is_number().
  double number() const;
  // The member of an object, or nullptr.
  const Json* find(std::string_view key) const;
  // "null", "boolean", "number", "string", "array", "object": for error texts.
  std::string_view type_name() const;

 private:
  Variant value_ = nullptr;
};

// One document; anything behind it is an error. The error says what is wrong and at
// which byte. Nesting deeper than 256 is refused.
Result<Json> parse_json(std::string_view text);

}  // namespace core
