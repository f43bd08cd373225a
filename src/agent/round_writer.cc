#include "agent/round_writer.h"

namespace agent {

RoundWriter::RoundWriter(std::vector<std::pair<std::string, std::string>> target_labels)
    : target_labels_(std::move(target_labels)) {}

void RoundWriter::begin(int64_t timestamp_ms, storage::WriteBatch& batch) {
  ENSURE(batch_ == nullptr);
  batch_ = &batch;
  timestamp_ms_ = timestamp_ms;
  ++round_;
  samples_of_round_ = 0;
}

void RoundWriter::add_part(std::string_view family, model::MetricType type, std::string_view help,
                           std::string_view metric, std::span<const LabelPair> labels,
                           double value) {
  ENSURE(batch_ != nullptr);
  key_.assign(metric);
  for (const auto& [name, text] : labels) {
    // 0xff stands in no UTF-8 text.
    key_.append(1, '\xff').append(name).append(1, '\xff').append(text);
  }
  auto at = series_.find(key_);
  if (at == series_.end()) at = add_series(metric, labels);
  Series& series = at->second;
  // The same mount listed twice, say: the first one stays.
  if (series.round == round_) return;
  series.round = round_;
  describe(family, type, help);
  batch_->begin_series(series.labels.bytes());
  batch_->add_sample(timestamp_ms_, value);
  ++samples_of_round_;
}

RoundWriter::SeriesMap::iterator RoundWriter::add_series(std::string_view metric,
                                                         std::span<const LabelPair> labels) {
  std::vector<std::pair<std::string, std::string>> pairs = target_labels_;
  pairs.emplace_back(model::kMetricName, metric);
  for (const auto& [name, text] : labels) pairs.emplace_back(name, text);
  return series_.emplace(key_, Series{model::Labels::of(std::move(pairs)), 0}).first;
}

void RoundWriter::describe(std::string_view metric, model::MetricType type, std::string_view help) {
  const auto at = described_.find(metric);
  if (at != described_.end() && at->second.type == type && at->second.help == help) return;
  described_.insert_or_assign(std::string(metric), Description{type, std::string(help)});
  batch_->metadata.push_back(
      {.metric = std::string(metric), .type = type, .unit = "", .help = std::string(help)});
}

void RoundWriter::end() {
  ENSURE(batch_ != nullptr);
  for (auto at = series_.begin(); at != series_.end();) {
    const auto next = std::next(at);
    if (at->second.round != round_) {
      batch_->begin_series(at->second.labels.bytes());
      batch_->add_sample(timestamp_ms_, model::stale_nan());
      gone_.push_back(series_.extract(at));
    }
    at = next;
  }
  batch_ = nullptr;
}

}  // namespace agent
