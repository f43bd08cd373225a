// The values a template computes with, and how Go prints them.

#pragma once

#include "core/result.h"
#include "model/labels.h"

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace templates {

struct Value;
using List = std::vector<Value>;

// A Go map or struct. A missing name is "" in a map and an error in a struct. Labels are
// a map with methods (methods.h).
struct Record {
  enum class Kind { Map, Struct, Labels };
  std::map<std::string, Value> fields;
  Kind kind = Kind::Map;

  bool is_struct() const { return kind == Kind::Struct; }
};

// Text that is HTML already and is not escaped again.
struct Html {
  std::string text;
};

struct Time {
  int64_t time_ms = 0;
  std::string zone{};  // IANA name; "": UTC

  bool is_zero() const;
};
// Go's zero time, the end of what has not ended: 0001-01-01T00:00:00Z.
inline constexpr int64_t kZeroTimeMs = -62'135'596'800'000;

struct Duration {
  int64_t duration_ms = 0;
};

// Immutable once made; lists and records are shared.
struct Value {
  using Variant =
      std::variant<std::monostate, bool, int64_t, double, std::string, std::shared_ptr<const List>,
                   std::shared_ptr<const Record>, Html, Time, Duration>;
  Variant of;

  Value() = default;
  Value(bool flag) : of(flag) {}                      // NOLINT(google-explicit-constructor)
  Value(int64_t number) : of(number) {}               // NOLINT(google-explicit-constructor)
  Value(double number) : of(number) {}                // NOLINT(google-explicit-constructor)
  Value(std::string text) : of(std::move(text)) {}    // NOLINT(google-explicit-constructor)
  Value(const char* text) : of(std::string(text)) {}  // NOLINT(google-explicit-constructor)
  explicit Value(Html html) : of(std::move(html)) {}
  explicit Value(Time time) : of(std::move(time)) {}
  explicit Value(Duration duration) : of(duration) {}
  explicit Value(List list);
  explicit Value(Record record);
  static Value labels(model::LabelsView labels);

  template <typename T>
  const T* get() const {
    return std::get_if<T>(&of);
  }
  const List* list() const;
  const Record* record() const;
  bool is_nil() const { return std::holds_alternative<std::monostate>(of); }
  // Go's truth: not the zero value, not empty.
  bool truth() const;
  // "float64", "string", ...: for error texts.
  std::string_view type_name() const;
};

// As Go's %v.
std::string print(const Value& value);
// As fmt.Sprint: a blank between two operands when neither is a text.
std::string print_all(std::span<const Value> values);
// Go's %v of a float64: shortest digits, with an exponent below 1e-4 and from 1e6 on.
std::string print_float(double value);
// Go's %.<precision>g.
std::string format_g(double value, int precision);
// fmt.Sprintf, with Go's marks for what does not fit: "%!d(string=x)".
std::string format(std::string_view pattern, std::span<const Value> values);

// Numbers, and texts that hold one.
core::Result<double> to_float(const Value& value);
core::Result<int64_t> to_int(const Value& value);
core::Result<std::string> to_text(const Value& value);

}  // namespace templates
