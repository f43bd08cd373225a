#include "recording.h"

#include <charconv>
#include <cmath>
#include <fstream>
#include <string_view>

using core::ErrorCode;
using core::Result;

namespace {

bool parse_value(std::string_view text, double& value) {
  // The API writes +Inf; from_chars knows no plus.
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

bool parse_time(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

template <typename T, typename Parse>
bool parse_list(std::string_view text, std::vector<T>& values, Parse parse) {
  while (true) {
    const size_t comma = text.find(',');
    if (!parse(text.substr(0, comma), values.emplace_back())) return false;
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

Result<std::vector<Series>> read_recording(const std::string& path) {
  std::ifstream file(path);
  if (!file) return core::fail(ErrorCode::NotFound, "cannot open {}", path);
  std::vector<Series> all;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    const std::string_view text = line;
    const size_t first = text.find('\t');
    const size_t second = first == std::string_view::npos ? first : text.find('\t', first + 1);
    if (second == std::string_view::npos) {
      return core::fail(ErrorCode::InvalidArgument,
                        "{}:{}: expected labels, timestamps and values with tabs between", path,
                        number);
    }
    Series& one = all.emplace_back();
    one.labels = text.substr(0, first);
    if (!parse_list(text.substr(first + 1, second - first - 1), one.timestamps_ms, parse_time) ||
        !parse_list(text.substr(second + 1), one.values, parse_value)) {
      return core::fail(ErrorCode::InvalidArgument, "{}:{}: a timestamp or value is no number",
                        path, number);
    }
    if (one.timestamps_ms.size() != one.values.size()) {
      return core::fail(ErrorCode::InvalidArgument, "{}:{}: {} timestamps but {} values", path,
                        number, one.timestamps_ms.size(), one.values.size());
    }
  }
  if (all.empty()) return core::fail(ErrorCode::InvalidArgument, "{}: no series", path);
  return all;
}
