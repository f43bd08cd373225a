// One set of metrics as the encoders of the Go client library write it in three forms
// (testdata/exposition, made by its generate/main.go).

#include "ingest/exposition.h"

#include <bit>
#include <doctest/doctest.h>
#include <fstream>
#include <iterator>
#include <map>

namespace ingest {
namespace {

std::string read_file(const std::string& name) {
  std::ifstream file(TESTDATA_DIR "/exposition/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Sample {
  uint64_t value_bits = 0;
  std::optional<int64_t> timestamp_ms;

  bool operator==(const Sample&) const = default;
};

struct Exposed {
  std::map<std::string, Sample> samples;         // by label bytes
  std::map<std::string, std::string> exemplars;  // by label bytes
  std::map<std::string, std::string> keys;       // key to label bytes
  std::map<std::string, model::MetricType> types;
  std::map<std::string, std::string> helps;
  std::map<std::string, model::Histogram> histograms;
  size_t started = 0;
};

Exposed parse(ExpositionFormat format, const std::string& body, const ExpositionOptions& options) {
  const auto parser = make_exposition_parser(format, body, options);
  Exposed out;
  Entry entry;
  for (;;) {
    REQUIRE(parser->next(entry));
    if (entry.kind == EntryKind::End) return out;
    if (entry.kind == EntryKind::Type) out.types[std::string(entry.metric)] = entry.type;
    if (entry.kind == EntryKind::Help && !entry.text.empty()) {
      out.helps[std::string(entry.metric)] = entry.text;
    }
    if (entry.kind != EntryKind::Sample && entry.kind != EntryKind::Histogram) continue;
    std::string labels;
    REQUIRE(parser->append_labels(labels));
    CHECK(out.keys.try_emplace(std::string(entry.key), labels).second);
    if (entry.start_timestamp_ms) {
      CHECK(*entry.start_timestamp_ms == 1700000000123);
      ++out.started;
    }
    for (const model::Exemplar& exemplar : entry.exemplars) {
      CHECK(exemplar.timestamp_ms == 1700000000123);
      out.exemplars[labels] += exemplar.labels.to_string() + " " + std::to_string(exemplar.value);
    }
    if (entry.kind == EntryKind::Histogram) {
      out.histograms[labels] = entry.histogram;
    } else {
      CHECK(
          out.samples
              .try_emplace(labels, Sample{std::bit_cast<uint64_t>(entry.value), entry.timestamp_ms})
              .second);
    }
  }
}

}  // namespace

TEST_CASE("the three forms of one registry give the same samples, bit for bit") {
  const std::string text_body = read_file("registry.txt");
  const std::string openmetrics_body = read_file("registry.om");
  const std::string protobuf_body = read_file("registry.pb");
  const Exposed text = parse(ExpositionFormat::Text004, text_body, {});
  ExpositionOptions strict;
  strict.strict = true;
  const Exposed openmetrics = parse(ExpositionFormat::OpenMetrics100, openmetrics_body, strict);
  const Exposed protobuf = parse(ExpositionFormat::Protobuf, protobuf_body, {});
  CHECK(text.samples.size() == 52);
  CHECK(text.samples == protobuf.samples);
  CHECK(text.samples == openmetrics.samples);
  CHECK(text.types == protobuf.types);
  CHECK(text.helps == protobuf.helps);
  CHECK(openmetrics.exemplars.size() == 2);
  CHECK(openmetrics.exemplars == protobuf.exemplars);
  // Counters, the summary and the histograms.
  CHECK(protobuf.started == 3 + 6 + 3 * 9 + 6);
}

TEST_CASE("native histograms take the place of classic ones, or stand beside them") {
  const std::string body = read_file("registry.pb");
  ExpositionOptions options;
  const Exposed classic = parse(ExpositionFormat::Protobuf, body, options);
  options.native_histograms = true;
  const Exposed native = parse(ExpositionFormat::Protobuf, body, options);
  options.always_classic_histograms = true;
  const Exposed both = parse(ExpositionFormat::Protobuf, body, options);
  CHECK(both.samples == classic.samples);
  CHECK(native.samples.size() + 6 == classic.samples.size());
  CHECK(both.histograms == native.histograms);
  REQUIRE(native.histograms.size() == 1);
  const model::Histogram& histogram = native.histograms.begin()->second;
  CHECK(histogram.schema == 3);
  CHECK(histogram.integer_counts);
  CHECK(histogram.count == 7);
  CHECK(histogram.zero_count == 1);
  CHECK(histogram.zero_threshold == 0.001);
  CHECK(histogram.sum == 7.021000000000001);
  // 0.01 and 0.011 lie in neighbouring buckets of a factor of 2^(1/8).
  CHECK(histogram.positive_spans == std::vector<model::BucketSpan>{{-53, 2}, {43, 1}, {31, 1}});
  CHECK(histogram.positive_counts == std::vector<double>{1, 1, 2, 1});
  CHECK(histogram.negative_spans == std::vector<model::BucketSpan>{{8, 1}});
  CHECK(histogram.negative_counts == std::vector<double>{1});
}

TEST_CASE("protobuf that is cut at any byte is an error, or ends between two families") {
  const std::string body = read_file("registry.pb");
  size_t good = 0;
  for (size_t size = 0; size < body.size(); ++size) {
    const std::string cut = body.substr(0, size);
    const auto parser = make_exposition_parser(ExpositionFormat::Protobuf, cut, {});
    Entry entry;
    for (;;) {
      const auto read = parser->next(entry);
      if (!read) {
        CHECK(read.error().message.starts_with("byte "));
        break;
      }
      if (entry.kind != EntryKind::End) continue;
      ++good;
      break;
    }
  }
  CHECK(good == 6);
}

}  // namespace ingest
