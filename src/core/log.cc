#include "core/log.h"

#include "core/json_writer.h"
#include "core/time.h"

#include <atomic>
#include <ctime>
#include <unistd.h>

namespace core {
namespace {

std::atomic<LogLevel> g_level = LogLevel::Info;
std::atomic<LogFormat> g_format = LogFormat::Logfmt;

std::string_view name_of(LogLevel level) {
  switch (level) {
    case LogLevel::Debug:
      return "debug";
    case LogLevel::Info:
      return "info";
    case LogLevel::Warn:
      return "warn";
    case LogLevel::Error:
      return "error";
  }
  return "unknown";
}

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f) return true;
  }
  return false;
}

void append_logfmt(std::string& line, std::string_view key, std::string_view value) {
  if (!line.empty()) line += ' ';
  line.append(key);
  line += '=';
  if (needs_quotes(value)) {
    append_json_string(line, value);
  } else {
    line.append(value);
  }
}

void append_json_field(std::string& line, std::string_view key, std::string_view value) {
  line += line.empty() ? '{' : ',';
  append_json_string(line, key);
  line += ':';
  append_json_string(line, value);
}

}  // namespace

void set_log_level(LogLevel level) {
  g_level = level;
}
void set_log_format(LogFormat format) {
  g_format = format;
}

void log(LogLevel level, std::string_view component, std::string_view message,
         std::initializer_list<LogField> fields) {
  if (level < g_level) return;
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const int64_t now_ms = static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;

  const bool json = g_format == LogFormat::Json;
  const auto append = json ? append_json_field : append_logfmt;
  std::string line;
  append(line, "ts", format_rfc3339(now_ms));
  append(line, "level", name_of(level));
  append(line, "component", component);
  append(line, "msg", message);
  for (const LogField& field : fields) append(line, field.key, field.value);
  line += json ? "}\n" : "\n";
  // One write per line, so lines of different threads do not mix.
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace core
