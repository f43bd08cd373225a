#include "ingest/exposition.h"

#include "ingest/float_text.h"

#include <bit>
#include <cmath>
#include <doctest/doctest.h>
#include <fmt/format.h>

namespace ingest {
namespace {

// One line per entry, which says all there is to say about it; the last one is the error.
std::vector<std::string> entries(ExpositionFormat format, std::string_view body,
                                 const ExpositionOptions& options = {}) {
  const auto parser = make_exposition_parser(format, body, options);
  std::vector<std::string> lines;
  Entry entry;
  for (;;) {
    if (const auto read = parser->next(entry); !read) {
      lines.push_back(read.error().message);
      return lines;
    }
    std::string line;
    switch (entry.kind) {
      case EntryKind::End:
        return lines;
      case EntryKind::Type:
        line = fmt::format("TYPE {} {}", entry.metric, model::metric_type_name(entry.type));
        break;
      case EntryKind::Help:
        line = fmt::format("HELP {} {}", entry.metric, entry.text);
        break;
      case EntryKind::Unit:
        line = fmt::format("UNIT {} {}", entry.metric, entry.text);
        break;
      case EntryKind::Sample:
      case EntryKind::Histogram: {
        std::string labels;
        if (const auto read = parser->append_labels(labels); !read) {
          lines.push_back(read.error().message);
          return lines;
        }
        CHECK(model::is_canonical(model::LabelsView(labels)));
        line = fmt::format("{} {}", model::LabelsView(labels).to_string(), entry.value);
        if (entry.timestamp_ms) line += fmt::format(" @{}", *entry.timestamp_ms);
        for (const model::Exemplar& exemplar : entry.exemplars) {
          line += fmt::format(" # {} {} @{}", exemplar.labels.to_string(), exemplar.value,
                              exemplar.timestamp_ms);
        }
        break;
      }
    }
    lines.push_back(std::move(line));
  }
}

std::vector<std::string> text(std::string_view body, const ExpositionOptions& options = {}) {
  return entries(ExpositionFormat::Text004, body, options);
}

std::vector<std::string> openmetrics(std::string_view body, const ExpositionOptions& options = {}) {
  return entries(ExpositionFormat::OpenMetrics100, body, options);
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("text: metadata, values, timestamps, comments and blanks") {
  CHECK(text("# HELP up Whether it\\nis \\\\up\\\".\n"
             "# TYPE up gauge\n"
             "up 1\n"
             "\n"
             "# a comment\n"
             "#HELP is no help without the blank\n"
             " \t up { job = \"a\" , instance=\"b:1\", } \t -1.5e3 \t 1700000000123 \n"
             "nan NaN\ninf +Inf\nminus -inf\nhalf .5\nten 1e+01") ==
        Lines{"HELP up Whether it\nis \\up\\\".", "TYPE up gauge", "up 1",
              "up{instance=\"b:1\", job=\"a\"} -1500 @1700000000123", "nan nan", "inf inf",
              "minus -inf", "half 0.5", "ten 10"});
  CHECK(text("").empty());
}

TEST_CASE("text: names in UTF-8 stand in quotes") {
  CHECK(text("{\"my.metric\",\"a.b\"=\"c\",d=\"\\\"\\\\\\n\\x\"} 1\n"
             "{x=\"y\", \"späte\"} 2\n"
             "# TYPE \"my.metric\" counter\n") ==
        Lines{"{\"my.metric\", \"a.b\"=\"c\", d=\"\\\"\\\\\\n\\\\x\"} 1", "{\"späte\", x=\"y\"} 2",
              "TYPE my.metric counter"});
}

TEST_CASE("text: le and quantile are written as Prometheus 3 writes them") {
  CHECK(text("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+inf\"} 1\n"
             "h_bucket{le=\"x\"} 1\n# TYPE s summary\ns{quantile=\"1e6\",le=\"1\"} 1\n") ==
        Lines{"TYPE h histogram", "h_bucket{le=\"1.0\"} 1", "h_bucket{le=\"+Inf\"} 1",
              "h_bucket{le=\"x\"} 1", "TYPE s summary", "s{le=\"1\", quantile=\"1e+06\"} 1"});
}

TEST_CASE("text: labels without a value are left out, repeated names are errors") {
  CHECK(text("a{b=\"\"} 1\n") == Lines{"a 1"});
  CHECK(text("\n\na{b=\"1\",b=\"2\"} 1\n") ==
        Lines{"line 3, column 1: label name \"b\" is not unique"});
  CHECK(text("a{__name__=\"b\"} 1\n") ==
        Lines{"line 1, column 1: label name \"__name__\" is not unique"});
}

TEST_CASE("an expected key is taken as it stands, and only where it is the key") {
  const std::string_view body =
      "a 1\na {b=\"1\"} 2\nab 3\na{b=\"1\"} 4\na{b=\"1\"}5\n{\"x y\",b=\"2\"} 6\na\t7\n";
  Lines with;
  const auto parser = make_exposition_parser(ExpositionFormat::Text004, body, {});
  Entry entry;
  for (const char* key :
       {"a", "a", "a", "a{b=\"1\"}", "a{b=\"1\"}", "{\"x y\",b=\"2\"}", "a", ""}) {
    parser->expect(key);
    REQUIRE(parser->next(entry));
    if (entry.kind == EntryKind::End) break;
    std::string labels;
    REQUIRE(parser->append_labels(labels));
    with.push_back(
        fmt::format("{} {} {}", entry.key, model::LabelsView(labels).to_string(), entry.value));
  }
  CHECK(with == Lines{"a a 1", "a {b=\"1\"} a{b=\"1\"} 2", "ab ab 3", "a{b=\"1\"} a{b=\"1\"} 4",
                      "a{b=\"1\"} a{b=\"1\"} 5", "{\"x y\",b=\"2\"} {\"x y\", b=\"2\"} 6",
                      "a a 7"});
}

TEST_CASE("text: errors name line and column and quote what was found") {
  const auto error = [](std::string_view body) { return text(body).back(); };
  CHECK(error("a 1\nb x\n") == "line 2, column 3: expected a number, found \"x\"");
  CHECK(error("a{b=\"1\"") ==
        "line 1, column 8: expected ',' or '}' after the label value, found the end of the text");
  CHECK(error("a{b=1} 1\n") ==
        "line 1, column 5: expected a label value in double quotes, found \"1} 1\"");
  CHECK(error("a{b=\"1} 1\n") == "line 1, column 5: expected a closing quote, found \"\"1} 1\"");
  CHECK(error("a{b} 1\n") == "line 1, column 4: expected '=' after the label name, found \"} 1\"");
  CHECK(error("a\n") == "line 1, column 2: expected a number, found the end of the line");
  CHECK(error("a 1 1.5\n") ==
        "line 1, column 6: expected a new line after the timestamp, found \".5\"");
  CHECK(error("a 1 -5\n") ==
        "line 1, column 5: expected a timestamp in milliseconds or a new line, found \"-5\"");
  CHECK(error("a 1 9223372036854775808\n") ==
        "line 1, column 5: expected a timestamp of at most 64 bits, found \"9223372036854775808\"");
  CHECK(error("a 1\r\n") == "line 1, column 3: expected a number, found \"1\r\"");
  CHECK(error("1a 1\n") ==
        "line 1, column 1: expected a metric name, '{' or a comment, found \"1a 1\"");
  CHECK(error("{a=\"b\"} 1\n") ==
        "line 1, column 1: expected a metric name among the labels, found \"{a=\"b\"} 1\"");
  CHECK(error("# TYPE a meh\n") ==
        "line 1, column 10: expected counter, gauge, histogram, summary or untyped, found \"meh\"");
  CHECK(error("a{b=\"\xff\"} 1\n").starts_with("line 1, column 1: expected UTF-8"));
}

TEST_CASE("numbers are read as strtod reads them, and what Go refuses is refused") {
  const auto parse = [](std::string_view number) {
    double value = 0;
    return parse_exposition_float(number, value) ? value : -12345;
  };
  for (const char* number : {"0",
                             "-0",
                             "1",
                             "1.",
                             ".5",
                             "0.1",
                             "123456789012345678",
                             "9007199254740993",
                             "1.7976931348623157e308",
                             "5e-324",
                             "1e-400",
                             "2.2250738585072011e-308",
                             "1e22",
                             "1e23",
                             "123.456e-7",
                             "00000000000000000000000000000000001",
                             "+7",
                             "1E5",
                             "0.000000000000000000000000000000001",
                             "17976931348623158079e289",
                             "1e-22",
                             "3e-23"}) {
    CAPTURE(number);
    CHECK(std::bit_cast<uint64_t>(parse(number)) ==
          std::bit_cast<uint64_t>(std::strtod(number, nullptr)));
  }
  for (const char* number :
       {"",      "-",    "+",    ".",      "e5",   "1e", "1e+", "0x1", "0x1p3", "1_000",
        "1e400", "+nan", "-nan", "nan(1)", "infi", "1 ", " 1",  "--1", "1.2.3", "1e5.0"}) {
    CAPTURE(number);
    CHECK(parse(number) == -12345);
  }
  CHECK(parse("-INFINITY") == -INFINITY);
  CHECK(std::isnan(parse("nAn")));
}

TEST_CASE("label numbers are printed as Go prints them") {
  const auto print = [](double value) {
    std::string out;
    append_label_float(out, value);
    return out;
  };
  CHECK(print(1) == "1.0");
  CHECK(print(-0.0) == "-0.0");
  CHECK(print(0.1) == "0.1");
  CHECK(print(100000) == "100000.0");
  CHECK(print(1000000) == "1e+06");
  CHECK(print(1234567) == "1.234567e+06");
  CHECK(print(0.0001) == "0.0001");
  CHECK(print(0.00001) == "1e-05");
  CHECK(print(1e100) == "1e+100");
  CHECK(print(-INFINITY) == "-Inf");
  CHECK(print(INFINITY) == "+Inf");
  CHECK(print(NAN) == "NaN");
}

TEST_CASE("openmetrics: metadata, samples, exemplars and the end") {
  CHECK(openmetrics("# TYPE a_seconds counter\n"
                    "# UNIT a_seconds seconds\n"
                    "# HELP a_seconds A \\\"clock\\\"\n"
                    "a_seconds_total{b=\"c\"} 1 1.5 # {id=\"x\"} 0.5 123.25\n"
                    "a_seconds_created{b=\"c\"} 1.25\n"
                    "# TYPE b stateset\nb{b=\"on\"} 1\n# TYPE c info\nc_info{v=\"1\"} 1\n"
                    "# EOF\n") == Lines{"TYPE a_seconds counter", "UNIT a_seconds seconds",
                                        "HELP a_seconds A \"clock\"",
                                        "a_seconds_total{b=\"c\"} 1 @1500 # {id=\"x\"} 0.5 @123250",
                                        "a_seconds_created{b=\"c\"} 1.25", "TYPE b stateset",
                                        "b{b=\"on\"} 1", "TYPE c info", "c_info{v=\"1\"} 1"});
}

TEST_CASE("openmetrics: _created tells when its metric began") {
  const std::string_view body =
      "# TYPE c counter\nc_total{a=\"1\"} 1\nc_created{a=\"1\"} 1.5\nc_total{a=\"2\"} 1\n"
      "c_total{a=\"3\"} 1\nc_created{a=\"3\"} 2\n"
      "# TYPE h histogram\nh_bucket{le=\"1\",a=\"1\"} 1\nh_bucket{le=\"+Inf\",a=\"1\"} 1\n"
      "h_count{a=\"1\"} 1\nh_sum{a=\"1\"} 1\nh_created{a=\"1\"} 3\n"
      "h_bucket{le=\"+Inf\",a=\"2\"} 1\nother 1\n"
      "hx{a=\"1\"} 1\n"
      "# TYPE s summary\ns{quantile=\"1\"} 1\ns_created 4\n"
      "# TYPE g gauge\ng 1\ng_created 5\n# EOF\n";
  ExpositionOptions options;
  options.start_timestamps = true;
  const auto parser = make_exposition_parser(ExpositionFormat::OpenMetrics100, body, options);
  Entry entry;
  std::string starts;
  for (;;) {
    REQUIRE(parser->next(entry));
    if (entry.kind == EntryKind::End) break;
    if (entry.kind != EntryKind::Sample) continue;
    starts += fmt::format("{} ", entry.start_timestamp_ms.value_or(-1));
  }
  CHECK(starts == "1500 1500 -1 2000 2000 3000 3000 3000 3000 3000 -1 -1 -1 4000 4000 -1 -1 ");
  // Without the option nothing is looked for.
  CHECK(openmetrics(body).size() == 21);
}

TEST_CASE("openmetrics: what Prometheus refuses is refused") {
  const auto error = [](std::string_view body) { return openmetrics(body).back(); };
  CHECK(error("a 1\n") == "line 2, column 1: expected # EOF, found the end of the text");
  CHECK(error("a 1\n# EOF\n\n") ==
        "line 3, column 1: expected nothing after # EOF, found the end of the line");
  CHECK(error("\n# EOF\n") ==
        "line 1, column 1: expected a metric name, '{' or a comment, found the end of the line");
  CHECK(error("a  1\n# EOF\n") == "line 1, column 3: expected a number, found \" 1\"");
  CHECK(error("a 1 NaN\n# EOF\n") ==
        "line 1, column 5: expected a finite timestamp in seconds, found \"NaN\"");
  CHECK(error("a{b=\"1\" ,c=\"2\"} 1\n# EOF\n") ==
        "line 1, column 8: expected ',' or '}' after the label value, found \" ,c=\"2\"} 1\"");
  CHECK(error("# UNIT a s\n# EOF\n") ==
        "line 1, column 10: expected a unit that the metric's name ends with, found \"s\"");
  CHECK(error("# a comment\n# EOF\n").starts_with("line 1, column 1: expected \"# HELP \""));
}

TEST_CASE("the format is that of the Content-Type, or the fallback") {
  const auto format = [](std::string_view type) {
    return exposition_format(type, std::nullopt).value();
  };
  CHECK(format("text/plain") == ExpositionFormat::Text004);
  CHECK(format("text/plain; version=0.0.4; charset=utf-8") == ExpositionFormat::Text004);
  CHECK(format("text/plain;version=1.0.0;escaping=allow-utf-8") == ExpositionFormat::Text100);
  CHECK(format("Text/Plain;") == ExpositionFormat::Text004);
  CHECK(format("application/openmetrics-text; version=1.0.0; charset=utf-8") ==
        ExpositionFormat::OpenMetrics100);
  CHECK(format("application/openmetrics-text; version=\"0.0.1\"") ==
        ExpositionFormat::OpenMetrics001);
  CHECK(format("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
               "encoding=delimited") == ExpositionFormat::Protobuf);
  for (const char* type : {"", "text/html", "application/json", "text/plain; a=1; a=2",
                           "text/plain; version", "text plain", ";", "text/plain;;"}) {
    CAPTURE(type);
    CHECK(!exposition_format(type, std::nullopt));
    CHECK(exposition_format(type, ExpositionFormat::Text004).value() == ExpositionFormat::Text004);
  }
}

}  // namespace ingest
