#include "app/sizes.h"

#include <doctest/doctest.h>

namespace app {
namespace {

TEST_CASE("sizes are read as Prometheus reads them") {
  CHECK(parse_base2_size("0") == 0);
  CHECK(parse_base2_size("7B") == 7);
  CHECK(parse_base2_size("10KB") == 10'240);
  CHECK(parse_base2_size("10KiB") == 10'240);
  CHECK(parse_base2_size("1.5GB") == 1'610'612'736);
  CHECK(parse_base2_size("1GB512MB") == 1'610'612'736);
  CHECK(parse_base2_size("5EB") == uint64_t{5} << 60U);
  for (const char* const bad : {"", "10", "10kb", "10XB", "GB", "-1GB", "1GBx", "1e3GB", "nan"}) {
    CAPTURE(bad);
    const auto size = parse_base2_size(bad);
    REQUIRE_FALSE(size);
    CHECK(size.error().message ==
          fmt::format("\"{}\": expected a size such as 512MB, 10GB or 1TB", bad));
  }
  CHECK(parse_base2_size("9EB").error().message == "\"9EB\": more than 8EB are not counted");
}

TEST_CASE("sizes and retention are shown as Prometheus shows them") {
  CHECK(format_size(0) == "0B");
  CHECK(format_size(10ULL << 30U) == "10GiB");
  CHECK(format_size(1'610'612'736) == "1GiB512MiB");
  CHECK(human_size(1023) == "1023 B");
  CHECK(human_size(1536) == "1.5 KiB");
  CHECK(human_size(200.0 * 1024 * 1024) == "200 MiB");
  constexpr int64_t kDay = 86'400'000;
  CHECK(format_retention(7 * kDay, 0) == "1w");
  CHECK(format_retention(5 * kDay, 10ULL << 30U) == "5d or 10GiB");
  CHECK(format_retention(0, 10ULL << 30U) == "10GiB");
}

}  // namespace
}  // namespace app
