#include "ingest/json_import.h"

#include "core/json.h"
#include "ingest/data_point.h"
#include "ingest/refusals.h"

#include <map>
#include <optional>

namespace ingest {

using core::ErrorCode;
using core::Json;
using core::Result;
using storage::RefusalReason;

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

struct Refusal {
  RefusalReason reason = RefusalReason::InvalidSample;
  std::string message;
};

// A value in an error text.
std::string shown(const Json& value) {
  if (const std::string* text = value.as_string()) {
    return fmt::format("\"{}\"", std::string_view(*text).substr(0, 60));
  }
  if (value.is_number()) return fmt::format("{}", value.number());
  if (const bool* flag = value.as_bool()) return *flag ? "true" : "false";
  return std::string(value.type_name());
}

Refusal wrong(RefusalReason reason, std::string_view field, const Json* value,
              std::string_view expected) {
  if (value == nullptr) {
    return {reason, fmt::format("{} is missing, expected {}", field, expected)};
  }
  return {reason, fmt::format("{} is {}, expected {}", field, shown(*value), expected)};
}

std::optional<model::MetricType> metric_type_of(std::string_view name) {
  for (size_t i = 0; i <= static_cast<size_t>(model::MetricType::StateSet); ++i) {
    const auto type = static_cast<model::MetricType>(i);
    if (model::metric_type_name(type) == name) return type;
  }
  return std::nullopt;
}

class Decoder {
 public:
  Decoder(int64_t received_at_ms, const Limits& limits, storage::WriteBatch& batch,
          storage::AppendSummary& refused)
      : received_at_ms_(received_at_ms), limits_(limits), batch_(batch), refused_(refused) {}

  Result<void> body(std::string_view text) {
    const size_t begin = text.find_first_not_of(kBlanks);
    if (begin == text.npos) return {};
    if (text[begin] == '{') {
      // Lines, unless the first line alone is not a document: then it is one object
      // that was printed over several lines.
      const size_t line_end = std::min(text.find('\n', begin), text.size());
      const bool more = text.find_first_not_of(kBlanks, line_end) != text.npos;
      if (more && core::parse_json(text.substr(begin, line_end - begin))) return lines(text);
      const Result<Json> document = core::parse_json(text);
      if (document) return one_point(*document, "the object");
      // Say which line is bad where it is clear that lines were meant.
      const size_t next = text.find_first_not_of(kBlanks, line_end);
      if (next != text.npos && text[next] == '{') return lines(text);
      return tl::unexpected(document.error());
    }
    const Json document = TRY(core::parse_json(text));
    const Json::Array* points = document.as_array();
    if (points == nullptr) {
      return core::fail(ErrorCode::InvalidArgument,
                        "a {}, expected an object, an array of objects, or one object per line",
                        document.type_name());
    }
    for (size_t i = 0; i < points->size(); ++i) {
      TRY(one_point((*points)[i], fmt::format("element {}", i)));
    }
    return {};
  }

  void flush_metadata() {
    for (const auto& [metric, type] : types_) {
      batch_.metadata.push_back({.metric = metric, .type = type, .unit = "", .help = ""});
    }
  }

 private:
  Result<void> lines(std::string_view text) {
    size_t number = 0;
    while (!text.empty()) {
      ++number;
      const size_t end = std::min(text.find('\n'), text.size());
      const std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (line.find_first_not_of(kBlanks) == line.npos) continue;
      const Json point = TRY(core::parse_json(line).context("line {}", number));
      TRY(one_point(point, fmt::format("line {}", number)));
    }
    return {};
  }

  Result<void> one_point(const Json& point, std::string place) {
    if (++point_count_ > limits_.samples_max) {
      return core::fail(ErrorCode::TooLarge, "{}: more than {} points in one request ({})", place,
                        limits_.samples_max, limit_key(&Limits::samples_max));
    }
    if (const std::optional<Refusal> refusal = add(point)) {
      refused_.refuse(refusal->reason, 1, fmt::format("{}: {}", place, refusal->message));
    }
    return {};
  }

