#include "agent/text_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace agent {

using core::ErrorCode;
using core::Result;

namespace {

constexpr size_t kFileSizeMax = size_t{1} << 20;
constexpr size_t kFirstReadSize = 4096;
constexpr std::string_view kBlanks = " \t\n\r";

// ENODEV, EINVAL, EOPNOTSUPP: sysfs attributes that a device does not have just now.
bool means_no_value(int error) {
  return error == ENOENT || error == ENODEV || error == ENOTDIR || error == EINVAL ||
         error == EOPNOTSUPP || error == EACCES || error == EPERM;
}

tl::unexpected<core::Error> system_error(const std::string& path, std::string_view what) {
  const int error = errno;
  return core::fail(means_no_value(error) ? ErrorCode::NotFound : ErrorCode::Io, "{} {}: {}", what,
                    path, std::strerror(error));
}

}  // namespace

Result<void> read_text(const std::string& path, std::string& text) {
  text.clear();
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return system_error(path, "open");
  size_t used = 0;
  ssize_t got = 0;
  do {
    if (used == text.size()) text.resize(std::max(kFirstReadSize, 2 * used));
    got = ::read(file, text.data() + used, text.size() - used);
    if (got > 0) used += static_cast<size_t>(got);
  } while ((got > 0 && used < kFileSizeMax) || (got < 0 && errno == EINTR));
  Result<void> result;
  if (got < 0) result = system_error(path, "read");
  ::close(file);
  text.resize(used);
  return result;
}

std::optional<std::string> read_value(const std::string& path) {
  std::string text;
  if (!read_text(path, text)) return std::nullopt;
  while (!text.empty() && kBlanks.find(text.back()) != kBlanks.npos) text.pop_back();
  return text;
}

std::optional<double> read_number(const std::string& path) {
  const std::optional<std::string> text = read_value(path);
  return text ? to_number(*text) : std::nullopt;
}

std::vector<std::string> list_folder(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
  if (!folder) return names;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string_view take_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

std::string_view take_word(std::string_view& line) {
  const size_t begin = std::min(line.find_first_not_of(kBlanks), line.size());
  const size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::optional<double> to_number(std::string_view word) {
  const char* const end = word.data() + word.size();
  if (word.starts_with("0x")) {
    uint64_t number = 0;
    const auto result = std::from_chars(word.data() + 2, end, number, 16);
    if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
    return static_cast<double>(number);
  }
  double number = 0;
  const auto result = std::from_chars(word.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

}  // namespace agent
