// OpenMetrics text (https://prometheus.io/docs/specs/om/open_metrics_spec/).
//
// Scraping takes what Prometheus 3.5's parser takes, which looks at each line alone. With
// ExpositionOptions::strict the rest of the specification is judged too, by
// OpenMetricsRules.

#include "core/utf8.h"
#include "ingest/exposition_text.h"
#include "ingest/float_text.h"
#include "ingest/openmetrics_rules.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

namespace ingest {
namespace {

using model::MetricType;

constexpr std::array<std::pair<std::string_view, MetricType>, 8> kTypes = {{
    {"counter", MetricType::Counter},
    {"gauge", MetricType::Gauge},
    {"histogram", MetricType::Histogram},
    {"gaugehistogram", MetricType::GaugeHistogram},
    {"summary", MetricType::Summary},
    {"info", MetricType::Info},
    {"stateset", MetricType::StateSet},
    {"unknown", MetricType::Unknown},
}};

// Truncated, as Prometheus does it; what does not fit becomes the nearest that does.
int64_t milliseconds(double seconds) {
  const double ms = seconds * 1000;
  constexpr double kLimit = 9.2233720368547748e18;
  if (ms >= kLimit) return std::numeric_limits<int64_t>::max();
  if (ms <= -kLimit) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(ms);
}

bool is_unit_of(std::string_view unit, std::string_view metric) {
  return metric.size() > unit.size() && metric.ends_with(unit) &&
         metric[metric.size() - unit.size() - 1] == '_';
}

class OpenMetricsText final : public TextExposition {
 public:
  OpenMetricsText(std::string_view body, const ExpositionOptions& options)
      : TextExposition(body, options) {}

  core::Result<void> next(Entry& entry) override {
    entry.exemplars.clear();
    entry.start_timestamp_ms.reset();
    if (ended_) {
      entry.kind = EntryKind::End;
      return {};
    }
    const char* const line = at_;
    const bool read = at_ != end_ && *at_ == '#' ? read_hash_line(entry) : read_sample(entry);
    expected_key_ = {};
    if (!read) return failure();
    if (options_.start_timestamps && entry.kind == EntryKind::Sample) {
      entry.start_timestamp_ms = find_start();
    }
    return options_.strict ? judge(line, entry) : core::Result<void>{};
  }

 private:
  std::string_view rest() const { return {at_, static_cast<size_t>(end_ - at_)}; }

  bool read_hash_line(Entry& entry) {
    const std::string_view line = rest();
    if (line.starts_with("# EOF")) {
      at_ += 5;
      if (at_ != end_ && *at_ == '\n') ++at_;
      if (at_ != end_) return expected(at_, "nothing after # EOF");
      ended_ = true;
      entry.kind = EntryKind::End;
      return true;
    }
    const bool help = line.starts_with("# HELP ");
    const bool type = line.starts_with("# TYPE ");
    const bool unit = line.starts_with("# UNIT ");
    if (!help && !type && !unit) {
      return expected(at_, "\"# HELP \", \"# TYPE \", \"# UNIT \" or \"# EOF\"");
    }
    at_ += 7;
    if (!read_family_name()) return false;
    if (at_ == end_ || *at_ != ' ') return expected(at_, "a space after the metric name");
    ++at_;
    const void* const line_end = std::memchr(at_, '\n', rest().size());
    if (line_end == nullptr) return expected(end_, "a line end and # EOF");
    std::string_view text(at_, static_cast<size_t>(static_cast<const char*>(line_end) - at_));
    entry.metric = family_;
    if (type) {
      if (!read_type(text)) {
        return expected(at_,
                        "counter, gauge, histogram, gaugehistogram, summary, info, stateset "
                        "or unknown");
      }
      entry.kind = EntryKind::Type;
      entry.type = type_;
    } else if (unit) {
      if (!text.empty() && !is_unit_of(text, family_)) {
        return expected(at_, "a unit that the metric's name ends with");
      }
      entry.kind = EntryKind::Unit;
      entry.text = text;
    } else {
      if (!is_text_utf8(text)) return expected(at_, "UTF-8");
      if (text.find('\\') != std::string_view::npos) {
        unescaped_text_.clear();
        append_unescaped(unescaped_text_, text, EscapeSet::LabelValue);
        text = unescaped_text_;
      }
      entry.kind = EntryKind::Help;
      entry.text = text;
    }
    at_ = static_cast<const char*>(line_end) + 1;
    return true;
  }

