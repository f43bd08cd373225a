#include "tsdb/embedded_log_bounds.h"

#include "core/crc32c.h"

#include <array>
#include <charconv>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kBegin = "petrel-log-bounds ";
constexpr uint64_t kVersion = 1;
constexpr std::string_view kCrc = "crc ";

}  // namespace

std::string LogBounds::encode() const {
  std::string text =
      fmt::format("{}{} {} {} {} {}\n", kBegin, kVersion, low, newest, end, is_closed ? 1 : 0);
  text += fmt::format("{}{:08x}\n", kCrc, core::crc32c(text));
  return text;
}

Result<LogBounds> LogBounds::decode(std::string_view text) {
  const size_t crc_at = text.rfind(kCrc);
  if (!text.starts_with(kBegin) || crc_at == std::string_view::npos) {
    return core::fail(ErrorCode::Corruption,
                      "{} bytes that do not begin with \"{}\" or have no checksum", text.size(),
                      kBegin);
  }
  const uint32_t computed = core::crc32c(text.substr(0, crc_at));
  if (text.substr(crc_at) != fmt::format("{}{:08x}\n", kCrc, computed)) {
    return core::fail(ErrorCode::Corruption, "bad checksum at byte {}, computed {:08x}", crc_at,
                      computed);
  }
  std::array<uint64_t, 5> numbers{};
  const char* at = text.data() + kBegin.size();
  const char* const line_end = text.data() + crc_at;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const auto [end, error] = std::from_chars(at, line_end, numbers[i]);
    if (i == 0 && error == std::errc() && numbers[0] > kVersion) {
      return core::fail(ErrorCode::Unsupported, "version {}, this program reads version {}",
                        numbers[0], kVersion);
    }
    const char behind = i + 1 < numbers.size() ? ' ' : '\n';
    if (error != std::errc() || end == line_end || *end != behind) {
      return core::fail(ErrorCode::Corruption, "byte {}: expected a number and then {}",
                        at - text.data(), behind == ' ' ? "a space" : "the end of the line");
    }
    at = end + 1;
  }
  if (at != line_end || numbers[0] != kVersion || numbers[4] > 1) {
    return core::fail(ErrorCode::Corruption, "cannot read \"{}\"", text.substr(0, crc_at));
  }
  return LogBounds{
      .low = numbers[1], .newest = numbers[2], .end = numbers[3], .is_closed = numbers[4] == 1};
}

}  // namespace tsdb