  std::optional<Refusal> add(const Json& point) {
    if (point.as_object() == nullptr) {
      return wrong(RefusalReason::InvalidSample, "the point", &point, "an object");
    }
    for (const auto& [name, value] : *point.as_object()) {
      if (name != "metric_name" && name != "labels" && name != "timestamp" && name != "value" &&
          name != "type") {
        return Refusal{RefusalReason::InvalidSample,
                       fmt::format("unknown member \"{}\", expected metric_name, labels, "
                                   "timestamp, value or type",
                                   std::string_view(name).substr(0, 60))};
      }
    }
    const Json* const metric = point.find("metric_name");
    if (metric == nullptr || metric->as_string() == nullptr) {
      return wrong(RefusalReason::InvalidLabels, "metric_name", metric, "a string");
    }
    if (std::optional<Refusal> refusal = read_labels(point.find("labels"))) return refusal;
    int64_t time_ms = received_at_ms_;
    if (std::optional<Refusal> refusal = read_time(point.find("timestamp"), time_ms)) {
      return refusal;
    }
    double sample = 0;
    if (std::optional<Refusal> refusal = read_value(point.find("value"), sample)) return refusal;
    std::optional<model::MetricType> type;
    if (const Json* const given = point.find("type")) {
      if (given->as_string() != nullptr) type = metric_type_of(*given->as_string());
      if (!type) {
        return wrong(RefusalReason::InvalidSample, "type", given,
                     "counter, gauge, histogram, gaugehistogram, summary, info, stateset or "
                     "unknown");
      }
    }
    if (std::string wrong = encode_labels(*metric->as_string(), labels_, bytes_); !wrong.empty()) {
      return Refusal{RefusalReason::InvalidLabels, std::move(wrong)};
    }
    batch_.begin_series(batch_.keep(bytes_));
    batch_.add_sample(time_ms, sample);
    if (type) types_[*metric->as_string()] = *type;
    return std::nullopt;
  }

  // Fills labels_, which then borrows from `value`.
  std::optional<Refusal> read_labels(const Json* value) {
    constexpr std::string_view kExpected = "an object of strings or the text \"k:v,k:v\"";
    labels_.clear();
    if (value == nullptr || value->is_null()) return std::nullopt;
    if (const std::string* text = value->as_string()) {
      const Result<void> split_up = split_labels(*text, ':', labels_);
      if (split_up) return std::nullopt;
      return Refusal{RefusalReason::InvalidLabels, "labels: " + split_up.error().message};
    }
    const Json::Object* members = value->as_object();
    if (members == nullptr) {
      return wrong(RefusalReason::InvalidLabels, "labels", value, kExpected);
    }
    for (const auto& [name, label] : *members) {
      if (label.as_string() == nullptr) {
        return wrong(RefusalReason::InvalidLabels, fmt::format("label {}", name), &label,
                     "a string");
      }
      labels_.emplace_back(name, *label.as_string());
    }
    return std::nullopt;
  }

  std::optional<Refusal> read_time(const Json* value, int64_t& time_ms) const {
    if (value == nullptr || value->is_null()) return std::nullopt;
    if (const int64_t* number = value->as_int()) {
      time_ms = point_time_of(*number);
      return std::nullopt;
    }
    if (value->is_number()) {
      if (const Result<int64_t> time = point_time_of(value->number())) {
        time_ms = *time;
        return std::nullopt;
      }
    }
    return wrong(RefusalReason::InvalidSample, "timestamp", value, "seconds since 1970");
  }

  std::optional<Refusal> read_value(const Json* value, double& sample) const {
    if (value != nullptr && value->is_number()) {
      sample = value->number();
      return std::nullopt;
    }
    // JSON has no NaN and no infinity; senders write them as text.
    if (value != nullptr && value->as_string() != nullptr) {
      if (const Result<double> number = parse_point_value(*value->as_string())) {
        sample = *number;
        return std::nullopt;
      }
    }
    return wrong(RefusalReason::InvalidSample, "value", value, "a number");
  }

  const int64_t received_at_ms_;
  const Limits& limits_;
  storage::WriteBatch& batch_;
  storage::AppendSummary& refused_;
  PointLabels labels_;  // of the point in hand
  std::string bytes_;
  std::map<std::string, model::MetricType> types_;
  size_t point_count_ = 0;
};

}  // namespace

Result<void> decode_json_import(std::string_view body, int64_t received_at_ms, const Limits& limits,
                                storage::WriteBatch& batch, storage::AppendSummary& refused) {
  const size_t series_size = batch.series.size();
  const size_t samples_size = batch.samples.size();
  storage::AppendSummary found;
  Decoder decoder(received_at_ms, limits, batch, found);
  Result<void> result = decoder.body(body);
  if (!result) {
    batch.series.resize(series_size);
    batch.samples.resize(samples_size);
    return result;
  }
  decoder.flush_metadata();
  merge_refusals(found, refused);
  return result;
}

}  // namespace ingest