  // Of the newest sample's metric.
  std::optional<int64_t> find_start() {
    if (type_ != MetricType::Counter && type_ != MetricType::Histogram &&
        type_ != MetricType::Summary) {
      return std::nullopt;
    }
    if (!metric_.starts_with(family_)) return std::nullopt;
    const std::string_view suffix = metric_.substr(family_.size());
    if (!suffix.empty() && suffix != "_total" && suffix != "_bucket" && suffix != "_count" &&
        suffix != "_sum" && suffix != "_created") {
      return std::nullopt;  // of another family, without metadata
    }
    std::string metric = metric_text();
    if (metric == started_metric_) return start_;
    started_metric_ = std::move(metric);
    start_.reset();
    // A metric's lines stand together: what is read ahead is no more than they are.
    if (!ahead_) {
      ExpositionOptions plain = options_;
      plain.strict = plain.start_timestamps = false;
      ahead_ = std::make_unique<OpenMetricsText>(
          std::string_view(begin_, static_cast<size_t>(end_ - begin_)), plain);
    }
    ahead_->at_ = key_begin_;
    ahead_->type_ = type_;
    ahead_->family_ = family_;
    Entry entry;
    while (ahead_->next(entry) && entry.kind == EntryKind::Sample &&
           ahead_->metric_.starts_with(family_) && ahead_->metric_text() == started_metric_) {
      if (ahead_->metric_.substr(family_.size()) != "_created") continue;
      if (std::isfinite(entry.value)) start_ = milliseconds(entry.value);
      break;
    }
    return start_;
  }

  // Family and labels without those that tell the parts of a metric apart.
  std::string metric_text() const {
    const std::string_view part = type_ == MetricType::Histogram ? "le"
                                  : type_ == MetricType::Summary ? "quantile"
                                                                 : "";
    std::string text(family_);
    for (const LabelSpan& label : labels_) {
      if (label.name == part) continue;
      text += '\n';
      text += label.name;
      text += '\n';
      text += label.value;
    }
    return text;
  }

  // The rules beyond the form of a line.
  core::Result<void> judge(const char* line, const Entry& entry) {
    OpenMetricsRules::Verdict broken;
    if (entry.kind == EntryKind::Sample) {
      RuleSample sample;
      if (!read_rule_sample(line, entry, sample)) return failure();
      broken = rules_.sample(sample);
    } else if (entry.kind == EntryKind::End) {
      broken = rules_.end();
    } else {
      broken = judge_metadata(line, entry);
    }
    if (!broken) return {};
    return tl::unexpected(failure_at(broken->at, broken->what));
  }

  OpenMetricsRules::Verdict judge_metadata(const char* line, const Entry& entry) {
    const std::string_view written(line, static_cast<size_t>(at_ - line - 1));
    if (line[7] == '"') return RuleBreach{line, "names in quotes are not of OpenMetrics 1.0"};
    if (entry.kind == EntryKind::Help && (ends_in_backslash(written) || written.ends_with('\r'))) {
      return RuleBreach{line, "a backslash or carriage return at the end of the line"};
    }
    if (entry.kind == EntryKind::Unit && !entry.text.empty() &&
        !model::is_legacy_metric_name("u" + std::string(entry.text))) {
      return RuleBreach{line, "a unit has the characters of a metric name"};
    }
    return rules_.metadata(line, entry.kind, entry.metric, type_, entry.text);
  }

  static bool ends_in_backslash(std::string_view text) {
    const size_t last_other = text.find_last_not_of('\\');
    return (text.size() - 1 - last_other) % 2 == 1;
  }

