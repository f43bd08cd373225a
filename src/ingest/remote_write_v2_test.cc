#include "ingest/remote_write_v2.h"

#include "core/rng.h"
#include "ingest/remote_write.h"
#include "ingest/testing/describe.h"
#include "ingest/testing/wire_writer.h"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace ingest {
namespace {

using testing::sample_message;
using testing::WireWriter;

std::string decoded(const std::string& message, const Limits& limits = {},
                    StartTimes start_times = StartTimes::Ignored) {
  storage::WriteBatch batch;
  storage::AppendSummary refused;
  const core::Result<void> result =
      decode_remote_write_v2(message, start_times, limits, batch, refused);
  return testing::describe(result, batch, refused);
}

WireWriter symbols(std::initializer_list<std::string_view> texts) {
  WireWriter out;
  for (const std::string_view text : texts) out.bytes(4, text);
  return out;
}

WireWriter series(std::initializer_list<uint64_t> refs) {
  std::string packed;
  for (const uint64_t ref : refs) core::append_varint(packed, ref);
  return WireWriter().bytes(1, packed);
}

const WireWriter kSample = sample_message(1.5, 1'700'000'000'000);

WireWriter up() {
  return symbols({"", "__name__", "up", "job", "x"});
}

TEST_CASE("an empty request has no series") {
  CHECK(decoded("") == "");
  CHECK(decoded(symbols({""}).str()) == "");
}

TEST_CASE("references become labels; samples, exemplars and metadata come along") {
  WireWriter message = symbols({"", "__name__", "hits_total", "job", "x", "Hits.", "hits", "id"});
  message.bytes(5, series({1, 2, 3, 4})
                       .bytes(2, kSample)
                       .bytes(2, sample_message(-0.0, -5))
                       .bytes(4, series({7, 4}).float64(2, 0.5).varint(3, 9))
                       .bytes(5, WireWriter().varint(1, 1).varint(3, 5).varint(4, 6)));
  CHECK(decoded(message.str()) ==
        "hits_total{job=\"x\"} 1.5 @1700000000000\n"
        "hits_total{job=\"x\"} -0 @-5\n"
        "exemplar of hits_total{job=\"x\"}: {id=\"x\"} 0.5 @9\n"
        "metadata hits_total counter \"hits\" \"Hits.\"\n");
}

TEST_CASE("the labels are the very bytes of remote write 1.0, whatever their lengths") {
  core::SeededRng rng(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::pair<std::string, std::string>> pairs = {{"__name__", "m"}};
    const uint64_t count_max = rng.next() % 6;
    for (uint64_t i = 0; i < count_max; ++i) {
      // Around 127 a length takes a second byte.
      const auto text = [&] {
        return std::string(1 + rng.next() % 140, static_cast<char>('a' + i));
      };
      pairs.emplace_back(text(), text());
    }
    const model::Labels labels = model::Labels::of(pairs);
    WireWriter message;
    message.bytes(4, "");
    std::string packed;
    uint64_t count = 1;
    for (const model::Label& label : labels) {
      message.bytes(4, label.name).bytes(4, label.value);
      core::append_varint(packed, count++);
      core::append_varint(packed, count++);
    }
    message.bytes(5, WireWriter().bytes(1, packed).bytes(2, kSample));
    const std::string bytes = message.str();
    storage::WriteBatch batch;
    storage::AppendSummary refused;
    REQUIRE(decode_remote_write_v2(bytes, StartTimes::Ignored, {}, batch, refused));
    REQUIRE(batch.series.size() == 1);
    CHECK(batch.series[0].labels == labels.bytes());
  }
}

TEST_CASE("symbols may follow the series, and references come packed or one by one") {
  WireWriter message;
  message.bytes(5, WireWriter().varint(1, 1).varint(1, 2).bytes(2, kSample));
  CHECK(decoded(message.str() + up().str()) == "up 1.5 @1700000000000\n");
}

TEST_CASE("unknown fields are skipped at every level") {
  WireWriter one = series({1, 2});
  one.bytes(2, sample_message(1, 5).bytes(7, "x")).varint(12, 1).bytes(44, "y");
  CHECK(decoded(up().bytes(5, one).varint(2, 1).bytes(99, "later").str()) == "up 1 @5\n");
}

TEST_CASE("a series whose references make no label set is refused, the others are not") {
  const std::string good = WireWriter().bytes(5, series({1, 2}).bytes(2, kSample)).str();
  const auto with = [&](const WireWriter& bad) { return decoded(up().bytes(5, bad).str() + good); };
  const std::string_view stored = "up 1.5 @1700000000000\n";
  CHECK(with(series({1, 2, 99, 4}).bytes(2, kSample).bytes(2, kSample)) ==
        fmt::format("{}refused invalid_labels 2\n"
                    "  up: a label refers to symbol 99, the request has 5\n",
                    stored));
  CHECK(with(series({1, 2, 3}).bytes(2, kSample)) ==
        fmt::format("{}refused invalid_labels 1\n"
                    "  up: 3 label references, expected pairs of name and value\n",
                    stored));
  CHECK(with(series({1, 2})) == fmt::format("{}refused invalid_sample 1\n"
                                            "  up: neither samples nor histograms nor exemplars\n",
                                            stored));
  CHECK(with(series({1, UINT64_MAX}).bytes(2, kSample)).starts_with(stored));
}

TEST_CASE("limits refuse a series by name, or the request") {
  Limits limits;
  limits.labels_max = 1;
  const auto one = [](std::initializer_list<uint64_t> refs) {
    return up().bytes(5, series(refs).bytes(2, kSample)).str();
  };
  CHECK(decoded(one({1, 2, 3, 4}), limits) ==
        "refused limit_exceeded 1\n  up: 2 labels, the limit is 1 "
        "(limits.max_label_names_per_series)\n");
  limits = {};
  limits.metric_name_size_max = 1;
  CHECK(decoded(one({1, 2, 3, 4}), limits) ==
        "refused limit_exceeded 1\n  up: metric name of 2 bytes, the limit is 1 "
        "(limits.max_metric_name_length)\n");
  limits = {};
  limits.label_name_size_max = 2;
  CHECK(decoded(one({3, 4}), limits) ==
        "refused limit_exceeded 1\n  : label name of 3 bytes, the limit is 2 "
        "(limits.max_label_name_length)\n");
  limits = {};
  limits.label_value_size_max = 1;
  CHECK(decoded(one({1, 2, 3, 2}), limits) ==
        "refused limit_exceeded 1\n  up: value of label job has 2 bytes, the limit is 1 "
        "(limits.max_label_value_length)\n");
  limits = {};
  limits.symbols_max = 4;
  CHECK(decoded(one({1, 2}), limits) == "error: more than 4 symbols in one request\n");
  limits = {};
  limits.decoded_size_max = 20;
  CHECK(decoded(one({1, 2, 3, 4}), limits) ==
        "error: the labels of the series take more than 20 bytes in one request "
        "(limits.max_decompressed_body_size)\n");
  limits = {};
  limits.samples_max = 1;
  CHECK(decoded(up().bytes(5, series({1, 2}).bytes(2, kSample).bytes(2, kSample)).str(), limits) ==
        "error: more than 1 samples in one request (limits.max_samples_per_request)\n");
}

TEST_CASE("metadata is told once per metric, and a histogram's by its own name") {
  WireWriter message =
      symbols({"", "__name__", "h_bucket", "h_count", "le", "1", "2", "Help.", "s_total"});
  const WireWriter histogram = WireWriter().varint(1, 3).varint(3, 7);
  message.bytes(5, series({1, 2, 4, 5}).bytes(2, kSample).bytes(5, histogram))
      .bytes(5, series({1, 2, 4, 6}).bytes(2, kSample).bytes(5, histogram))
      .bytes(5, series({1, 3}).bytes(2, kSample).bytes(5, histogram))
      .bytes(5, series({1, 8}).bytes(2, kSample).bytes(5, WireWriter().varint(1, 0)));
  const std::string text = decoded(message.str());
  CHECK(text.substr(text.find("metadata")) ==
        "metadata h histogram \"\" \"Help.\"\nmetadata h histogram \"\" \"Help.\"\n");
}

TEST_CASE("a counter's beginning is kept where asked for, one series per beginning") {
  WireWriter message = up();
  message
      .bytes(5, series({1, 2})
                    .bytes(2, sample_message(1, 500))
                    .bytes(2, sample_message(2, 600))
                    .varint(6, 100))
      .bytes(5, series({1, 2, 3, 4})
                    .bytes(2, sample_message(1, 500).varint(3, 200))
                    .bytes(2, sample_message(2, 600).varint(3, 200))
                    .bytes(2, sample_message(1, 700).varint(3, 650)));
  const std::string bytes = message.str();
  for (const StartTimes start_times : {StartTimes::Ignored, StartTimes::Kept}) {
    storage::WriteBatch batch;
    storage::AppendSummary refused;
    REQUIRE(decode_remote_write_v2(bytes, start_times, {}, batch, refused));
    std::string found;
    for (const storage::BatchSeries& one : batch.series) {
      found += fmt::format("{} from {}: {}; ", model::LabelsView(one.labels).to_string(),
                           one.created_ms, batch.samples_of(one).size());
    }
    CHECK(found ==
          (start_times == StartTimes::Ignored
               ? "up from 0: 2; up{job=\"x\"} from 0: 3; "
               : "up from 100: 2; up{job=\"x\"} from 200: 2; up{job=\"x\"} from 650: 1; "));
  }
}

TEST_CASE("an exemplar that is not fit to keep costs no sample") {
  WireWriter message = up();
  message.bytes(5, series({1, 2})
                       .bytes(2, kSample)
                       .bytes(4, series({3, 77}).float64(2, 1))
                       .bytes(4, series({3}).float64(2, 1)));
  CHECK(decoded(message.str()) == "up 1.5 @1700000000000\n");
}

TEST_CASE("a histogram that contradicts itself is refused by name") {
  WireWriter bad;
  bad.varint(1, 12).sint(4, 3).bytes(11, WireWriter().sint(1, 0).varint(2, 1));
  bad.packed_sints(12, {1}).varint(15, 7);
  CHECK(decoded(up().bytes(5, series({1, 2}).bytes(3, bad)).str()) ==
        "refused invalid_sample 1\n"
        "  up: histogram @7: the buckets hold 1 observations, the count says 12\n");
}

TEST_CASE("a 1.0 message is told apart") {
  const std::string message =
      WireWriter().bytes(1, testing::series_message({{"__name__", "up"}}).bytes(2, kSample)).str();
  CHECK(decoded(message) ==
        "error: this is a remote write 1.0 message (prometheus.WriteRequest); its Content-Type "
        "is application/x-protobuf\n");
  CHECK(decoded(WireWriter().varint(7, 1).str()) ==
        "error: no field of an io.prometheus.write.v2.Request in 2 bytes\n");
}

TEST_CASE("a message cut anywhere is refused whole or ends between two fields") {
  WireWriter message = up();
  message.bytes(5, series({1, 2, 3, 4})
                       .bytes(2, kSample)
                       .bytes(4, series({3, 4}).float64(2, 1).varint(3, 5))
                       .bytes(5, WireWriter().varint(1, 1).varint(3, 4))
                       .varint(6, 300));
  const std::string whole = message.str();
  size_t good = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    storage::WriteBatch batch;
    storage::AppendSummary refused;
    if (decode_remote_write_v2(whole.substr(0, size), StartTimes::Kept, {}, batch, refused)) ++good;
    CHECK(batch.empty());
  }
  CHECK(good == 6);  // behind nothing and behind each symbol
}

}  // namespace
}  // namespace ingest
