#include "model/labels.h"

#include <doctest/doctest.h>
#include <string>
#include <vector>

namespace model {
namespace {

std::string bytes_of(const std::vector<Label>& labels) {
  std::string bytes;
  for (const Label& label : labels) append_label(bytes, label.name, label.value);
  return bytes;
}

TEST_CASE("label bytes are those of remote write's TimeSeries") {
  CHECK(bytes_of({{"a", "bc"}}) == std::string("\x0a\x07\x0a\x01"
                                               "a\x12\x02"
                                               "bc",
                                               9));
}

TEST_CASE("a set is sorted by name, without empty values") {
  const Labels labels = Labels::of({{"b", "2"}, {"__name__", "up"}, {"a", "1"}, {"c", ""}});
  CHECK(labels.to_string() == R"(up{a="1", b="2"})");
  CHECK(is_canonical(labels));
  CHECK(labels.get("b") == "2");
  CHECK(labels.get("c").empty());
}

TEST_CASE("labels from outside are canonicalised whatever their order") {
  const std::string bytes = bytes_of({{"z", "1"}, {"__name__", "x"}, {"b", ""}});
  CHECK_FALSE(is_canonical(LabelsView(bytes)));
  CHECK(canonical(LabelsView(bytes))->to_string() == R"(x{z="1"})");
}

TEST_CASE("label sets that name no series are refused with the reason") {
  const auto message = [](const std::string& bytes) {
    const auto result = canonical(LabelsView(bytes));
    return result ? std::string("accepted") : result.error().message;
  };
  CHECK(message(bytes_of({{"a", "1"}})) == R"(series {a="1"} has no metric name)");
  CHECK(message(bytes_of({{"__name__", "x"}, {"a", "1"}, {"a", "2"}})) ==
        R"(label name "a" is not unique)");
  CHECK(message(bytes_of({{"__name__", "x"}, {"", "1"}})) == R"(empty label name with value "1")");
  CHECK(message(bytes_of({{"__name__", "\xff"}})) == "label at byte 0 is not valid UTF-8");
  CHECK(message("\x0a\x09\x0a") == "malformed label at byte 0 of the label set");
}

TEST_CASE("label bytes cut anywhere are either whole labels or malformed") {
  const std::string bytes = bytes_of({{"__name__", "metric"}, {"job", "node"}});
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    const std::string cut = bytes.substr(0, size);
    int count = 0;
    for (const Label& label : LabelsView(cut)) count += label.name.empty() ? 0 : 1;
    CHECK(count == (size >= bytes_of({{"__name__", "metric"}}).size() ? 1 : 0));
  }
}

TEST_CASE("order is by name and value pairs, shorter first") {
  const std::vector<Labels> sorted = {Labels::of({}),
                                      Labels::of({{"a", "1"}}),
                                      Labels::of({{"a", "1"}, {"b", "1"}}),
                                      Labels::of({{"a", "1"}, {"b", "1"}, {"c", "1"}}),
                                      Labels::of({{"a", "1"}, {"b", "10"}}),
                                      Labels::of({{"a", "1"}, {"b", "2"}}),
                                      Labels::of({{"a", "1"}, {"bb", "1"}}),
                                      Labels::of({{"a", "10"}, {"b", "0"}}),
                                      Labels::of({{"a", "2"}}),
                                      Labels::of({{"b", "0"}})};
  for (size_t i = 0; i < sorted.size(); ++i) {
    for (size_t k = 0; k < sorted.size(); ++k) {
      CAPTURE(i);
      CAPTURE(k);
      CHECK((sorted[i] < sorted[k]) == (i < k));
    }
  }
}

TEST_CASE("names outside the classic set are quoted when printed") {
  CHECK(Labels::of({{"__name__", "cpu.load"}, {"k.v", "a\"b"}}).to_string() ==
        R"({"cpu.load", "k.v"="a\"b"})");
  CHECK(Labels().to_string() == "{}");
  CHECK(Labels::of({{"__name__", "up"}}).to_string() == "up");
}

TEST_CASE("a builder adds, replaces and removes") {
  LabelsBuilder builder(Labels::of({{"a", "1"}, {"b", "2"}}));
  builder.set("b", "3").set("c", "4").remove("a").set("d", "");
  CHECK(builder.build() == Labels::of({{"b", "3"}, {"c", "4"}}));
}

TEST_CASE("a builder takes values out of itself, however its memory moves") {
  LabelsBuilder builder(Labels::of({{"a", "some value that is not short at all"}}));
  for (int i = 0; i < 100; ++i) {
    builder.set("b" + std::to_string(i), builder.get("a"));
    builder.set("c", builder.get("b" + std::to_string(i)));
  }
  const Labels labels = builder.build();
  CHECK(labels.get("b99") == "some value that is not short at all");
  CHECK(labels.get("c") == labels.get("a"));
  builder.reset(Labels::of({{"x", "1"}}));
  CHECK(builder.build() == Labels::of({{"x", "1"}}));
}

}  // namespace
}  // namespace model
