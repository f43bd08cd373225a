#include "storage/testing/hex_example.h"

#include "core/file_system.h"

#include <cctype>
#include <string_view>

namespace storage::testing {
namespace {

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string bytes_of_example(const std::string& document_path) {
  core::PosixFileSystem files;
  const auto document = files.read_file(document_path);
  if (!document) return {};
  std::string_view rest = *document;
  for (const std::string_view landmark : {"## Example", "```", "\n"}) {
    const size_t at = rest.find(landmark);
    if (at == std::string_view::npos) return {};
    rest.remove_prefix(at + landmark.size());
  }
  rest = rest.substr(0, rest.find("```"));

  std::string bytes;
  bool in_comment = false;
  for (size_t i = 0; i + 1 < rest.size(); ++i) {
    if (rest[i] == '\n') in_comment = false;
    if (rest[i] == '|') in_comment = true;
    if (in_comment || digit(rest[i]) < 0 || digit(rest[i + 1]) < 0) continue;
    bytes.push_back(static_cast<char>(digit(rest[i]) * 16 + digit(rest[i + 1])));
    ++i;
  }
  return bytes;
}

}  // namespace storage::testing
