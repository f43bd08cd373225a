#include "api/testing/api_fixture.h"

#include <doctest/doctest.h>

namespace api {

namespace {

using testing::ApiFixture;
using testing::failure;
using testing::success;

struct QueryFixture : ApiFixture {
  QueryFixture() {
    for (int i = 0; i < 10; ++i) {
      write({{"__name__", "m"}, {"i", "a"}}, 1000'000 + i * 10'000, i);
      write({{"__name__", "m"}, {"i", "b"}}, 1000'000 + i * 10'000, 2 * i);
    }
  }
};

}  // namespace

TEST_CASE("An instant query answers with labels, time and value") {
  QueryFixture fixture;
  CHECK(fixture.text("/api/v1/query?query=m%7Bi%3D%22a%22%7D&time=1050.5") ==
        success(R"({"resultType":"vector","result":[)"
                R"({"metric":{"__name__":"m","i":"a"},"value":[1050.5,"5"]}]})"));
  CHECK(fixture.text("/api/v1/query?query=1.5&time=10") ==
        success(R"({"resultType":"scalar","result":[10,"1.5"]})"));
  CHECK(fixture.text("/api/v1/query?query=%22x%22&time=10") ==
        success(R"({"resultType":"string","result":[10,"x"]})"));
  CHECK(fixture.text("/api/v1/query?query=nothing&time=10") ==
        success(R"({"resultType":"vector","result":[]})"));
  CHECK(fixture.text("/api/v1/query?query=time()") ==
        success(R"({"resultType":"scalar","result":[1435781451.781,"1435781451.781"]})"));
}

TEST_CASE("Query parameters come from the form, then from the URL") {
  QueryFixture fixture;
  const net::Response response =
      fixture.call("POST", "/api/v1/query?query=1&time=7",
                   {{"Content-Type", "application/x-www-form-urlencoded"}}, "query=2%2B2");
  CHECK(response.status == 200);
  CHECK(response.body == R"({"status":"success","data":{"resultType":"scalar","result":[7,"4"]}})");
}

TEST_CASE("A range query gives every step that has a value") {
  QueryFixture fixture;
  CHECK(fixture.text("/api/v1/query_range?query=m%7Bi%3D%22b%22%7D&start=1000&end=1020&step=10s") ==
        success(R"({"resultType":"matrix","result":[{"metric":{"__name__":"m","i":"b"},)"
                R"("values":[[1000,"0"],[1010,"2"],[1020,"4"]]}]})"));
}

TEST_CASE("Bad query parameters are named as Prometheus names them") {
  QueryFixture fixture;
  CHECK(fixture.text("/api/v1/query?query=1&time=yesterday") ==
        failure(400, "bad_data",
                "invalid parameter \"time\": invalid time value for 'time': cannot parse "
                "\"yesterday\" to a valid timestamp"));
  CHECK(fixture.text("/api/v1/query?query=1&timeout=soon") ==
        failure(400, "bad_data",
                "invalid parameter \"timeout\": cannot parse \"soon\" to a valid duration"));
  CHECK(fixture.text("/api/v1/query?query=1&limit=-1") ==
        failure(400, "bad_data", "invalid parameter \"limit\": limit must be non-negative"));
  CHECK(fixture.text("/api/v1/query?query=1&lookback_delta=x") ==
        failure(400, "bad_data",
                "error parsing lookback delta duration: cannot parse \"x\" to a valid duration"));
  CHECK(fixture.text("/api/v1/query?query=%zz") ==
        failure(400, "bad_data", "error parsing form values: invalid URL escape \"%zz\""));
  const auto range = [&](const std::string& rest) {
    return fixture.text("/api/v1/query_range?query=1&" + rest);
  };
  CHECK(range("end=2&step=1") ==
        failure(400, "bad_data",
                "invalid parameter \"start\": cannot parse \"\" to a valid timestamp"));
  CHECK(range("start=2&end=1&step=1") ==
        failure(400, "bad_data",
                "invalid parameter \"end\": end timestamp must not be before start time"));
  CHECK(range("start=1&end=2&step=0") ==
        failure(400, "bad_data",
                "invalid parameter \"step\": zero or negative query resolution step widths are "
                "not accepted. Try a positive integer"));
  CHECK(range("start=0&end=11001&step=1") ==
        failure(400, "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the "
                "query resolution (?step=XX)"));
  CHECK(range("start=0&end=11000&step=1").starts_with("200 "));
}

TEST_CASE("Queries end as cancelled when the server stops") {
  QueryFixture fixture;
  fixture.api.cancel_queries();
  CHECK(fixture.text("/api/v1/query?query=m&time=1050") ==
        failure(499, "canceled", "query was canceled in expression evaluation"));
}

TEST_CASE("A query that does not parse is bad data, one that cannot be computed is not") {
  QueryFixture fixture;
  CHECK(fixture.text("/api/v1/query?query=sum((")
            .starts_with("400 {\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid "
                         "parameter \\\"query\\\": 1:"));
  CHECK(fixture.text("/api/v1/query").starts_with("400 "));
  CHECK(fixture.text("/api/v1/query?time=1050&query=m%2Bon()m").starts_with("422 "));
  CHECK(fixture.text("/api/v1/query_range?query=m%5B5m%5D&start=0&end=1&step=1")
            .starts_with("400 {\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"invalid "
                         "parameter \\\"query\\\": "));
  fixture.store.fail_reads(core::Error{core::ErrorCode::Unavailable, "storage is away"});
  CHECK(fixture.text("/api/v1/query?time=1050&query=m").starts_with("503 "));
}

TEST_CASE("A limit cuts the result and says so") {
  QueryFixture fixture;
  const std::string cut = fixture.text("/api/v1/query?query=m&time=1050&limit=1");
  CHECK(cut.ends_with(R"(,"warnings":["results truncated due to limit"]})"));
  CHECK(cut.find("\"i\":\"b\"") == std::string::npos);
  CHECK(fixture.text("/api/v1/query?query=m&time=1050&limit=2").find("warnings") ==
        std::string::npos);
  CHECK(fixture.text("/api/v1/query_range?query=m&start=1000&end=1020&step=10&limit=1")
            .ends_with(R"(,"warnings":["results truncated due to limit"]})"));
}

TEST_CASE("Exemplars are found through the selectors of an expression") {
  QueryFixture fixture;
  storage::WriteBatch batch;
  const model::Labels labels = model::Labels::of({{"__name__", "e_total"}, {"i", "a"}});
  batch.add(labels, 1000'000, 1);
  batch.begin_series(labels.bytes());
  batch.add_exemplar(
      {.labels = model::Labels::of({{"trace_id", "t0"}}), .value = 0.5, .timestamp_ms = 1000'003});
  REQUIRE(fixture.store.append(batch));
  CHECK(fixture.text("/api/v1/query_exemplars?query=rate(e_total%5B5m%5D)&start=900&end=1100") ==
        success(R"([{"seriesLabels":{"__name__":"e_total","i":"a"},"exemplars":[)"
                R"({"labels":{"trace_id":"t0"},"value":"0.5","timestamp":1000.003}]}])"));
  CHECK(fixture.text("/api/v1/query_exemplars?query=none&start=900&end=1100") == success("[]"));
  CHECK(fixture.text("/api/v1/query_exemplars?query=1&start=900&end=1100") == success("[]"));
  CHECK(fixture.text("/api/v1/query_exemplars?query=m&start=2&end=1").starts_with("400 "));
  CHECK(fixture.text("/api/v1/query_exemplars?query=m%7B").starts_with("400 "));
}

TEST_CASE("Queries are formatted") {
  QueryFixture fixture;
  CHECK(fixture.text("/api/v1/format_query?query=foo/bar") == success("\"foo / bar\""));
  CHECK(fixture.text("/api/v1/format_query?query=foo%7B").starts_with("400 "));
}

TEST_CASE("Queries are shown as trees") {
  QueryFixture fixture;
  const auto selector = [](const std::string& name) {
    return R"({"type":"vectorSelector","name":")" + name +
           R"(","matchers":[{"name":"__name__","value":")" + name +
           R"(","type":"="}],"offset":0,"timestamp":null,"startOrEnd":null})";
  };
  CHECK(fixture.text("/api/v1/parse_query?query=foo/bar") ==
        success(R"({"type":"binaryExpr","op":"/","lhs":)" + selector("foo") + R"(,"rhs":)" +
                selector("bar") +
                R"(,"matching":{"card":"one-to-one","labels":[],"on":false,"include":[]},)"
                R"("bool":false})"));
  CHECK(fixture.text("/api/v1/parse_query?query=sum+by(a)(rate(m%5B5m%5D+offset+1m))+>+-2") ==
        success(R"({"type":"binaryExpr","op":">","lhs":{"type":"aggregation","op":"sum","expr":)"
                R"({"type":"call","func":{"name":"rate","argTypes":["matrix"],"variadic":0,)"
                R"("returnType":"vector"},"args":[{"type":"matrixSelector","range":300000,)"
                R"("name":"m","matchers":[{"name":"__name__","value":"m","type":"="}],)"
                R"("offset":60000,"timestamp":null,"startOrEnd":null}]},"param":null,)"
                R"("grouping":["a"],"without":false},"rhs":{"type":"numberLiteral","val":"-2"},)"
                R"("matching":null,"bool":false})"));
  CHECK(fixture.text("/api/v1/parse_query?query=foo%7B").starts_with("400 "));
}

}  // namespace api
