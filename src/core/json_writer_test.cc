#include "core/json_writer.h"

#include <cmath>
#include <doctest/doctest.h>
#include <limits>
#include <utility>
#include <vector>

namespace core {
namespace {

std::string quoted(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string number(double value) {
  std::string out;
  append_float(out, value);
  return out;
}

std::string seconds(int64_t time_ms) {
  std::string out;
  append_timestamp(out, time_ms);
  return out;
}

TEST_CASE("strings are escaped and stay valid UTF-8") {
  CHECK(quoted("plain") == R"("plain")");
  CHECK(quoted("a\"b\\c\n\t\x01") == R"("a\"b\\c\n\t\u0001")");
  CHECK(quoted("größe €😀") == "\"größe €😀\"");
  CHECK(quoted("\xff"
               "a\xc3") ==
        "\"\xef\xbf\xbd"
        "a\xef\xbf\xbd\"");
  CHECK(quoted("\xed\xa0\x80") == "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST_CASE("a character that needs care is found at any place of a string") {
  for (const std::string& special : {std::string("\""), std::string("\\"), std::string("\n"),
                                     std::string("\x1f"), std::string("\xff"), std::string("é")}) {
    for (size_t before = 0; before < 20; ++before) {
      const std::string left(before, 'a');
      const std::string right(7, '~');
      CAPTURE(before);
      const std::string middle = quoted(special);
      CHECK(quoted(left + special + right) ==
            "\"" + left + middle.substr(1, middle.size() - 2) + right + "\"");
    }
  }
}

TEST_CASE("sample values are printed shortest, with an exponent at the extremes") {
  CHECK(number(0) == "0");
  CHECK(number(-0.0) == "-0");
  CHECK(number(1) == "1");
  CHECK(number(-12.5) == "-12.5");
  CHECK(number(0.1) == "0.1");
  CHECK(number(1e20) == "100000000000000000000");
  CHECK(number(1e21) == "1e+21");
  CHECK(number(-1.7976931348623157e308) == "-1.7976931348623157e+308");
  CHECK(number(5e-324) == "5e-324");
  CHECK(number(0.000001) == "0.000001");
  CHECK(number(1.5e-7) == "1.5e-07");
  CHECK(number(123456789012345678.0) == "123456789012345680");
  CHECK(number(1234.5678) == "1234.5678");
  CHECK(number(0.5) == "0.5");
  CHECK(number(std::nan("")) == "NaN");
  CHECK(number(std::numeric_limits<double>::infinity()) == "+Inf");
  CHECK(number(-std::numeric_limits<double>::infinity()) == "-Inf");
}

TEST_CASE("timestamps are seconds with as many decimals as needed") {
  CHECK(seconds(1'435'781'451'781) == "1435781451.781");
  CHECK(seconds(1'435'781'451'700) == "1435781451.7");
  CHECK(seconds(1'435'781'451'000) == "1435781451");
  CHECK(seconds(-1) == "-0.001");
  CHECK(seconds(0) == "0");
}

TEST_CASE("commas and brackets fall into place") {
  std::string out;
  JsonWriter json(out);
  json.object().key("a").array().value(1).value("x").object().end().end();
  json.key("b").null().key("c").value(true).key("d").value(0.5).end();
  CHECK(out == R"({"a":[1,"x",{}],"b":null,"c":true,"d":0.5})");
}

}  // namespace
}  // namespace core
