#include "api/testing/api_fixture.h"
#include "core/bytes.h"
#include "core/varint.h"
#include "net/gzip.h"

#include <doctest/doctest.h>

namespace api {

namespace {

using testing::ApiFixture;

std::string field(int number, std::string_view bytes) {
  std::string out;
  core::append_varint(out, static_cast<uint64_t>(number) << 3 | 2);
  core::append_string(out, bytes);
  return out;
}

std::string time_series(const model::Labels& labels, int64_t time_ms, double value) {
  std::string sample = "\x09";
  core::append_le(sample, value);
  sample += '\x10';
  core::append_varint(sample, static_cast<uint64_t>(time_ms));
  return field(1, labels.bytes() + field(2, sample));
}

// A snappy block of literals.
std::string snappy(std::string_view message) {
  std::string out;
  core::append_varint(out, message.size());
  for (size_t at = 0; at < message.size(); at += 60) {
    const std::string_view part = message.substr(at, 60);
    out += static_cast<char>((part.size() - 1) << 2);
    out += part;
  }
  return out;
}

const char* const kVersion2 = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

// up{job="x"} of one symbol table: a sample, and the field 6 that says when it began.
std::string version_2(double value, int64_t time_ms, int64_t created_ms) {
  std::string message;
  for (const char* const symbol : {"", "__name__", "up", "job", "x"}) message += field(4, symbol);
  std::string sample = "\x09";
  core::append_le(sample, value);
  sample += '\x10';
  core::append_varint(sample, static_cast<uint64_t>(time_ms));
  std::string series = field(1, "\x01\x02\x03\x04") + field(2, sample) + "\x30";
  core::append_varint(series, static_cast<uint64_t>(created_ms));
  return message + field(5, series);
}

const net::Headers kWriteHeaders = {{"Content-Type", "application/x-protobuf"},
                                    {"Content-Encoding", "snappy"},
                                    {"X-Prometheus-Remote-Write-Version", "0.1.0"}};

std::string value_of(ApiFixture& fixture, const std::string& query, int64_t seconds) {
  return fixture.text("/api/v1/query?query=" + net::percent_encode(query) +
                      "&time=" + std::to_string(seconds));
}

}  // namespace

TEST_CASE("A remote write is stored and answered with 204 and nothing else") {
  ApiFixture fixture;
  const std::string message =
      time_series(model::Labels::of({{"__name__", "m"}, {"a", "1"}}), 1000'000, 4.25) +
      time_series(model::Labels::of({{"__name__", "m"}, {"a", "2"}}), 1000'000, 1);
  for (const char* const path : {"/api/v1/write", "/api/v1/push"}) {
    const net::Response response = fixture.call("POST", path, kWriteHeaders, snappy(message));
    CHECK(response.status == 204);
    CHECK(response.body.empty());
  }
  CHECK(value_of(fixture, "sum(m)", 1000).find("\"5.25\"") != std::string::npos);
  CHECK(fixture.call("POST", "/api/v1/write", {}, snappy("")).status == 204);
}

TEST_CASE("Types and encodings that are not remote write are refused with Prometheus's words") {
  ApiFixture fixture;
  const auto answer = [&](net::Headers headers) {
    const net::Response response =
        fixture.call("POST", "/api/v1/write", std::move(headers), snappy(""));
    return std::to_string(response.status) + " " + response.body;
  };
  CHECK(answer({{"Content-Type", "application/x-protobuf;proto=prometheus.WriteRequest"}}) ==
        "204 ");
  CHECK(answer({{"Content-Encoding", "Snappy"}}) == "204 ");
  CHECK(answer({{"Content-Type", "application/json"}}) ==
        "415 expected application/x-protobuf as the first (media) part, got application/json "
        "content-type\n");
  CHECK(answer({{"Content-Type", "application/x-protobuf;proto=a.B"}}) ==
        "415 got application/x-protobuf;proto=a.B content type; unknown remote write protobuf "
        "message a.B, supported: prometheus.WriteRequest, io.prometheus.write.v2.Request\n");
  CHECK(answer({{"Content-Type", "application/x-protobuf;proto"}}).starts_with("415 as per "));
  CHECK(answer({{"Content-Encoding", "gzip"}}) ==
        "415 gzip encoding (compression) is not accepted by this server; only snappy and zstd are "
        "acceptable\n");
  CHECK(answer({{"Content-Encoding", "zstd"}}) ==
        "415 zstd encoding (compression) is announced, and the body of 1 bytes does not start with "
        "zstd's 28 b5 2f fd\n");
}

TEST_CASE("Both versions are taken packed by zstd") {
  ApiFixture fixture;
  // A frame of one raw block (RFC 8878, 3.1.1): a single segment with its size in 4 bytes.
  const auto zstd = [](std::string_view message) {
    std::string out = "\x28\xb5\x2f\xfd\xa0";
    core::append_le(out, static_cast<uint32_t>(message.size()));
    const auto block = static_cast<uint32_t>(message.size() << 3 | 1);
    for (unsigned shift = 0; shift < 24; shift += 8) out += static_cast<char>(block >> shift);
    return out.append(message);
  };
  const std::string first = time_series(model::Labels::of({{"__name__", "m"}}), 1000'000, 7);
  CHECK(fixture.call("POST", "/api/v1/write", {{"Content-Encoding", "zstd"}}, zstd(first)).status ==
        204);
  CHECK(value_of(fixture, "m", 1000).find("\"7\"") != std::string::npos);
  const net::Response second = fixture.call(
      "POST", "/api/v1/write", {{"Content-Type", kVersion2}, {"Content-Encoding", "zstd"}},
      zstd(version_2(8, 1000'000, 0)));
  CHECK(second.status == 204);
  CHECK(value_of(fixture, "up", 1000).find("\"8\"") != std::string::npos);
}

std::string written(const net::Response& response) {
  std::string all;
  for (const char* const kind : {"Samples", "Histograms", "Exemplars"}) {
    const std::string name = std::string("X-Prometheus-Remote-Write-") + kind + "-Written";
    all += std::string(net::find_header(response.headers, name).value_or("none")) + " ";
  }
  return all;
}

TEST_CASE("A remote write 2.0 tells what it wrote, also where it refuses or fails") {
  ApiFixture fixture;
  const auto write = [&](const std::string& body) {
    return fixture.call("POST", "/api/v1/write", {{"Content-Type", kVersion2}}, body);
  };
  const net::Response good = write(snappy(version_2(4.25, 1000'000, 0)));
  CHECK(good.status == 204);
  CHECK(good.body.empty());
  CHECK(written(good) == "1 0 0 ");
  CHECK(value_of(fixture, "up{job=\"x\"}", 1000).find("\"4.25\"") != std::string::npos);
  const net::Response conflict = write(snappy(version_2(5, 1000'000, 0)));
  CHECK(conflict.status == 400);
  CHECK(conflict.body.starts_with("duplicate sample for timestamp (1); 0 stored\n"));
  CHECK(written(conflict) == "0 0 0 ");
  const net::Response malformed = write("not snappy");
  CHECK(malformed.status == 400);
  CHECK(written(malformed) == "0 0 0 ");
  fixture.store.fail_appends(core::Error{core::ErrorCode::Unavailable, "the disk failed"});
  const net::Response away = write(snappy(version_2(6, 1010'000, 0)));
  CHECK(away.status == 503);
  CHECK(net::find_header(away.headers, "Retry-After"));
  CHECK(written(away) == "0 0 0 ");
}

TEST_CASE("Refused samples are a 400 with the reasons; the good ones are stored") {
  ApiFixture fixture;
  const model::Labels labels = model::Labels::of({{"__name__", "m"}});
  const std::string first = time_series(labels, 1000'000, 1);
  REQUIRE(fixture.call("POST", "/api/v1/write", kWriteHeaders, snappy(first)).status == 204);
  const std::string second = time_series(labels, 1000'000, 2) + time_series(labels, 1010'000, 3);
  const net::Response response =
      fixture.call("POST", "/api/v1/write", kWriteHeaders, snappy(second));
  CHECK(response.status == 400);
  CHECK(response.body.starts_with("duplicate sample for timestamp (1); 1 stored\n"));
  CHECK(value_of(fixture, "m", 1010).find("\"3\"") != std::string::npos);
}

TEST_CASE("What is not a remote write message is a 400 and stores nothing") {
  ApiFixture fixture;
  const std::string message = time_series(model::Labels::of({{"__name__", "m"}}), 1000'000, 1);
  const std::string cut = message.substr(0, message.size() - 3);
  for (const std::string& body : {std::string("not snappy"), std::string(), snappy(cut)}) {
    CAPTURE(body);
    const net::Response response = fixture.call("POST", "/api/v1/write", kWriteHeaders, body);
    CHECK(response.status == 400);
    CHECK_FALSE(response.body.empty());
  }
  CHECK(value_of(fixture, "m", 1000).find("\"result\":[]") != std::string::npos);
}

TEST_CASE("A sink that is unavailable asks to come back; one over its rate too") {
  ApiFixture fixture;
  const std::string body = snappy(time_series(model::Labels::of({{"__name__", "m"}}), 1000'000, 1));
  const auto write = [&] { return fixture.call("POST", "/api/v1/write", kWriteHeaders, body); };
  fixture.store.fail_appends(core::Error{core::ErrorCode::Unavailable, "the disk failed"});
  const net::Response away = write();
  CHECK(away.status == 503);
  CHECK(away.body == "the disk failed\n");
  CHECK(net::find_header(away.headers, "Retry-After"));
  fixture.store.fail_appends(core::Error{core::ErrorCode::LimitExceeded, "too fast"});
  CHECK(write().status == 429);
  fixture.store.fail_appends(std::nullopt);
  CHECK(write().status == 204);
}

TEST_CASE("Data points are imported as JSON and as lines, also compressed") {
  ApiFixture fixture;
  const std::string point =
      R"({"metric_name":"cpu.load","labels":"host:a","timestamp":1000,"value":0.5})";
  const std::string line = "cpu.load host=b 1000 0.25\n";
  CHECK(fixture.call("POST", "/api/v1/import/json", {}, point).status == 204);
  CHECK(fixture.call("POST", "/api/v1/push/json", {{"Content-Encoding", "gzip"}}, net::gzip(point))
            .status == 204);
  CHECK(fixture.call("POST", "/api/v1/import/lines", {}, line).status == 204);
  CHECK(fixture.call("POST", "/api/v1/push/line", {{"Content-Encoding", "gzip"}}, net::gzip(line))
            .status == 204);
  CHECK(value_of(fixture, "sum(cpu.load)", 1000).find("\"0.75\"") != std::string::npos);
}

TEST_CASE("A body that calls itself a form, as curl's do, is data all the same") {
  ApiFixture fixture;
  const net::Headers headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  const net::Response response =
      fixture.call("POST", "/api/v1/import/lines", headers, "disk.used path=%zz&a 1000 1\n");
  CHECK(response.status == 204);
  CHECK(value_of(fixture, "disk.used", 1000).find("%zz&a") != std::string::npos);
}

TEST_CASE("A bad import names the place, as JSON; unknown encodings are a 415") {
  ApiFixture fixture;
  const net::Response bad = fixture.call("POST", "/api/v1/import/lines", {}, "m - x 1\n");
  CHECK(bad.status == 400);
  CHECK(bad.body.starts_with(R"({"status":"error","errorType":"bad_data",)"));
  CHECK(bad.body.find("1:5") != std::string::npos);
  CHECK(fixture.call("POST", "/api/v1/import/json", {}, "{").status == 400);
  CHECK(fixture.call("POST", "/api/v1/import/json", {{"Content-Encoding", "br"}}, "{}").status ==
        415);
  CHECK(fixture.call("GET", "/api/v1/import/json").status == 405);
}

}  // namespace api
