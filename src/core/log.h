// Petrel's own log lines: logfmt (or JSON) on stderr, with the keys that
// Prometheus users grep for.
//
//   ts=2026-01-02T03:04:05.678Z level=info component=tsdb msg="replayed" segments=3

#pragma once

#include <fmt/core.h>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace core {

enum class LogLevel { Debug, Info, Warn, Error };
enum class LogFormat { Logfmt, Json };

struct LogField {
  std::string_view key;
  std::string value;

  LogField(std::string_view field_key, std::string field_value)
      : key(field_key), value(std::move(field_value)) {}
  LogField(std::string_view field_key, std::string_view field_value)
      : key(field_key), value(field_value) {}
  LogField(std::string_view field_key, const char* field_value)
      : key(field_key), value(field_value) {}
  template <typename T>
    requires std::is_arithmetic_v<T>
  LogField(std::string_view field_key, T field_value)
      : key(field_key), value(fmt::format("{}", field_value)) {}
};

void set_log_level(LogLevel level);
void set_log_format(LogFormat format);

// Thread-safe. Never pass a secret: nothing here redacts.
void log(LogLevel level, std::string_view component, std::string_view message,
         std::initializer_list<LogField> fields = {});

inline void log_debug(std::string_view component, std::string_view message,
                      std::initializer_list<LogField> fields = {}) {
  log(LogLevel::Debug, component, message, fields);
}
inline void log_info(std::string_view component, std::string_view message,
                     std::initializer_list<LogField> fields = {}) {
  log(LogLevel::Info, component, message, fields);
}
inline void log_warn(std::string_view component, std::string_view message,
                     std::initializer_list<LogField> fields = {}) {
  log(LogLevel::Warn, component, message, fields);
}
inline void log_error(std::string_view component, std::string_view message,
                      std::initializer_list<LogField> fields = {}) {
  log(LogLevel::Error, component, message, fields);
}

}  // namespace core
