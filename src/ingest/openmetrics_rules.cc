#include "ingest/openmetrics_rules.h"

#include "ingest/float_text.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <span>

namespace ingest {
namespace {

using model::MetricType;
using Verdict = OpenMetricsRules::Verdict;

constexpr size_t kExemplarLabelSizeMax = 128;

template <typename... Args>
Verdict breach(const char* at, fmt::format_string<Args...> format, Args&&... args) {
  return RuleBreach{at, fmt::format(format, std::forward<Args>(args)...)};
}

std::span<const std::string_view> suffixes(MetricType type) {
  static constexpr std::string_view kCounter[] = {"_total", "_created"};
  static constexpr std::string_view kSummary[] = {"", "_count", "_sum", "_created"};
  static constexpr std::string_view kHistogram[] = {"_bucket", "_count", "_sum", "_created"};
  static constexpr std::string_view kGaugeHistogram[] = {"_bucket", "_gcount", "_gsum"};
  static constexpr std::string_view kInfo[] = {"_info"};
  static constexpr std::string_view kPlain[] = {""};
  switch (type) {
    case MetricType::Counter:
      return kCounter;
    case MetricType::Summary:
      return kSummary;
    case MetricType::Histogram:
      return kHistogram;
    case MetricType::GaugeHistogram:
      return kGaugeHistogram;
    case MetricType::Info:
      return kInfo;
    case MetricType::Gauge:
    case MetricType::StateSet:
    case MetricType::Unknown:
      break;
  }
  return kPlain;
}

std::string print(const DecodedLabels& labels) {
  std::string out = "{";
  for (const auto& [name, value] : labels) {
    out += fmt::format("{}{}=\"{}\"", out.size() > 1 ? "," : "", name, value);
  }
  return out + "}";
}

bool is_integer(double value) {
  return std::isfinite(value) && value == std::trunc(value);
}

// The threshold of a bucket. Infinity has one spelling only.
bool parse_bound(std::string_view text, double& bound) {
  if (!parse_exposition_float(text, bound) || std::isnan(bound)) return false;
  return bound != std::numeric_limits<double>::infinity() || text == "+Inf";
}

}  // namespace

Verdict OpenMetricsRules::metadata(const char* at, EntryKind kind, std::string_view family,
                                   MetricType type, std::string_view text) {
  if (!in_family_ || family != family_) {
    if (auto broken = open_family(at, family)) return broken;
  }
  if (has_samples_) return breach(at, "metadata of \"{}\" after its samples", family);
  bool& seen = kind == EntryKind::Type   ? has_type_
               : kind == EntryKind::Help ? has_help_
                                         : has_unit_;
  if (seen) {
    const char* const word = kind == EntryKind::Type   ? "TYPE"
                             : kind == EntryKind::Help ? "HELP"
                                                       : "UNIT";
    return breach(at, "a second {} of \"{}\"", word, family);
  }
  seen = true;
  if (kind == EntryKind::Type) type_ = type;
  if (kind == EntryKind::Unit) unit_is_empty_ = text.empty();
  if (!unit_is_empty_ && (type_ == MetricType::Info || type_ == MetricType::StateSet)) {
    return breach(at, "\"{}\" is of type {}, which has no unit", family,
                  model::metric_type_name(type_));
  }
  return {};
}

Verdict OpenMetricsRules::open_family(const char* at, std::string_view name) {
  if (auto broken = close_family()) return broken;
  in_family_ = true;
  family_at_ = at;
  family_ = name;
  type_ = MetricType::Unknown;
  has_type_ = has_help_ = has_unit_ = has_samples_ = false;
  unit_is_empty_ = true;
  closed_metrics_.clear();
  if (taken_names_.contains(name)) {
    return breach(at,
                  "the name \"{}\" is that of an earlier metric family, or of a sample it may have",
                  name);
  }
  return {};
}

Verdict OpenMetricsRules::close_family() {
  if (!in_family_) return {};
  if (auto broken = close_point()) return broken;
  in_family_ = in_metric_ = false;
  // The bare name is taken for every type: a family without TYPE has samples of that name.
  taken_names_.insert(family_);
  for (const std::string_view suffix : suffixes(type_)) {
    if (suffix.empty()) continue;
    std::string name = family_;
    name += suffix;
    if (!taken_names_.insert(name).second) {
      return breach(
          family_at_,
          "\"{}\", a sample of \"{}\", is the name of an earlier metric family or of its samples",
          name, family_);
    }
  }
  return {};
}

std::optional<std::string_view> OpenMetricsRules::suffix_of(std::string_view name) const {
  if (!in_family_ || !name.starts_with(family_)) return std::nullopt;
  name.remove_prefix(family_.size());
  const auto known = suffixes(type_);
  const auto found = std::find(known.begin(), known.end(), name);
  return found == known.end() ? std::nullopt : std::optional(*found);
}

Verdict OpenMetricsRules::sample(const RuleSample& sample) {
  std::optional<std::string_view> suffix = suffix_of(sample.name);
  if (!suffix) {
    // Without metadata: of type unknown.
    if (auto broken = open_family(sample.at, sample.name)) return broken;
    suffix = "";
  }
  has_samples_ = true;
  DecodedLabels metric;
  std::string part;
  if (auto broken = check_labels(sample, *suffix, metric, part)) return broken;
  if (auto broken = check_value(sample, *suffix)) return broken;
  if (auto broken = check_exemplar(sample, *suffix, part)) return broken;
  if (auto broken = open_point(sample, metric, part)) return broken;
  if (!point_.samples.emplace(*suffix, part).second) {
    return breach(sample.at, "a second sample \"{}{}\" at the same time", sample.name,
                  print(sample.labels));
  }
  if (*suffix == "_total") point_.has_total = true;
  if (*suffix == "_sum" || *suffix == "_gsum") {
    point_.has_sum = true;
    point_.has_negative_sum = sample.value < 0;
  }
  if (*suffix == "_count" || *suffix == "_gcount") point_.count = sample.value;
  if (*suffix == "_bucket") return add_bucket(sample, part);
  return {};
}

// Splits the labels into those of the metric and the one that tells its parts apart.
Verdict OpenMetricsRules::check_labels(const RuleSample& sample, std::string_view suffix,
                                       DecodedLabels& metric, std::string& part) const {
  std::string_view part_name;
  if (is_histogram()) part_name = "le";
  if (type_ == MetricType::Summary) part_name = "quantile";
  if (type_ == MetricType::StateSet) part_name = family_;
  const bool takes_part = type_ == MetricType::StateSet || suffix == "_bucket" ||
                          (type_ == MetricType::Summary && suffix.empty());
  bool has_part = false;
  for (const auto& [name, value] : sample.labels) {
    if (name.starts_with("__")) return breach(sample.at, "the label name \"{}\" is reserved", name);
    if (!part_name.empty() && name == part_name) {
      has_part = true;
      part = value;
    } else {
      metric.emplace_back(name, value);
    }
  }
  if (has_part && !takes_part) {
    return breach(sample.at, "\"{}\" has a label \"{}\", which only {} has", sample.name, part_name,
                  type_ == MetricType::Summary ? "a quantile" : "a bucket");
  }
  if (takes_part && !has_part) {
    return breach(sample.at, "\"{}\" of type {} has no label \"{}\"", sample.name,
                  model::metric_type_name(type_), part_name);
  }
  if (!takes_part || type_ == MetricType::StateSet) return {};
  double bound = 0;
  if (type_ == MetricType::Summary) {
    if (!parse_exposition_float(part, bound) || !(bound >= 0 && bound <= 1)) {
      return breach(sample.at, "quantile=\"{}\" is not a number from 0 to 1", part);
    }
    return {};
  }
  if (!parse_bound(part, bound))
    return breach(sample.at, "le=\"{}\" is neither a number nor +Inf", part);
  return {};
}

Verdict OpenMetricsRules::check_value(const RuleSample& sample, std::string_view suffix) const {
  const double value = sample.value;
  const auto wrong = [&](std::string_view rule) {
    return breach(sample.at, "\"{}\" of type {} is {}: {}", sample.name,
                  model::metric_type_name(type_), value, rule);
  };
  if (type_ == MetricType::StateSet && value != 0 && value != 1) return wrong("a state is 0 or 1");
  if (type_ == MetricType::Info && value != 1) return wrong("an info is always 1");
  if (type_ == MetricType::Summary && suffix.empty() && value < 0) {
    return wrong("the value of a quantile is not negative");
  }
  if (suffix.empty() || type_ == MetricType::Info) return {};
  if (std::isnan(value)) return wrong("this must be a number");
  if (suffix == "_created") {
    return std::isfinite(value) ? Verdict{} : wrong("this must be a time in seconds");
  }
  if (value < 0 && suffix != "_gsum") return wrong("this must not be negative");
  const bool counts = suffix == "_bucket" || suffix == "_count" || suffix == "_gcount";
  if (counts && !is_integer(value)) return wrong("this must be an integer");
  return {};
}

Verdict OpenMetricsRules::check_exemplar(const RuleSample& sample, std::string_view suffix,
                                         std::string_view part) const {
  if (!sample.has_exemplar) return {};
  if (!(suffix == "_bucket" && is_histogram()) &&
      !(suffix == "_total" && type_ == MetricType::Counter)) {
    return breach(sample.at,
                  "\"{}\" has an exemplar, which only buckets and _total of a counter have",
                  sample.name);
  }
  if (sample.exemplar_label_size > kExemplarLabelSizeMax) {
    return breach(sample.at,
                  "the labels of the exemplar have {} characters, at most {} are allowed",
                  sample.exemplar_label_size, kExemplarLabelSizeMax);
  }
  double bound = 0;
  if (suffix == "_bucket" && parse_bound(part, bound) && sample.exemplar_value > bound) {
    return breach(sample.at, "the exemplar's value {} is above the bucket's bound {}",
                  sample.exemplar_value, part);
  }
  return {};
}

Verdict OpenMetricsRules::open_point(const RuleSample& sample, const DecodedLabels& metric,
                                     const std::string& part) {
  if (!in_metric_ || metric != metric_) {
    if (auto broken = close_point()) return broken;
    if (in_metric_) closed_metrics_.insert(metric_);
    if (closed_metrics_.contains(metric)) {
      return breach(sample.at, "the samples of {}{} are not together", family_, print(metric));
    }
    in_metric_ = true;
    metric_ = metric;
  } else {
    if (sample.timestamp_text.empty() != point_.timestamp_text.empty()) {
      return breach(sample.at, "{}{} has samples with and without a timestamp", family_,
                    print(metric));
    }
    if (sample.timestamp < point_.timestamp) {
      return breach(sample.at, "the timestamps of {}{} go back", family_, print(metric));
    }
    // Two times may be one as float64.
    const auto suffix = sample.name.substr(family_.size());
    const bool is_next = sample.timestamp_text != point_.timestamp_text &&
                         point_.samples.contains({std::string(suffix), part});
    if (sample.timestamp == point_.timestamp && !is_next) return {};
    if (auto broken = close_point()) return broken;
  }
  metric_at_ = sample.at;
  point_ = {};
  point_.timestamp_text = sample.timestamp_text;
  point_.timestamp = sample.timestamp;
  return {};
}

Verdict OpenMetricsRules::add_bucket(const RuleSample& sample, const std::string& bound_text) {
  double bound = 0;
  parse_bound(bound_text, bound);
  if (point_.bound && bound <= *point_.bound) {
    return breach(sample.at, "the bucket le=\"{}\" does not come after a smaller one", bound_text);
  }
  if (point_.bound && sample.value < point_.bucket) {
    return breach(sample.at, "the bucket le=\"{}\" is {}, less than the one before it", bound_text,
                  sample.value);
  }
  point_.bound = bound;
  point_.bucket = sample.value;
  if (bound < 0) point_.has_negative_bound = true;
  return {};
}

Verdict OpenMetricsRules::close_point() {
  if (!in_metric_) return {};
  const auto wrong = [&](std::string_view rule) {
    return breach(metric_at_, "{} {}{}: {}", model::metric_type_name(type_), family_,
                  print(metric_), rule);
  };
  if (type_ == MetricType::Counter && !point_.has_total) return wrong("_total is missing");
  if (!is_histogram()) return {};
  const bool gauge = type_ == MetricType::GaugeHistogram;
  if (!point_.bound || *point_.bound != std::numeric_limits<double>::infinity()) {
    return wrong("the bucket le=\"+Inf\" is missing");
  }
  if (point_.has_sum != point_.count.has_value()) {
    return wrong(gauge ? "_gsum and _gcount only come together"
                       : "_sum and _count only come together");
  }
  if (point_.count && *point_.count != point_.bucket) {
    return wrong("the count is not that of the bucket le=\"+Inf\"");
  }
  if (!gauge && point_.has_sum && point_.has_negative_bound) {
    return wrong("there must be no _sum with a bucket below 0");
  }
  if (gauge && point_.has_negative_sum && !point_.has_negative_bound) {
    return wrong("_gsum is negative, but there is no bucket below 0");
  }
  return {};
}

}  // namespace ingest
