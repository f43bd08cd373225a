// Turns what collectors add in a round into a WriteBatch. The label bytes of a series are
// built once and reused in every later round; a series that one round had and the next
// has not gets a stale marker.

#pragma once

#include "agent/collector.h"
#include "storage/write_batch.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace agent {

// Confined to the round that runs.
class RoundWriter final : public Output {
 public:
  // `target_labels` (job, instance) are added to every series.
  explicit RoundWriter(std::vector<std::pair<std::string, std::string>> target_labels);

  // Between begin() and end(), what is added goes to `batch`, which borrows from this
  // writer until forget_gone_series().
  void begin(int64_t timestamp_ms, storage::WriteBatch& batch);
  using Output::add;
  void add(std::string_view metric, model::MetricType type, std::string_view help,
           std::span<const LabelPair> labels, double value) override {
    add_part(metric, type, help, metric, labels, value);
  }
  void add_part(std::string_view family, model::MetricType type, std::string_view help,
                std::string_view metric, std::span<const LabelPair> labels, double value) override;
  // Adds the stale markers.
  void end();

  uint64_t samples_of_round() const { return samples_of_round_; }
  // A batch was lost: the metadata of all series goes into the next one again.
  void repeat_metadata() { described_.clear(); }
  // Frees the label bytes of series that are gone, when no batch borrows them any more.
  void forget_gone_series() { gone_.clear(); }

 private:
  struct Series {
    model::Labels labels;
    uint64_t round = 0;  // in which it was added last
  };
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };
  using SeriesMap = std::unordered_map<std::string, Series, Hash, std::equal_to<>>;

  SeriesMap::iterator add_series(std::string_view metric, std::span<const LabelPair> labels);
  void describe(std::string_view metric, model::MetricType type, std::string_view help);

  const std::vector<std::pair<std::string, std::string>> target_labels_;
  SeriesMap series_;  // by metric, label names and values
  std::vector<SeriesMap::node_type> gone_;
  // Metadata sent so far.
  struct Description {
    model::MetricType type;
    std::string help;
  };
  std::unordered_map<std::string, Description, Hash, std::equal_to<>> described_;
  std::string key_;
  storage::WriteBatch* batch_ = nullptr;
  int64_t timestamp_ms_ = 0;
  uint64_t round_ = 0;
  uint64_t samples_of_round_ = 0;
};

}  // namespace agent
