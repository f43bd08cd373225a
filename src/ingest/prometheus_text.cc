// The Prometheus text format 0.0.4 and 1.0.0, which only differ in what a client may ask
// for: both take quoted UTF-8 names. Judged as by Prometheus 3.5's textparse.PromParser.

#include "ingest/exposition_text.h"
#include "ingest/float_text.h"

#include <charconv>
#include <cstring>

namespace ingest {
namespace {

using model::MetricType;

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

class PrometheusText final : public TextExposition {
 public:
  PrometheusText(std::string_view body, const ExpositionOptions& options)
      : TextExposition(body, options) {}

  core::Result<void> next(Entry& entry) override {
    entry.exemplars.clear();
    entry.start_timestamp_ms.reset();
    for (;;) {
      skip_blanks();
      // A zero byte at the start of a line ends the text, as for Prometheus.
      if (at_ == end_ || *at_ == '\0') {
        entry.kind = EntryKind::End;
        at_ = end_;
        return {};
      }
      if (*at_ == '\n') {
        ++at_;
        continue;
      }
      if (*at_ != '#') return read_sample(entry) ? core::Result<void>{} : failure();
      bool is_metadata = false;
      if (!read_comment(entry, is_metadata)) return failure();
      if (!is_metadata) continue;
      expected_key_ = {};
      return {};
    }
  }

 private:
  void skip_blanks() {
    while (at_ != end_ && is_blank(*at_)) ++at_;
  }

  const char* line_end() const {
    const void* const found = at_ == end_ ? nullptr : std::memchr(at_, '\n', rest_size());
    return found != nullptr ? static_cast<const char*>(found) : end_;
  }
  size_t rest_size() const { return static_cast<size_t>(end_ - at_); }

  bool read_comment(Entry& entry, bool& is_metadata) {
    const char* const hash = at_++;
    skip_blanks();
    const std::string_view rest(at_, rest_size());
    const bool help = rest.starts_with("HELP");
    const bool type = rest.starts_with("TYPE");
    is_metadata = at_ - hash > 1 && (help || type) && rest.size() > 4 && is_blank(rest[4]);
    if (!is_metadata) {
      at_ = line_end();
      return true;
    }
    at_ += 4;
    skip_blanks();
    if (!read_family_name()) return false;
    // One character, whatever it is, stands between the name and the text.
    const char* const text_begin = at_;
    const char* const text_end = line_end();
    std::string_view text(text_begin, static_cast<size_t>(text_end - text_begin));
    if (!text.empty()) text.remove_prefix(1);
    at_ = text_end;
    entry.metric = family_;
    if (type) {
      if (!read_type(text)) {
        return expected(text.data(), "counter, gauge, histogram, summary or untyped");
      }
      entry.kind = EntryKind::Type;
      entry.type = type_;
      return true;
    }
    if (!is_text_utf8(text)) return expected(text.data(), "UTF-8");
    if (text.find('\\') != std::string_view::npos) {
      unescaped_text_.clear();
      append_unescaped(unescaped_text_, text, EscapeSet::Help);
      text = unescaped_text_;
    }
    entry.kind = EntryKind::Help;
    entry.text = text;
    return true;
  }

  bool read_type(std::string_view text) {
    if (text == "counter") {
      type_ = MetricType::Counter;
    } else if (text == "gauge") {
      type_ = MetricType::Gauge;
    } else if (text == "histogram") {
      type_ = MetricType::Histogram;
    } else if (text == "summary") {
      type_ = MetricType::Summary;
    } else if (text == "untyped") {
      type_ = MetricType::Unknown;
    } else {
      return false;
    }
    return true;
  }

  bool read_sample(Entry& entry) {
    if (!read_series(LabelSyntax::Prometheus)) return false;
    entry.kind = EntryKind::Sample;
    entry.key = {key_begin_, static_cast<size_t>(at_ - key_begin_)};
    skip_blanks();
    if (!read_value(entry.value)) return false;
    skip_blanks();
    if (at_ == end_ || *at_ == '\n') {
      entry.timestamp_ms.reset();
      return true;
    }
    int64_t timestamp_ms = 0;
    if (*at_ < '0' || *at_ > '9') return expected(at_, "a timestamp in milliseconds or a new line");
    const auto [stop, problem] = std::from_chars(at_, end_, timestamp_ms);
    if (problem != std::errc{}) return expected(at_, "a timestamp of at most 64 bits");
    at_ = stop;
    skip_blanks();
    if (at_ != end_ && *at_ != '\n') return expected(at_, "a new line after the timestamp");
    entry.timestamp_ms = timestamp_ms;
    return true;
  }

  bool read_value(double& value) {
    const auto ends = [this](const char* at) {
      return at == end_ || *at == '\n' || is_blank(*at) || *at == '{';
    };
    const char* stop = parse_short_float(at_, end_, value);
    if (stop == nullptr || !ends(stop)) {
      stop = at_;
      while (!ends(stop)) ++stop;
      const std::string_view text(at_, static_cast<size_t>(stop - at_));
      if (!parse_exposition_float(text, value)) return expected(at_, "a number");
    }
    at_ = stop;
    return true;
  }
};

}  // namespace

std::unique_ptr<ExpositionParser> make_prometheus_text_parser(std::string_view body,
                                                              const ExpositionOptions& options) {
  return std::make_unique<PrometheusText>(body, options);
}

}  // namespace ingest
