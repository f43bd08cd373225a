#include "ingest/remote_write.h"

#include "core/rng.h"
#include "ingest/testing/describe.h"
#include "ingest/testing/wire_writer.h"

#include <algorithm>
#include <doctest/doctest.h>
#include <string>

namespace ingest {
namespace {

using testing::label_message;
using testing::sample_message;
using testing::series_message;
using testing::WireWriter;

std::string decoded(const std::string& message, const Limits& limits = {}) {
  storage::WriteBatch batch;
  storage::AppendSummary refused;
  const core::Result<void> result = decode_remote_write(message, limits, batch, refused);
  return testing::describe(result, batch, refused);
}

std::string request_of(const WireWriter& series) {
  return WireWriter().bytes(1, series).str();
}

TEST_CASE("an empty message is a request without samples") {
  CHECK(decoded("") == "");
}

TEST_CASE("the labels of a series are handed on as the bytes of the message") {
  const std::string message =
      request_of(series_message({{"__name__", "up"}, {"job", "x"}}).bytes(2, sample_message(1, 5)));
  storage::WriteBatch batch;
  storage::AppendSummary refused;
  REQUIRE(decode_remote_write(message, {}, batch, refused));
  REQUIRE(batch.series.size() == 1);
  const std::string_view labels = batch.series[0].labels;
  CHECK(labels.data() >= message.data());
  CHECK(labels.data() + labels.size() <= message.data() + message.size());
  CHECK(labels == model::Labels::of({{"__name__", "up"}, {"job", "x"}}).bytes());
}

TEST_CASE("values and timestamps that are zero may be absent") {
  CHECK(decoded(request_of(series_message({{"__name__", "up"}})
                               .bytes(2, WireWriter())
                               .bytes(2, WireWriter().varint(2, 7))
                               .bytes(2, sample_message(1, -5)))) ==
        "up 0 @0\nup 0 @7\nup 1 @-5\n");
}

TEST_CASE("labels that are not contiguous, or hold unknown fields, are gathered") {
  WireWriter apart;
  apart.bytes(1, label_message("__name__", "up"))
      .bytes(2, sample_message(1, 5))
      .bytes(1, label_message("job", "x"));
  CHECK(decoded(request_of(apart)) == "up{job=\"x\"} 1 @5\n");

  WireWriter foreign;
  foreign.bytes(1, label_message("__name__", "up").varint(9, 1)).bytes(2, sample_message(1, 5));
  CHECK(decoded(request_of(foreign)) == "up 1 @5\n");

  WireWriter reversed;
  reversed.bytes(1, WireWriter().bytes(2, "up").bytes(1, "__name__"))
      .bytes(2, sample_message(1, 5));
  CHECK(decoded(request_of(reversed)) == "up 1 @5\n");
}

TEST_CASE("unknown fields are skipped at every level") {
  WireWriter series = series_message({{"__name__", "up"}});
  series.bytes(2, sample_message(1, 5).varint(3, 9).bytes(7, "x")).varint(12, 1).float64(13, 2);
  CHECK(decoded(WireWriter().bytes(1, series).varint(2, 1).bytes(99, "later").str()) ==
        "up 1 @5\n");
}

TEST_CASE("a message without any field of a request is refused") {
  CHECK(decoded(WireWriter().varint(7, 1).str()) ==
        "error: no field of a prometheus.WriteRequest in 2 bytes\n");
}

TEST_CASE("the stale marker passes as it is, bit by bit") {
  CHECK(
      decoded(request_of(
          series_message({{"__name__", "up"}}).bytes(2, sample_message(model::stale_nan(), 5)))) ==
      "up stale @5\n");
}

TEST_CASE("exemplars and metadata come along") {
  WireWriter exemplar;
  exemplar.bytes(1, label_message("trace_id", "abc")).float64(2, 0.5).varint(3, 4);
  WireWriter metadata;
  metadata.varint(1, 1).bytes(2, "hits_total").bytes(4, "Hits.").bytes(5, "hits");
  CHECK(decoded(WireWriter()
                    .bytes(1, series_message({{"__name__", "hits_total"}})
                                  .bytes(2, sample_message(3, 5))
                                  .bytes(3, exemplar))
                    .bytes(3, metadata)
                    .str()) ==
        "hits_total 3 @5\n"
        "exemplar of hits_total: {trace_id=\"abc\"} 0.5 @4\n"
        "metadata hits_total counter \"hits\" \"Hits.\"\n");
}

// schema 3, buckets 0, 1, 3 and -2 with 2, 3, 1 and 4 observations, 1 at zero.
WireWriter integer_histogram() {
  WireWriter out;
  out.varint(1, 11).float64(3, 18.5).sint(4, 3).float64(5, 0.001).varint(6, 1);
  out.bytes(8, WireWriter().sint(1, -2).varint(2, 1)).packed_sints(9, {4});
  out.bytes(11, WireWriter().sint(1, 0).varint(2, 2))
      .bytes(11, WireWriter().sint(1, 1).varint(2, 1));
  out.packed_sints(12, {2, 1, -2}).varint(14, 2).varint(15, 77);
  return out;
}

std::string decoded_histogram(const WireWriter& histogram, const Limits& limits = {}) {
  return decoded(request_of(series_message({{"__name__", "h"}}).bytes(4, histogram)), limits);
}

TEST_CASE("an integer histogram gets absolute counts from its deltas") {
  CHECK(decoded_histogram(integer_histogram()) ==
        "h {schema 3 hint 2 integer count 11 sum 18.5 zero 1 below 0.001 "
        "positive 0+2 1+1: 2 3 1 negative -2+1: 4} @77\n");
}

TEST_CASE("a float histogram keeps its counts") {
  WireWriter out;
  out.float64(2, 3.5).float64(3, 7).sint(4, 0).float64(5, 0).float64(7, 0.5);
  out.bytes(11, WireWriter().sint(1, -1).varint(2, 2)).packed_doubles(13, {1.5, 1.5});
  out.varint(14, 3).varint(15, 78);
  CHECK(decoded_histogram(out) ==
        "h {schema 0 hint 3 float count 3.5 sum 7 zero 0.5 below 0 positive -1+2: 1.5 1.5} @78\n");
}

TEST_CASE("a histogram with custom buckets keeps its bounds") {
  WireWriter out;
  out.varint(1, 6).float64(3, 9).sint(4, -53);
  out.bytes(11, WireWriter().sint(1, 0).varint(2, 3)).packed_sints(12, {1, 1, 1});
  out.packed_doubles(16, {0.5, 1}).varint(15, 79);
  CHECK(decoded_histogram(out) ==
        "h {schema -53 hint 0 integer count 6 sum 9 zero 0 below 0 positive 0+3: 1 2 3 "
        "bounds 0.5 1} @79\n");
}

TEST_CASE("a histogram that contradicts itself is refused, its request is not") {
  WireWriter wrong_count = integer_histogram();
  wrong_count.varint(1, 12);
  const std::string message =
      WireWriter()
          .bytes(1, series_message({{"__name__", "h"}}).bytes(4, wrong_count))
          .bytes(1, series_message({{"__name__", "up"}}).bytes(2, sample_message(1, 5)))
          .str();
  CHECK(decoded(message) ==
        "up 1 @5\n"
        "refused invalid_sample 1\n"
        "  h: histogram @77: the buckets hold 11 observations, the count says 12\n");

  const auto refusal = [](const WireWriter& histogram) {
    const std::string text = decoded_histogram(histogram);
    return text.substr(text.find(": ") == text.npos ? 0 : text.rfind("@77: ") + 5);
  };
  CHECK(refusal(integer_histogram().packed_sints(12, {1})) ==
        "positive spans describe 3 buckets, but 4 counts are given\n");
  CHECK(refusal(integer_histogram().sint(4, 9)) == "schema 9, expected -4 to 8 or -53\n");
  CHECK(refusal(integer_histogram().bytes(8, WireWriter().sint(1, -3).varint(2, 0))) ==
        "negative span 1 has the negative offset -3\n");
  CHECK(refusal(WireWriter()
                    .varint(1, 0)
                    .varint(15, 77)
                    .bytes(11, WireWriter().varint(2, 1))
                    .packed_sints(12, {-1})) == "positive bucket 0 holds -1\n");
  CHECK(refusal(WireWriter().varint(1, 0).varint(15, 77).sint(4, -53).packed_doubles(16, {2, 1})) ==
        "custom bound 1 is 1, expected finite and rising ones\n");
}

TEST_CASE("a stale histogram is one whose sum is the stale marker; its buckets still count") {
  WireWriter stale;
  stale.varint(1, 0).float64(3, model::stale_nan()).varint(15, 77);
  CHECK(decoded_histogram(stale) ==
        "h {schema 0 hint 0 integer count 0 sum stale zero 0 below 0} @77\n");
  stale.bytes(11, WireWriter().varint(2, 1'000));
  CHECK(decoded_histogram(stale).starts_with("refused invalid_sample 1\n"));
}

TEST_CASE("spans beyond 32 bits of bucket index are refused") {
  WireWriter out;
  out.varint(1, 0).varint(15, 77).bytes(11, WireWriter().sint(1, INT32_MAX).varint(2, 1));
  out.packed_sints(12, {0});
  CHECK(decoded_histogram(out).find("positive span 0 ends at bucket 2147483648, beyond 32 bits") !=
        std::string::npos);
}

TEST_CASE("sums of deltas beyond 64 bits are refused") {
  WireWriter out;
  out.varint(1, 0).varint(15, 77).bytes(11, WireWriter().varint(2, 2));
  out.packed_sints(12, {INT64_MAX, INT64_MAX});
  CHECK(decoded_histogram(out).find("positive bucket 1 holds nan") != std::string::npos);
}

TEST_CASE("a histogram with too many buckets gets half the resolution, until they fit") {
  Limits limits;
  limits.histogram_buckets_max = 3;
  // Buckets 0, 1, 3 become 0, 1, 2, bucket -2 becomes -1: still four. Then 0 and 1, and 0.
  CHECK(decoded_histogram(integer_histogram(), limits) ==
        "h {schema 1 hint 2 integer count 11 sum 18.5 zero 1 below 0.001 "
        "positive 0+2: 2 4 negative 0+1: 4} @77\n");
  limits.histogram_buckets_max = 1;
  CHECK(decoded_histogram(integer_histogram(), limits) ==
        "refused limit_exceeded 1\n"
        "  h: histogram @77: 4 buckets, the limit is 1 (limits.max_native_histogram_buckets), and "
        "its resolution cannot be lowered to "
        "it\n");
  WireWriter custom;
  custom.varint(1, 10).float64(3, 9).sint(4, -53);
  custom.bytes(11, WireWriter().sint(1, 0).varint(2, 4)).packed_sints(12, {1, 1, 1, 1});
  custom.packed_doubles(16, {0.5, 1, 2}).varint(15, 79);
  limits.histogram_buckets_max = 3;
  CHECK(decoded_histogram(custom, limits).starts_with("refused limit_exceeded 1\n"));
}

TEST_CASE("too many samples refuse the whole request") {
  Limits limits;
  limits.samples_max = 2;
  const WireWriter series = series_message({{"__name__", "up"}}).bytes(2, sample_message(1, 5));
  CHECK(decoded(WireWriter().bytes(1, series).bytes(1, series).bytes(1, series).str(), limits) ==
        "error: more than 2 samples in one request (limits.max_samples_per_request)\n");
}

TEST_CASE("an error names the field and the byte, and leaves the batch as it was") {
  const WireWriter good = series_message({{"__name__", "up"}}).bytes(2, sample_message(1, 5));
  const std::string first = request_of(good);
  const auto error_of = [&](const std::string& message) {
    storage::WriteBatch batch;
    storage::AppendSummary refused;
    REQUIRE(decode_remote_write(first, {}, batch, refused));
    const core::Result<void> result = decode_remote_write(message, {}, batch, refused);
    CHECK(batch.series.size() == 1);
    CHECK(batch.samples.size() == 1);
    REQUIRE(!result);
    CHECK(result.error().code == core::ErrorCode::InvalidArgument);
    return result.error().message;
  };
  CHECK(error_of(first + "\x0a") == "malformed length of a TimeSeries at byte 32 of 32");
  CHECK(error_of(first + "\x0a\x05") == "malformed length of a TimeSeries at byte 32 of 33");
  CHECK(error_of(first + std::string("\x00", 1)) ==
        "malformed field tag of the WriteRequest at byte 31 of 32");
  CHECK(error_of(first + "\x0b") == "malformed unknown field of the WriteRequest at byte 32 of 32");
  CHECK(error_of(request_of(WireWriter().bytes(2, WireWriter().varint(2, 5).str() + "\x09zz"))) ==
        "malformed value of a Sample at byte 7 of 9");
  CHECK(error_of(request_of(WireWriter().bytes(1, "\x0a\x05xx"))) ==
        "malformed name of a Label at byte 5 of 8");
  CHECK(error_of(request_of(WireWriter().bytes(4, WireWriter().bytes(11, "\x08")))) ==
        "malformed BucketSpan of a Histogram at byte 6 of 7");
}

TEST_CASE("a message cut at any byte is an error or a shorter whole message") {
  WireWriter exemplar;
  exemplar.bytes(1, label_message("trace_id", "abc")).float64(2, 0.5).varint(3, 4);
  const std::string message = WireWriter()
                                  .bytes(1, series_message({{"__name__", "a"}, {"b", "c"}})
                                                .bytes(2, sample_message(1, 1'700'000'000'000))
                                                .bytes(3, exemplar)
                                                .bytes(4, integer_histogram()))
                                  .bytes(3, WireWriter().varint(1, 1).bytes(2, "a"))
                                  .str();
  const std::string whole = decoded(message);
  CHECK(!whole.starts_with("error"));
  int good = 0;
  for (size_t size = 0; size < message.size(); ++size) {
    CAPTURE(size);
    const std::string text = decoded(message.substr(0, size));
    if (!text.starts_with("error: malformed")) {
      ++good;
      CHECK(whole.starts_with(text));
    }
  }
  CHECK(good == 2);  // nothing at all, and without the metadata
}

TEST_CASE("damaged messages decode to an error or to views inside the message") {
  const WireWriter series = series_message({{"__name__", "a"}, {"b", "c"}})
                                .bytes(2, sample_message(1, 1'700'000'000'000))
                                .bytes(4, integer_histogram());
  const std::string message = WireWriter().bytes(1, series).bytes(1, series).str();
  core::SeededRng rng(11);
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = message;
    for (uint64_t i = 0; i <= rng.below(3); ++i) {
      damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
    }
    storage::WriteBatch batch;
    storage::AppendSummary refused;
    const core::Result<void> result = decode_remote_write(damaged, {}, batch, refused);
    if (!result) CHECK(batch.empty());
    for (const storage::BatchSeries& one : batch.series) {
      CHECK(one.samples_end <= batch.samples.size());
      CHECK(one.histograms_end <= batch.histograms.size());
    }
    testing::describe(result, batch, refused);  // reads all bytes, under the sanitizer
  }
}

}  // namespace
}  // namespace ingest
