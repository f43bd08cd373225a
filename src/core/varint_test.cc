#include "core/varint.h"

#include <cstdint>
#include <doctest/doctest.h>
#include <limits>

namespace core {

TEST_CASE("signed numbers come back, those near zero in one byte") {
  using Limits = std::numeric_limits<int64_t>;
  for (const int64_t value : {int64_t{0}, int64_t{-1}, int64_t{63}, int64_t{-64}, int64_t{64},
                              int64_t{1'700'000'000'123}, Limits::min(), Limits::max()}) {
    CAPTURE(value);
    std::string out;
    append_zigzag(out, value);
    if (value >= -64 && value < 64) CHECK(out.size() == 1);
    std::string_view rest = out;
    int64_t read = 0;
    REQUIRE(take_zigzag(rest, read));
    CHECK(read == value);
    CHECK(rest.empty());
    for (size_t size = 0; size < out.size(); ++size) {
      std::string_view cut = std::string_view(out).substr(0, size);
      CHECK_FALSE(take_zigzag(cut, read));
    }
  }
}

TEST_CASE("a text that is cut short is refused and leaves the target alone") {
  std::string out;
  append_string(out, "petrel");
  std::string_view rest = out;
  std::string text;
  REQUIRE(take_string(rest, text));
  CHECK(text == "petrel");
  rest = std::string_view(out).substr(0, out.size() - 1);
  CHECK_FALSE(take_string(rest, text));
  CHECK(text == "petrel");
}

}  // namespace core
