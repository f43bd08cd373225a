#include "templates/go_time.h"

#include <array>
#include <ctime>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <optional>

namespace templates {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                   "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> kMonths = {
    "January", "February", "March",     "April",   "May",      "June",
    "July",    "August",   "September", "October", "November", "December"};

int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

// A TZif file (RFC 8536), version 2 and later: the part with 64-bit times.
class ZoneFile {
 public:
  explicit ZoneFile(std::string_view bytes) : bytes_(bytes) {}

  std::optional<ZoneOffset> at(int64_t time_s) {
    if (!header() || version_ < '2') return std::nullopt;
    // Behind the first part, whose times have 32 bits, stands the second.
    if (!skip(counts_[3] * 5 + counts_[4] * 6 + counts_[5] + counts_[2] * 8 + counts_[1] +
              counts_[0])) {
      return std::nullopt;
    }
    if (!header()) return std::nullopt;
    const auto [isutc, isstd, leaps, times, types, letters] = counts_;
    const size_t need = times * 9 + types * 6 + letters;
    if (types == 0 || bytes_.size() < need) return std::nullopt;
    size_t type = 0;
    for (size_t i = 0; i < times; ++i) {
      if (number(bytes_.substr(i * 8, 8)) > time_s) break;
      type = static_cast<uint8_t>(bytes_[times * 8 + i]);
    }
    if (type >= types) return std::nullopt;
    const std::string_view entry = bytes_.substr(times * 9 + type * 6, 6);
    const auto name_at = static_cast<size_t>(static_cast<uint8_t>(entry[5]));
    const std::string_view names = bytes_.substr(times * 9 + types * 6, letters);
    if (name_at >= names.size()) return std::nullopt;
    const std::string_view name = names.substr(name_at);
    return ZoneOffset{number(entry.substr(0, 4)), std::string(name.substr(0, name.find('\0')))};
  }

 private:
  static int64_t number(std::string_view bytes) {
    uint64_t value = (static_cast<uint8_t>(bytes[0]) & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
    return static_cast<int64_t>(value);
  }
  bool skip(size_t size) {
    if (bytes_.size() < size) return false;
    bytes_.remove_prefix(size);
    return true;
  }
  bool header() {
    if (!bytes_.starts_with("TZif") || bytes_.size() < 44) return false;
    version_ = bytes_[4];
    for (size_t i = 0; i < counts_.size(); ++i) {
      const int64_t count = number(bytes_.substr(20 + i * 4, 4));
      if (count < 0 || count > 1'000'000) return false;
      counts_[i] = static_cast<size_t>(count);
    }
    return skip(44);
  }

  std::string_view bytes_;
  char version_ = 0;
  std::array<size_t, 6> counts_{};  // isutc, isstd, leap, time, type, char
};

struct Civil {
  std::tm tm{};
  int ms = 0;
  ZoneOffset zone;
};

std::string offset_text(const ZoneOffset& zone, bool colon, bool minutes, bool z_for_utc) {
  if (z_for_utc && zone.seconds == 0) return "Z";
  const int64_t size = zone.seconds < 0 ? -zone.seconds : zone.seconds;
  std::string out = fmt::format("{}{:02}", zone.seconds < 0 ? '-' : '+', size / 3600);
  if (minutes) out += fmt::format("{}{:02}", colon ? ":" : "", size / 60 % 60);
  return out;
}

// Those that begin alike: the longer first.
using Print = std::string (*)(const Civil&);
struct Token {
  std::string_view text;
  Print print;
};
constexpr Token kTokens[] = {
    {"January",
     [](const Civil& c) { return std::string(kMonths[static_cast<size_t>(c.tm.tm_mon)]); }},
    {"Jan",
     [](const Civil& c) {
       return std::string(kMonths[static_cast<size_t>(c.tm.tm_mon)].substr(0, 3));
     }},
    {"Monday",
     [](const Civil& c) { return std::string(kDays[static_cast<size_t>(c.tm.tm_wday)]); }},
    {"Mon",
     [](const Civil& c) {
       return std::string(kDays[static_cast<size_t>(c.tm.tm_wday)].substr(0, 3));
     }},
    {"MST", [](const Civil& c) { return c.zone.name; }},
    {"2006", [](const Civil& c) { return fmt::format("{:04}", c.tm.tm_year + 1900); }},
    {"-07:00", [](const Civil& c) { return offset_text(c.zone, true, true, false); }},
    {"-0700", [](const Civil& c) { return offset_text(c.zone, false, true, false); }},
    {"-07", [](const Civil& c) { return offset_text(c.zone, false, false, false); }},
    {"Z07:00", [](const Civil& c) { return offset_text(c.zone, true, true, true); }},
    {"Z0700", [](const Civil& c) { return offset_text(c.zone, false, true, true); }},
    {"Z07", [](const Civil& c) { return offset_text(c.zone, false, false, true); }},
    {"002", [](const Civil& c) { return fmt::format("{:03}", c.tm.tm_yday + 1); }},
    {"01", [](const Civil& c) { return fmt::format("{:02}", c.tm.tm_mon + 1); }},
    {"02", [](const Civil& c) { return fmt::format("{:02}", c.tm.tm_mday); }},
    {"03", [](const Civil& c) { return fmt::format("{:02}", (c.tm.tm_hour + 11) % 12 + 1); }},
    {"04", [](const Civil& c) { return fmt::format("{:02}", c.tm.tm_min); }},
    {"05", [](const Civil& c) { return fmt::format("{:02}", c.tm.tm_sec); }},
    {"06", [](const Civil& c) { return fmt::format("{:02}", c.tm.tm_year % 100); }},
    {"15", [](const Civil& c) { return fmt::format("{:02}", c.tm.tm_hour); }},
    {"PM", [](const Civil& c) { return std::string(c.tm.tm_hour >= 12 ? "PM" : "AM"); }},
    {"pm", [](const Civil& c) { return std::string(c.tm.tm_hour >= 12 ? "pm" : "am"); }},
    {"__2", [](const Civil& c) { return fmt::format("{:3}", c.tm.tm_yday + 1); }},
    {"_2006", [](const Civil& c) { return fmt::format("_{:04}", c.tm.tm_year + 1900); }},
    {"_2", [](const Civil& c) { return fmt::format("{:2}", c.tm.tm_mday); }},
    {"1", [](const Civil& c) { return fmt::format("{}", c.tm.tm_mon + 1); }},
    {"2", [](const Civil& c) { return fmt::format("{}", c.tm.tm_mday); }},
    {"3", [](const Civil& c) { return fmt::format("{}", (c.tm.tm_hour + 11) % 12 + 1); }},
    {"4", [](const Civil& c) { return fmt::format("{}", c.tm.tm_min); }},
    {"5", [](const Civil& c) { return fmt::format("{}", c.tm.tm_sec); }},
};

// ".000" and ".999" (or with a comma), not followed by a further digit. 0: none here.
size_t fraction_length(std::string_view rest) {
  if (rest.size() < 2 || (rest[0] != '.' && rest[0] != ',')) return 0;
  if (rest[1] != '0' && rest[1] != '9') return 0;
  size_t end = 1;
  while (end < rest.size() && rest[end] == rest[1]) ++end;
  const bool digit_follows = end < rest.size() && rest[end] >= '0' && rest[end] <= '9';
  return digit_follows ? 0 : end;
}

std::string fraction_text(std::string_view token, int ms) {
  std::string digits = fmt::format("{:03}000000", ms);
  digits.resize(std::min<size_t>(token.size() - 1, 9), '0');
  if (token[1] == '9') {
    while (!digits.empty() && digits.back() == '0') digits.pop_back();
    if (digits.empty()) return "";
  }
  return token[0] + digits;
}

}  // namespace

