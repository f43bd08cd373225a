#include "core/json.h"

#include "core/rng.h"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace core {
namespace {

std::string error_of(std::string_view text) {
  const Result<Json> json = parse_json(text);
  if (json) return "";
  CHECK(json.error().code == ErrorCode::InvalidArgument);
  return json.error().message;
}

TEST_CASE("a document becomes a tree with its members in order") {
  const Result<Json> json =
      parse_json(R"( {"b": [1, -2.5, "x\u00e9\n", true, null], "a": {"k": 1e3}} )");
  REQUIRE(json);
  const Json::Object& members = *json->as_object();
  REQUIRE(members.size() == 2);
  CHECK(members[0].first == "b");
  const Json::Array& array = *json->find("b")->as_array();
  REQUIRE(array.size() == 5);
  CHECK(*array[0].as_int() == 1);
  CHECK(array[1].number() == -2.5);
  CHECK(*array[2].as_string() == "x\xc3\xa9\n");
  CHECK(*array[3].as_bool());
  CHECK(array[4].is_null());
  CHECK(json->find("a")->find("k")->number() == 1000);
  CHECK(json->find("c") == nullptr);
  CHECK(array[0].find("k") == nullptr);
}

TEST_CASE("a type has the name that JSON gives it") {
  const Result<Json> json = parse_json(R"([null, true, 1, 1.5, "", [], {}])");
  REQUIRE(json);
  std::vector<std::string_view> names;
  for (const Json& value : *json->as_array()) names.push_back(value.type_name());
  CHECK(names == std::vector<std::string_view>{"null", "boolean", "number", "number", "string",
                                               "array", "object"});
}

TEST_CASE("a repeated key keeps its last value, in small objects and in large ones") {
  CHECK(parse_json(R"({"a":1,"b":2,"a":3})")->find("a")->number() == 3);
  CHECK(parse_json(R"({"a":1,"b":2,"a":3})")->as_object()->size() == 2);
  std::string text = "{";
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 50; ++i) {
      text += fmt::format("\"key{}\":{},", i, 100 * round + i);
    }
  }
  text.back() = '}';
  const Result<Json> json = parse_json(text);
  REQUIRE(json);
  CHECK(json->as_object()->size() == 50);
  CHECK(json->find("key7")->number() == 107);
}

TEST_CASE("integers beyond 64 bits are read as floats") {
  CHECK(parse_json("[9223372036854775807]")->as_array()->front().as_int() != nullptr);
  CHECK(parse_json("9223372036854775808")->number() == 9223372036854775808.0);
  CHECK(parse_json("-9223372036854775809")->number() == -9223372036854775809.0);
  const Result<Json> json = parse_json("[100000000000000000000, 1, -200000000000000000000]");
  REQUIRE(json);
  CHECK((*json->as_array())[0].number() == 1e20);
  CHECK(*(*json->as_array())[1].as_int() == 1);
  CHECK((*json->as_array())[2].number() == -2e20);
}

TEST_CASE("an error says what was found, at which byte, and what was expected") {
  CHECK(error_of("") == "the text ends at byte 0, expected a value");
  CHECK(error_of("  ") == "the text ends at byte 2, expected a value");
  CHECK(error_of("{} x") == "'x' at byte 3, expected the end of the text after the value");
  CHECK(error_of("{}{}") == "'{' at byte 2, expected the end of the text after the value");
  CHECK(error_of("[1,]") == "']' at byte 3, expected a value");
  CHECK(error_of("[1 2]") == "'2' at byte 3, expected ',' or ']' after an element");
  CHECK(error_of("{a:1}") == "'a' at byte 1, expected a member name in quotes");
  CHECK(error_of(R"({"a" 1})") == "'1' at byte 5, expected ':' after the member name");
  CHECK(error_of(R"({"a":1,})") == "'}' at byte 7, expected a member name in quotes");
  CHECK(error_of(R"({"a":1)") == "the text ends at byte 6, expected ',' or '}' after a member");
  CHECK(error_of(R"(["abc)") == "the string from byte 1 on is not closed");
  CHECK(error_of("[01]") == "'1' at byte 2, expected no digit after a leading 0");
  CHECK(error_of("[1.]") == "']' at byte 3, expected a digit after the decimal point");
  CHECK(error_of("[+1]") == "'+' at byte 1, expected a value");
  CHECK(error_of("[NaN]") == "'N' at byte 1, expected a value");
  CHECK(error_of("[trux]") == "'t' at byte 1, expected a value");
  CHECK(error_of("[1e999]") == "the number at byte 1 is beyond a double's range");
  CHECK(error_of("[\"a\nb\"]") == "0x0a at byte 3, expected no raw control character in a string");
  CHECK(error_of(R"(["\q"])") == "'q' at byte 3, expected one of \"\\/bfnrtu after a backslash");
  CHECK(error_of(R"(["\u12"])") == "'1' at byte 4, expected four hexadecimal digits after \\u");
  CHECK(error_of("[\"\xff\"]") == "0xff at byte 2, expected UTF-8");
  CHECK(error_of("[\"\xed\xa0\x80\"]") == "0xed at byte 2, expected UTF-8");
  CHECK(error_of(std::string("[1]\0", 4)) ==
        "0x00 at byte 3, expected the end of the text after the value");
}

TEST_CASE("nesting up to the limit is read, deeper is refused") {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(parse_json(nested(250)));
  CHECK(!parse_json(nested(257)));
  CHECK(error_of(nested(100'000)).starts_with("nested deeper than 256 at byte"));
  CHECK(parse_json("1"));
}

TEST_CASE("a text cut at any byte is an error") {
  const std::string text = R"({"a":[1,-2.5e3,"x\u00e9",{"b":null}],"c":true})";
  REQUIRE(parse_json(text));
  for (size_t size = 0; size < text.size(); ++size) {
    CAPTURE(size);
    CHECK(!error_of(text.substr(0, size)).empty());
  }
}

TEST_CASE("every error of a damaged text is found with its place") {
  const std::string text = R"({"a":[1,-2.5e3,"x\u00e9\ud83d\ude00",{"b":null}],"c":true,"dé":"é"})";
  SeededRng rng(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = text;
    const uint64_t changes = 1 + rng.below(3);
    for (uint64_t i = 0; i < changes; ++i) {
      damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
    }
    CAPTURE(damaged);
    const std::string error = error_of(damaged);
    // "not JSON" is what is said when the scanner sees no error where simdjson does.
    CHECK(!error.starts_with("not JSON"));
  }
}

}  // namespace
}  // namespace core
