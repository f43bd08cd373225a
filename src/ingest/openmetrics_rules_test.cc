#include "ingest/exposition.h"

#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace ingest {
namespace {

// What is wrong with an exposition; "" when it is good.
std::string verdict(std::string_view body) {
  ExpositionOptions options;
  options.strict = true;
  const auto parser = make_exposition_parser(ExpositionFormat::OpenMetrics100, body, options);
  Entry entry;
  do {
    if (const auto read = parser->next(entry); !read) return read.error().message;
  } while (entry.kind != EntryKind::End);
  return "";
}

// The same for lines without their end.
std::string lines(std::string_view body) {
  return verdict(std::string(body) + "\n# EOF\n");
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("the OpenMetrics project's parser cases are judged as it judges them") {
  const std::filesystem::path root = TESTDATA_DIR "/openmetrics";
  size_t count = 0;
  for (const char* folder : {"good", "bad"}) {
    for (const auto& file : std::filesystem::directory_iterator(root / folder)) {
      const std::string problem = verdict(read_file(file.path()));
      CAPTURE(file.path().string());
      CAPTURE(problem);
      CHECK(problem.empty() == (std::string_view(folder) == "good"));
      CHECK((problem.empty() || problem.starts_with("line ")));
      ++count;
    }
  }
  CHECK(count == 100);
}

TEST_CASE("what the specification shows as valid is valid") {
  for (const char* body : {
           "# TYPE foo gauge",
           "# TYPE foo gauge\nfoo{a=\"b\"} 17.0 1520879607.789\nfoo{a=\"c\"} 17.0",
           "# TYPE foo gauge\nfoo 17.0 123\nfoo 18.0 456",
           "# TYPE foo counter\nfoo_total 17.0 1520879607.789\nfoo_created 1520430000.123 "
           "1520879607.789",
           "# TYPE foo stateset\nfoo{entity=\"controller\",foo=\"a\"} 1.0\n"
           "foo{entity=\"controller\",foo=\"bb\"} 0.0\nfoo{entity=\"replica\",foo=\"a\"} 1.0\n"
           "foo{entity=\"replica\",foo=\"bb\"} 0.0",
           "# TYPE foo info\nfoo_info{entity=\"controller\",name=\"pretty name\"} 1.0\n"
           "foo_info{entity=\"replica\",name=\"prettier name\"} 1.0",
           "# TYPE foo summary\nfoo_count 17.0\nfoo_sum 324789.3\nfoo_created 1520430000.123",
           "# TYPE foo summary\nfoo{quantile=\"0.99\"} 150.0\nfoo{quantile=\"0.95\"} NaN",
           "# TYPE foo summary\nfoo_count{a=\"bb\"} 0 123\nfoo_sum{a=\"bb\"} 0 123\n"
           "foo_count{a=\"bb\"} 0 456\nfoo_sum{a=\"bb\"} 0 456\nfoo_count{a=\"ccc\"} 0 123\n"
           "foo_sum{a=\"ccc\"} 0 123",
           "# TYPE foo histogram\nfoo_bucket{le=\"0.0\"} 0\nfoo_bucket{le=\"1e-05\"} 0\n"
           "foo_bucket{le=\"0.0001\"} 5\nfoo_bucket{le=\"1.1e+23\"} 17\nfoo_bucket{le=\"+Inf\"} "
           "17\n"
           "foo_count 17\nfoo_sum 324789.3\nfoo_created 1520430000.123",
           "# TYPE foo histogram\nfoo_bucket{le=\"0.01\"} 0\nfoo_bucket{le=\"0.1\"} 8 # {} 0.054\n"
           "foo_bucket{le=\"1\"} 11 # {trace_id=\"KOO5S4vxi0o\"} 0.67\n"
           "foo_bucket{le=\"10\"} 17 # {trace_id=\"oHg5SJYRHA0\"} 9.8 1520879607.789\n"
           "foo_bucket{le=\"+Inf\"} 17\nfoo_count 17\nfoo_sum 324789.3",
           "# TYPE foo histogram\nfoo_bucket{le=\"-1\"} 0\nfoo_bucket{le=\"+Inf\"} 1",
           "# TYPE foo gaugehistogram\nfoo_bucket{le=\"0.01\"} 20.0\nfoo_bucket{le=\"+Inf\"} 42.0\n"
           "foo_gcount 42.0\nfoo_gsum 3289.3",
           "# TYPE foo gaugehistogram\nfoo_bucket{le=\"-1\"} 1\nfoo_bucket{le=\"+Inf\"} 1\n"
           "foo_gcount 1\nfoo_gsum -5",
           "# TYPE foo unknown\nfoo 42.23\nbar_seconds_count{} 0",
           "# TYPE foo_seconds counter\n# HELP foo_seconds Some text and \\n some \\\" escaping\n"
           "# UNIT foo_seconds seconds",
           "# TYPE a counter\na_total 1e5 # {x=\"\\\"\"} NaN\n# TYPE b counter\nb_total +Inf",
           "a{b=\"\"} nan 0042\na{c=\"1\"} 1",
       }) {
    CAPTURE(body);
    CHECK(lines(body).empty());
  }
  CHECK(verdict("# EOF").empty());
}

TEST_CASE("openmetrics: names of families and their samples do not clash") {
  for (const char* body :
       {"# TYPE foo counter\n# TYPE foo_created gauge",
        "# TYPE foo_created gauge\n# TYPE foo counter", "# TYPE foo summary\n# TYPE foo_sum gauge",
        "# TYPE foo_bucket gauge\n# TYPE foo histogram",
        "# TYPE foo_gsum gauge\n# TYPE foo gaugehistogram", "foo_info 1\n# TYPE foo info",
        "# TYPE foo gauge\n# TYPE bar gauge\n# HELP foo again", "foo 1\nbar 1\nfoo{a=\"1\"} 1",
        "# TYPE foo counter\nfoo 1", "# TYPE foo counter\n# HELP bar x\nfoo_total 1"}) {
    CAPTURE(body);
    CHECK(lines(body).find("name") != std::string::npos);
  }
}

TEST_CASE("openmetrics: metrics and their points stay together") {
  for (const char* body :
       {"# TYPE a gauge\na{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\"} 1 2",
        "# TYPE a counter\na_total{b=\"1\"} 1\na_total{b=\"2\"} 1\na_created{b=\"1\"} 1",
        "# TYPE a summary\na_count 0 123\na_count 0 456\na_sum 0 123\na_sum 0 456",
        "# TYPE a gauge\na 1\na 2", "# TYPE a gauge\na 1 5\na 2 5", "# TYPE a gauge\na 1 5\na 2",
        "# TYPE a stateset\na{a=\"x\"} 1\na{a=\"x\"} 0", "# TYPE a info\na_info 1\na_info 1",
        "# TYPE a gauge\na{b=\"\"} 1\na 1"}) {
    CAPTURE(body);
    CHECK(!lines(body).empty());
  }
  // More digits than a float64 tells apart.
  CHECK(lines("# TYPE a gauge\na 1 1604676851.1234567891\na 2 1604676851.1234567892").empty());
}

TEST_CASE("openmetrics: each type has its values, labels and exemplars") {
  for (const char* body : {
           "# TYPE a counter\na_total NaN",
           "# TYPE a counter\na_created 5",
           "# TYPE a counter\na_total 1\na_created NaN",
           "# TYPE a summary\na_count 1.5",
           "# TYPE a summary\na_count{quantile=\"1\"} 1",
           "# TYPE a summary\na{quantile=\"x\"} 1",
           "# TYPE a stateset\na 1",
           "# TYPE a stateset\na{a=\"x\"} 0.5",
           "# TYPE a info\na_info 0",
           "# TYPE a_s info\n# UNIT a_s s",
           "# UNIT a_s s\n# TYPE a_s info",
           "# TYPE a histogram\na_bucket{le=\"+Inf\"} 1.5",
           "# TYPE a histogram\na_bucket{le=\"Inf\"} 1",
           "# TYPE a histogram\na_bucket{le=\"NaN\"} 1\na_bucket{le=\"+Inf\"} 1",
           "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"+Inf\"} 1",
           "# TYPE a histogram\na_bucket{le=\"1\"} 2\na_bucket{le=\"1.0\"} "
           "2\na_bucket{le=\"+Inf\"} 2",
           "# TYPE a histogram\na_bucket{le=\"1\"} 2",
           "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 3\na_sum 1",
           "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count{le=\"1\"} 2\na_sum 1",
           "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2\na_count 2",
           "# TYPE a histogram\na_created 2",
           "# TYPE a histogram\na_bucket{le=\"-1\"} 2\na_bucket{le=\"+Inf\"} 2\na_count 2\na_sum 2",
           "# TYPE a histogram\na_bucket{le=\"1\"} 2 # {} 1.5\na_bucket{le=\"+Inf\"} 2",
           "# TYPE a histogram\na_bucket{le=\"+Inf\"} 2 # {x=\"1\",x=\"2\"} 1.5",
           "# TYPE a summary\na_count 2 # {} 1",
           "# TYPE a counter\na_total 1\na_created 1 # {} 1",
           "# TYPE a counter\na_total 1 # {\"x\"=\"1\"} 1",
       }) {
    CAPTURE(body);
    CHECK(!lines(body).empty());
  }
}

TEST_CASE("openmetrics: the grammar of 1.0 is narrower than what Prometheus takes") {
  for (const char* body :
       {"a{b=\"1\",} 1", "{\"a\"} 1", "a{\"b\"=\"1\"} 1", "# TYPE \"a\" gauge", "a{__b=\"1\"} 1",
        "# HELP a x\\", "# HELP a x\r", "# UNIT a_b/s b/s", "a{b=\"1\",b=\"1\"} 1"}) {
    CAPTURE(body);
    CHECK(!lines(body).empty());
  }
  CHECK(lines("# HELP a x\\\\").empty());
  CHECK(lines("a{b=\",}\"} 1").empty());
}

TEST_CASE("a broken rule names the line it is about") {
  CHECK(lines("# TYPE a histogram\na_bucket{x=\"1\",le=\"1\"} 2\n# TYPE b gauge") ==
        "line 2, column 1: histogram a{x=\"1\"}: the bucket le=\"+Inf\" is missing");
  CHECK(lines("a 1\nb 1\nb{x=\"1\"} 1\nb 2") ==
        "line 4, column 1: the samples of b{} are not together");
}

}  // namespace ingest