  // The sample that was just read, decoded. False with a fault noted.
  bool read_rule_sample(const char* line, const Entry& entry, RuleSample& sample) {
    if (metric_.data() != key_begin_) {
      return expected(line, "a metric name in front of the labels");
    }
    sample.at = line;
    sample.name = metric_;
    sample.value = entry.value;
    sample.timestamp_text = time_text_;
    sample.timestamp = time_;
    if (!decode(labels_, sample.labels)) return false;
    if (!has_exemplar_) return true;
    sample.has_exemplar = true;
    sample.exemplar_value = exemplar_value_;
    DecodedLabels labels;
    if (!decode(exemplar_labels_, labels)) return false;
    for (const auto& [name, value] : labels) {
      for (const std::string& text : {name, value}) {
        sample.exemplar_label_size += static_cast<size_t>(
            std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
      }
    }
    return true;
  }

  bool decode(const std::vector<LabelSpan>& spans, DecodedLabels& labels) {
    for (const LabelSpan& span : spans) {
      const char* const name = span.name.data();
      if (name[-1] == '"') return expected(name - 1, "a label name without quotes");
      // Behind the value: its quote, and a comma only when another label follows.
      const char* const behind = span.value.data() + span.value.size() + 1;
      if (behind[0] == ',' && behind[1] == '}')
        return expected(behind + 1, "a label after the comma");
      std::string value;
      append_unescaped(value, span.value, EscapeSet::LabelValue);
      for (const LabelSpan& other : spans) {
        if (&other != &span && other.name == span.name) {
          return expected(other.name.data(), "a label name only once");
        }
      }
      if (!value.empty()) labels.emplace_back(span.name, std::move(value));
    }
    std::sort(labels.begin(), labels.end());
    return true;
  }

  bool read_type(std::string_view text) {
    for (const auto& [name, type] : kTypes) {
      if (name != text) continue;
      type_ = type;
      return true;
    }
    return false;
  }

  bool read_sample(Entry& entry) {
    if (at_ == end_) return expected(at_, "# EOF");
    if (!read_series(LabelSyntax::OpenMetrics)) return false;
    entry.kind = EntryKind::Sample;
    entry.key = {key_begin_, static_cast<size_t>(at_ - key_begin_)};
    entry.timestamp_ms.reset();
    has_exemplar_ = false;
    time_text_ = {};
    time_ = 0;
    if (!read_number("a space and a value", entry.value)) return false;
    if (at_line_end()) return true;
    if (!rest().starts_with(" # {")) {
      const char* const first = at_ + 1;
      if (!read_time(time_)) return false;
      time_text_ = {first, static_cast<size_t>(at_ - first)};
      entry.timestamp_ms = milliseconds(time_);
      if (at_line_end()) return true;
    }
    return read_exemplar(entry);
  }

  // Steps over it.
  bool at_line_end() {
    if (at_ == end_ || *at_ != '\n') return false;
    ++at_;
    return true;
  }

  bool read_exemplar(Entry& entry) {
    if (!rest().starts_with(" # {")) {
      return expected(at_, "the line's end or an exemplar: \" # {\"");
    }
    at_ += 4;
    const char* const first = at_;
    exemplar_labels_.clear();
    if (!read_labels(LabelSyntax::OpenMetricsExemplar, exemplar_labels_)) return false;
    if (!core::is_utf8({first, static_cast<size_t>(at_ - first)})) return expected(first, "UTF-8");
    model::Exemplar exemplar;
    if (!read_number("a space and the exemplar's value", exemplar.value)) return false;
    if (!at_line_end()) {
      double seconds = 0;
      if (!read_time(seconds)) return false;
      exemplar.timestamp_ms = milliseconds(seconds);
      if (!at_line_end()) return expected(at_, "the line's end after the exemplar's timestamp");
    }
    has_exemplar_ = true;
    exemplar_value_ = exemplar.value;
    std::string bytes;
    // Prometheus has no word against an exemplar with a label twice; it cannot be stored.
    if (append_canonical(nullptr, false, exemplar_labels_, bytes)) {
      exemplar.labels = model::Labels::from_canonical(std::move(bytes));
      entry.exemplars.push_back(std::move(exemplar));
    }
    return true;
  }

  // One space and a number up to the next space or line end.
  bool read_number(const char* what, double& value) {
    if (at_ == end_ || *at_ != ' ') return expected(at_, what);
    const char* const first = at_ + 1;
    const auto ends = [this](const char* at) { return at == end_ || *at == '\n' || *at == ' '; };
    const char* stop = parse_short_float(first, end_, value);
    if (stop == nullptr || !ends(stop)) {
      stop = first;
      while (!ends(stop)) ++stop;
      const std::string_view text(first, static_cast<size_t>(stop - first));
      if (!parse_exposition_float(text, value)) return expected(first, "a number");
    }
    at_ = stop;
    return true;
  }

  bool read_time(double& seconds) {
    const char* const first = at_;
    if (!read_number("a space and a timestamp, an exemplar or the line's end", seconds))
      return false;
    if (!std::isfinite(seconds)) return expected(first + 1, "a finite timestamp in seconds");
    return true;
  }

  bool ended_ = false;
  std::vector<LabelSpan> exemplar_labels_;

  std::unique_ptr<OpenMetricsText> ahead_;
  std::string started_metric_;
  std::optional<int64_t> start_;  // of that metric

  // Of the newest sample, for the rules.
  bool has_exemplar_ = false;
  double exemplar_value_ = 0;
  std::string_view time_text_;
  double time_ = 0;
  OpenMetricsRules rules_;
};

}  // namespace

std::unique_ptr<ExpositionParser> make_openmetrics_parser(std::string_view body,
                                                          const ExpositionOptions& options) {
  return std::make_unique<OpenMetricsText>(body, options);
}

}  // namespace ingest
