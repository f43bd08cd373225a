#include "api/testing/api_fixture.h"

#include <doctest/doctest.h>

namespace api {

namespace {

using testing::ApiFixture;
using testing::failure;
using testing::success;

struct LabelFixture : ApiFixture {
  LabelFixture() {
    write({{"__name__", "up"}, {"job", "a"}}, 1000'000, 1);
    write({{"__name__", "up"}, {"job", "b"}}, 2000'000, 1);
    write({{"__name__", "load"}, {"http.code", "200"}}, 1000'000, 1);
  }
};

}  // namespace

TEST_CASE("Label names and values are sorted and follow match[] and the time range") {
  LabelFixture fixture;
  CHECK(fixture.text("/api/v1/labels") == success(R"(["__name__","http.code","job"])"));
  CHECK(fixture.text("/api/v1/labels?match[]=up") == success(R"(["__name__","job"])"));
  CHECK(fixture.text("/api/v1/labels?start=1500&end=1600") == success("[]"));
  CHECK(fixture.text("/api/v1/label/job/values") == success(R"(["a","b"])"));
  CHECK(fixture.text("/api/v1/label/job/values?end=1000") == success(R"(["a"])"));
  CHECK(fixture.text("/api/v1/label/nothing/values") == success("[]"));
}

TEST_CASE("Label names that need it are escaped in the path") {
  LabelFixture fixture;
  CHECK(fixture.text("/api/v1/label/U__http_2e_code/values") == success(R"(["200"])"));
  CHECK(fixture.text("/api/v1/label/http.code/values") == success(R"(["200"])"));
  CHECK(fixture.text("/api/v1/label/U______name____/values") == success(R"(["load","up"])"));
  CHECK(fixture.text("/api/v1/label/U__job/values") == success(R"(["a","b"])"));
  CHECK(fixture.text("/api/v1/label/U__bad_zz_/values") == success("[]"));
  CHECK(fixture.text("/api/v1/label/%ff/values").starts_with("400 "));
}

TEST_CASE("Series are the label sets, each once") {
  LabelFixture fixture;
  CHECK(fixture.text("/api/v1/series?match[]=up&match[]=%7Bjob%3D%22a%22%7D") ==
        success(R"([{"__name__":"up","job":"a"},{"__name__":"up","job":"b"}])"));
  CHECK(fixture.text("/api/v1/series?match[]=none") == success("[]"));
  CHECK(fixture.text("/api/v1/series") ==
        failure(400, "bad_data", "no match[] parameter provided"));
  CHECK(fixture.text("/api/v1/series?match[]=%7Bjob%3D%22%22%7D").starts_with("400 "));
  CHECK(fixture.text("/api/v1/series?match[]=rate(up%5B5m%5D)").starts_with("400 "));
  CHECK(fixture.text("/api/v1/series?match[]=up&start=bogus")
            .starts_with("400 {\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid "
                         "parameter \\\"start\\\": "));
}

TEST_CASE("Lists are cut at the limit, with a warning only when something is missing") {
  LabelFixture fixture;
  const std::string warned = R"(,"warnings":["results truncated due to limit"]})";
  CHECK(fixture.text("/api/v1/labels?limit=1") ==
        R"(200 {"status":"success","data":["__name__"])" + warned);
  CHECK(fixture.text("/api/v1/label/job/values?limit=2") == success(R"(["a","b"])"));
  CHECK(fixture.text("/api/v1/series?match[]=up&limit=1").ends_with(warned));
}

TEST_CASE("Lists say what may be missing in them") {
  LabelFixture fixture;
  fixture.store.warn({"block x is damaged"});
  const std::string warned = R"(,"warnings":["block x is damaged"]})";
  CHECK(fixture.text("/api/v1/labels").ends_with(warned));
  CHECK(fixture.text("/api/v1/label/job/values").ends_with(warned));
  CHECK(fixture.text("/api/v1/series?match[]=up").ends_with(warned));
  CHECK(fixture.text("/api/v1/series?match[]=up&limit=1")
            .ends_with(R"("warnings":["block x is damaged","results truncated due to limit"]})"));
}

TEST_CASE("Metadata is grouped by metric") {
  LabelFixture fixture;
  storage::WriteBatch batch;
  batch.metadata = {
      {.metric = "up", .type = model::MetricType::Gauge, .unit = "", .help = "Is up."},
      {.metric = "x", .type = model::MetricType::Counter, .unit = "s", .help = ""}};
  REQUIRE(fixture.store.append(batch));
  CHECK(fixture.text("/api/v1/metadata") ==
        success(R"({"up":[{"type":"gauge","help":"Is up.","unit":""}],)"
                R"("x":[{"type":"counter","help":"","unit":"s"}]})"));
  CHECK(fixture.text("/api/v1/metadata?metric=none") == success("{}"));
  CHECK(fixture.text("/api/v1/metadata?limit=1") ==
        success(R"({"up":[{"type":"gauge","help":"Is up.","unit":""}]})"));
  CHECK(fixture.text("/api/v1/metadata?limit=x") ==
        failure(400, "bad_data", "limit must be a number"));
}

}  // namespace api
