#include "core/text.h"

#include "core/utf8.h"

#include <cstdint>
#include <doctest/doctest.h>

namespace core {

TEST_CASE("lower case is ASCII's alone") {
  CHECK(lower("Content-TYPE @[`{ 09") == "content-type @[`{ 09");
  CHECK(lower("\xc3\x84") == "\xc3\x84");
}

TEST_CASE("trim takes blanks off both ends and leaves those between") {
  CHECK(trim(" \ta b\t ") == "a b");
  CHECK(trim(" \t ").empty());
  CHECK(trim("").empty());
  CHECK(trim("a\r\n") == "a\r\n");
  CHECK(trim("a\r\n", " \t\r\n") == "a");
}

TEST_CASE("hex digits have their value in both cases, other characters none") {
  for (int c = -128; c < 128; ++c) {
    const size_t at = std::string_view("0123456789abcdef").find(lower(static_cast<char>(c)));
    CHECK(hex_digit(static_cast<char>(c)) ==
          (at == std::string_view::npos ? -1 : static_cast<int>(at)));
  }
}

TEST_CASE("every code point is written as one valid UTF-8 sequence") {
  for (uint32_t code_point = 0; code_point <= 0x10ffff; ++code_point) {
    if (code_point >= 0xd800 && code_point < 0xe000) continue;
    std::string text;
    append_utf8(text, code_point);
    if (utf8_sequence_length(text) != text.size()) FAIL("code point ", code_point);
  }
  std::string text;
  for (const uint32_t code_point : {0x41U, 0xe9U, 0x20acU, 0x1f426U}) append_utf8(text, code_point);
  CHECK(text == "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\xa6");
}

}  // namespace core
