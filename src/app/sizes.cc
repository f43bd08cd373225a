#include "app/sizes.h"

#include "core/time.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace app {

namespace {

constexpr std::string_view kPrefixes = "KMGTPE";

core::Error unreadable(std::string_view text) {
  return {core::ErrorCode::InvalidArgument,
          fmt::format("\"{}\": expected a size such as 512MB, 10GB or 1TB", text)};
}

// Takes "GB" or "GiB" from the front; 0 when there is no unit.
uint64_t take_unit(std::string_view& text) {
  uint64_t unit = 1;
  size_t length = 0;
  if (!text.empty() && kPrefixes.find(text.front()) != std::string_view::npos) {
    unit = uint64_t{1} << (10 * (kPrefixes.find(text.front()) + 1));
    length = text.substr(1).starts_with('i') ? 2 : 1;
  }
  if (length >= text.size() || text[length] != 'B') return 0;
  text.remove_prefix(length + 1);
  return unit;
}

}  // namespace

core::Result<uint64_t> parse_base2_size(std::string_view text) {
  if (text == "0") return uint64_t{0};
  double total = 0;
  std::string_view rest = text;
  if (rest.empty()) return tl::unexpected(unreadable(text));
  while (!rest.empty()) {
    double number = 0;
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), number, std::chars_format::fixed);
    if (error != std::errc() || !(number >= 0)) return tl::unexpected(unreadable(text));
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const uint64_t unit = take_unit(rest);
    if (unit == 0) return tl::unexpected(unreadable(text));
    total += number * static_cast<double>(unit);
  }
  if (total >= 0x1p63) {
    return core::fail(core::ErrorCode::InvalidArgument, "\"{}\": more than 8EB are not counted",
                      text);
  }
  return static_cast<uint64_t>(total);
}

std::string format_size(uint64_t bytes) {
  std::string text;
  for (size_t i = kPrefixes.size(); i-- > 0;) {
    const uint64_t unit = uint64_t{1} << (10 * (i + 1));
    if (bytes < unit) continue;
    text += fmt::format("{}{}iB", bytes / unit, kPrefixes[i]);
    bytes %= unit;
  }
  if (bytes != 0 || text.empty()) text += fmt::format("{}B", bytes);
  return text;
}

std::string human_size(double bytes) {
  size_t unit = 0;
  while (bytes >= 1024 && unit < kPrefixes.size()) {
    bytes /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{:.0f} B", bytes);
  return fmt::format("{:.{}f} {}iB", bytes, bytes < 100 ? 1 : 0, kPrefixes[unit - 1]);
}

std::string format_retention(int64_t retention_ms, uint64_t retention_bytes) {
  std::string text;
  if (retention_ms != 0) text = core::format_duration(retention_ms);
  if (retention_bytes == 0) return text;
  if (!text.empty()) text += " or ";
  return text + format_size(retention_bytes);
}

}  // namespace app
