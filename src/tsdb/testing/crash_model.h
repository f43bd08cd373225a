// What a storage engine may answer after everything that was done to it.
//
// Each sample (series, time) has the values that were sent for it, in the order of sending,
// and what became of each: acknowledged, or nobody knows. The first one in the log wins, so
// what may be read is the first acknowledged value or one of unknown fate before it; and
// something has to be read when any was acknowledged. settle() ends the doubts: what is
// found after a start on a sound disk is durable.

#pragma once

#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/sample.h"
#include "model/time_range.h"
#include "storage/series_source.h"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace tsdb::testing {

inline constexpr model::TimeRange kAllTime{-(int64_t{1} << 60), int64_t{1} << 60};

enum class SampleKind : uint8_t { Float, Histogram };

// A value as 64 bits: those of a float, or a hash of a histogram.
uint64_t bits_of(double value);
uint64_t bits_of(const model::Histogram& histogram);

// The fate of one thing that was sent.
struct Version {
  uint64_t bits = 0;
  bool acknowledged = false;
};

struct ModelSample {
  std::vector<Version> versions;  // in the order of sending
  uint64_t changed = 0;           // when, in steps of the model

  bool has_acknowledged() const;
  // `any`: also values that came after an acknowledged one.
  bool allows(uint64_t bits, bool any) const;
};

struct ModelExemplar {
  model::Exemplar exemplar;
  bool acknowledged = false;
};

struct ModelSeries {
  std::string tenant;
  model::Labels labels;
  std::map<int64_t, ModelSample> samples[2];    // by kind
  std::map<uint64_t, ModelExemplar> exemplars;  // by their number
};

// What one read gave, in an order to compare.
struct Reading {
  struct Series {
    model::Labels labels;
    std::vector<std::pair<int64_t, uint64_t>> samples[2];  // time and bits, by kind
  };
  std::vector<Series> series;
  std::vector<std::string> warnings;
  std::optional<std::string> error;
};
// Reads to the end.
Reading read_all(storage::SeriesSet& set);

class CrashModel {
 public:
  struct Retention {
    int64_t time_ms = 0;  // 0: for ever
  };
  struct Query {
    std::string tenant;
    model::Matchers matchers;
    model::TimeRange range = kAllTime;
  };
  // A sample that a read has to contain, if it is still there when the read ends.
  struct Expected {
    uint32_t series = 0;
    SampleKind kind = SampleKind::Float;
    int64_t time_ms = 0;
  };
  // A moment of the model, for reads that take long and for copies.
  using Moment = std::vector<ModelSeries>;

  void set_retention(Retention retention) { retention_ = retention; }

  uint32_t series_of(const std::string& tenant, const model::Labels& labels);
  const std::vector<ModelSeries>& series() const { return series_; }

  // A value goes out; it is of unknown fate until one of the next two is called.
  void send(uint32_t series, SampleKind kind, int64_t time_ms, uint64_t bits);
  void acknowledge(uint32_t series, SampleKind kind, int64_t time_ms, uint64_t bits);
  void refuse(uint32_t series, SampleKind kind, int64_t time_ms, uint64_t bits);
  // Of a request that failed: such a sample may become the newest one.
  void may_have_stored(const std::string& tenant, int64_t time_ms);
  bool was_sent(uint32_t series, SampleKind kind, int64_t time_ms) const;
  std::optional<int64_t> newest_ms(const std::string& tenant) const;

  void send_exemplar(uint32_t series, uint64_t number, const model::Exemplar& exemplar);
  void acknowledge_exemplar(uint32_t series, uint64_t number);
  void send_metadata(const std::string& tenant, const model::Metadata& metadata);
  void acknowledge_metadata(const std::string& tenant, const model::Metadata& metadata);

  // `certain`: it was acknowledged; otherwise all of it happened, or nothing.
  void erase(const std::string& tenant, const std::vector<model::Matchers>& selectors,
             model::TimeRange range, bool certain);

  // What samples from that time on may count as late samples once they were appended to the log
  // again, for which their order may change.
  uint64_t carried_weight(const std::string& tenant, int64_t from_ms) const;
  // Retention by size took blocks of that range.
  void may_be_gone(const std::string& tenant, model::TimeRange range);
  // `reading`: of everything of the tenant, on a sound disk. What retention took and it does not
  // show stays away.
  void forget_gone(const std::string& tenant, const Reading& reading);

  Moment moment() const { return series_; }

  // The first broken promise. With warnings or an error what is there has to be right,
  // but something may be missing: the caller judges whether it may warn. `opened`: what was
  // to be read when the read began.
  std::optional<std::string> check(const Query& query, const Reading& reading,
                                   const Moment* opened = nullptr) const;
  // The same for a copy of that moment, which does not change.
  std::optional<std::string> check_copy(const Moment& moment, const Query& query,
                                        const Reading& reading) const;
  std::optional<std::string> check_exemplars(
      const std::string& tenant, const std::vector<storage::ExemplarSeries>& found) const;
  std::optional<std::string> check_metadata(const std::string& tenant,
                                            const std::vector<model::Metadata>& found) const;
  // Series that have to be among the answers of a labels request.
  std::vector<const ModelSeries*> expected_series(const Query& query) const;

  // `reading` of everything of the tenant is what holds from now on. The first deletion
  // that happened in part.
  std::optional<std::string> settle(const std::string& tenant, const Reading& reading);
  void settle_exemplars(const std::string& tenant,
                        const std::vector<storage::ExemplarSeries>& found);
  void settle_metadata(const std::string& tenant, const std::vector<model::Metadata>& found);

  uint64_t acknowledged_count() const { return acknowledged_; }

 private:
  struct UncertainErase {
    std::string tenant;
    std::vector<std::pair<Expected, uint64_t>> samples;  // and when they had changed
  };
  using MetadataKey = std::pair<std::string, std::string>;  // tenant, metric
  struct MetadataVersion {
    model::Metadata metadata;
    bool acknowledged = false;
  };

  ModelSample* find(uint32_t series, SampleKind kind, int64_t time_ms);
  bool is_past_retention(const std::string& tenant, int64_t time_ms) const;
  // `now` and `then`: what may be read is what either allows; what has to be read is what
  // both demand. Null: only the other one counts.
  std::optional<std::string> compare(const Moment& now, const Moment* then, const Query& query,
                                     const Reading& reading) const;

  Retention retention_;
  std::vector<ModelSeries> series_;
  std::unordered_map<std::string, uint32_t> by_labels_;  // tenant, 0 byte, labels
  std::map<std::string, int64_t> newest_ms_;             // by tenant
  std::map<MetadataKey, std::vector<MetadataVersion>> metadata_;
  std::vector<UncertainErase> uncertain_;
  // What retention took: the head and reads that are held open may know it for a while.
  std::set<std::tuple<uint32_t, size_t, int64_t>> gone_;
  uint64_t step_ = 0;
  uint64_t acknowledged_ = 0;
};

}  // namespace tsdb::testing
