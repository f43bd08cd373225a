#include "core/crc32c.h"

#include <doctest/doctest.h>
#include <string>

TEST_CASE("crc32c gives the values of RFC 3720, B.4") {
  CHECK(core::crc32c(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(core::crc32c(std::string(32, '\xff')) == 0x62a8ab43U);
  CHECK(core::crc32c("123456789") == 0xe3069283U);
}

TEST_CASE("crc32c of two halves equals that of the whole") {
  const std::string text = "a storm petrel tells sailors of a storm";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    CHECK(core::crc32c(text.substr(cut), core::crc32c(text.substr(0, cut))) == core::crc32c(text));
  }
}