Result<ZoneOffset> zone_offset(const std::string& zone, int64_t time_ms) {
  if (zone.empty() || zone == "UTC" || zone == "Local") return ZoneOffset{};
  const bool plain = zone.find("..") == std::string::npos && zone[0] != '/' &&
                     zone.find('\0') == std::string::npos;
  if (plain) {
    std::ifstream file("/usr/share/zoneinfo/" + zone, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (auto offset = ZoneFile(bytes).at(floor_div(time_ms, 1000))) return std::move(*offset);
  }
  return core::fail(ErrorCode::NotFound, "unknown time zone {}", zone);
}

std::string format_time(int64_t time_ms, const ZoneOffset& zone, std::string_view layout) {
  Civil civil;
  civil.zone = zone;
  const std::time_t local = floor_div(time_ms, 1000) + zone.seconds;
  civil.ms = static_cast<int>(time_ms - floor_div(time_ms, 1000) * 1000);
  gmtime_r(&local, &civil.tm);
  std::string out;
  while (!layout.empty()) {
    if (const size_t length = fraction_length(layout); length > 0) {
      out += fraction_text(layout.substr(0, length), civil.ms);
      layout.remove_prefix(length);
      continue;
    }
    const Token* found = nullptr;
    for (const Token& token : kTokens) {
      if (!layout.starts_with(token.text)) continue;
      // "January" and "Monday" may be cut short, "Month" is a word of its own.
      const char next = layout.size() > token.text.size() ? layout[token.text.size()] : '\0';
      if ((token.text == "Jan" || token.text == "Mon") && next >= 'a' && next <= 'z') continue;
      found = &token;
      break;
    }
    if (found == nullptr) {
      out += layout[0];
      layout.remove_prefix(1);
      continue;
    }
    out += found->print(civil);
    layout.remove_prefix(found->text.size());
  }
  return out;
}

std::string duration_text(int64_t duration_ms) {
  if (duration_ms == 0) return "0s";
  const std::string sign = duration_ms < 0 ? "-" : "";
  const uint64_t size = duration_ms < 0 ? uint64_t{0} - static_cast<uint64_t>(duration_ms)
                                        : static_cast<uint64_t>(duration_ms);
  if (size < 1000) return fmt::format("{}{}ms", sign, size);
  std::string out = sign;
  const uint64_t minutes = size / 60'000;
  if (minutes >= 60) out += fmt::format("{}h", minutes / 60);
  if (minutes > 0) out += fmt::format("{}m", minutes % 60);
  const uint64_t rest_ms = size % 60'000;
  out += fmt::format("{}", rest_ms / 1000);
  if (rest_ms % 1000 != 0) {
    std::string fraction = fmt::format(".{:03}", rest_ms % 1000);
    while (fraction.back() == '0') fraction.pop_back();
    out += fraction;
  }
  return out + "s";
}

}  // namespace templates
