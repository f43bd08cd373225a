// What the Prometheus text format and OpenMetrics share: where names, labels and values
// are in a line, and turning them into label bytes.
//
// next() only finds the pieces; nothing is copied or decoded before append_labels() asks
// for it, which the reader does for series it does not know yet.

#pragma once

#include "ingest/exposition.h"

#include <string>
#include <string_view>
#include <vector>

namespace ingest {

// One label as it stands in the body, without its quotes.
struct LabelSpan {
  std::string_view name;
  std::string_view value;
  bool escaped = false;  // a backslash in the name or the value
};

// What is wrong and where; `expected` is what should stand there.
struct TextFault {
  const char* at = nullptr;
  const char* expected = nullptr;  // null: no fault
};

// How a label set is written.
enum class LabelSyntax : uint8_t {
  Prometheus,          // blanks anywhere, commas may be missing, line ends in values
  OpenMetrics,         // none of these
  OpenMetricsExemplar  // and no metric name among the labels
};

enum class EscapeSet : uint8_t { LabelValue, Help };  // Help: \" stays as it is

bool is_text_utf8(std::string_view text);  // quick for ASCII

// Appends `text` with \\, \n and \" resolved; a backslash before anything else stays.
void append_unescaped(std::string& out, std::string_view text, EscapeSet escapes);

// "line 3, column 14" of a place in a text.
std::string text_place(std::string_view body, const char* at);

class TextExposition : public ExpositionParser {
 public:
  core::Result<void> append_labels(std::string& label_bytes) const final;
  void expect(std::string_view key) final {
    expected_key_ = options_.strict || options_.start_timestamps ? "" : key;
  }

 protected:
  TextExposition(std::string_view body, const ExpositionOptions& options)
      : options_(options), begin_(body.data()), end_(body.data() + body.size()), at_(body.data()) {}

  // Metric name and labels at at_, which is left behind them. False with a fault noted.
  bool read_series(LabelSyntax syntax);
  // Reads what skip_expected() stepped over.
  core::Result<void> read_skipped();
  // Whether the expected key stands at at_, which is then left behind it.
  bool skip_expected(LabelSyntax syntax);
  // The braces' inside; at_ stands behind the opening one.
  bool read_labels(LabelSyntax syntax, std::vector<LabelSpan>& labels);
  // A name as it stands after # HELP, TYPE and UNIT, quoted or not.
  bool read_family_name();
  // Steps over a quoted string; at_ stands behind the opening quote and ends behind the
  // closing one.
  bool read_string(bool line_ends, std::string_view& text, bool& escaped);
  // Canonical label bytes of `labels`, with `metric` unless it is null.
  core::Result<void> append_canonical(const std::string_view* metric, bool metric_escaped,
                                      const std::vector<LabelSpan>& labels,
                                      std::string& label_bytes) const;

  bool expected(const char* at, const char* what) {
    fault_ = {at, what};
    return false;
  }
  // "line 3, column 14: expected ..., found ..."
  core::Result<void> failure() const;
  core::Error failure_at(const char* at, std::string_view what) const;

  ExpositionOptions options_;
  const char* begin_;
  const char* end_;
  const char* at_;
  TextFault fault_;

  // Of the newest sample.
  const char* key_begin_ = nullptr;
  std::string_view metric_;
  bool metric_escaped_ = false;
  std::string_view bare_metric_;  // of the newest line that has its name outside of braces
  std::vector<LabelSpan> labels_;
  bool is_skipped_ = false;  // the two above are not read yet
  LabelSyntax syntax_ = LabelSyntax::Prometheus;
  std::string_view expected_key_;

  std::string_view family_;                              // of the newest HELP, TYPE or UNIT
  model::MetricType type_ = model::MetricType::Unknown;  // of the newest TYPE
  std::string unescaped_family_;
  std::string unescaped_text_;

 private:
  mutable std::string scratch_;
  mutable std::vector<model::Label> sorted_;
};

std::unique_ptr<ExpositionParser> make_prometheus_text_parser(std::string_view body,
                                                              const ExpositionOptions& options);
std::unique_ptr<ExpositionParser> make_openmetrics_parser(std::string_view body,
                                                          const ExpositionOptions& options);
std::unique_ptr<ExpositionParser> make_protobuf_parser(std::string_view body,
                                                       const ExpositionOptions& options);

}  // namespace ingest
