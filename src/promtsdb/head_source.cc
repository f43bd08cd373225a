#include "promtsdb/head_source.h"

#include "promtsdb/chunk.h"

#include <algorithm>

namespace promtsdb {

using core::Result;
using model::TimeRange;

namespace {

constexpr std::string_view kCheckpointPrefix = "checkpoint.";
constexpr uint32_t kNoSeries = UINT32_MAX;
// As many as Prometheus keeps by default; the newest count.
constexpr size_t kExemplarsMax = 100'000;

}  // namespace

Result<void> HeadSource::open_logs(const std::string& dir) {
  const std::string wal = dir + "/wal";
  uint64_t first_segment = 0;
  int64_t checkpoint = -1;
  if (files_.exists(wal)) {
    for (const std::string& name : TRY(files_.list(wal))) {
      if (!name.starts_with(kCheckpointPrefix)) continue;
      checkpoint = std::max(checkpoint, segment_number(name.substr(kCheckpointPrefix.size())));
    }
    if (checkpoint >= 0) {
      logs_.push_back({fmt::format("{}/{}{:08}", wal, kCheckpointPrefix, checkpoint), 0, false});
      first_segment = static_cast<uint64_t>(checkpoint) + 1;
    }
    logs_.push_back({wal, first_segment, false});
  }
  if (files_.exists(dir + "/wbl")) logs_.push_back({dir + "/wbl", 0, true});
  chunk_files_ = TRY(HeadChunkFiles::open(files_, dir + "/chunks_head"));
  bytes_ = chunk_files_->bytes();
  fingerprint_ = fmt::format("head checkpoint {} chunks {}", checkpoint, bytes_);
  for (const LogFolder& one : logs_) {
    const LogReader reader = TRY(LogReader::open(files_, one.dir, one.first_segment));
    bytes_ += 2 * reader.bytes();
    fingerprint_ += fmt::format(" log {} from {}", reader.bytes(), one.first_segment);
  }
  return {};
}

Result<void> HeadSource::walk(const std::function<Result<void>(LogRecord&, bool is_late)>& visit,
                              Damage* damage) {
  constexpr uint64_t kProgressEvery = 512;  // records
  LogRecord record;
  record_ = 0;
  for (const LogFolder& one : logs_) {
    LogReader reader = TRY(LogReader::open(files_, one.dir, one.first_segment));
    std::string_view bytes;
    uint64_t counted = 0;
    while (TRY(reader.next(bytes, damage))) {
      ++record_;
      if (const Result<void> parsed = parse_log_record(bytes, record); !parsed) {
        if (damage != nullptr) {
          damage->note(damage->records,
                       fmt::format("{}: {}", reader.where(), parsed.error().message));
        }
        continue;
      }
      TRY(visit(record, one.is_late));
      if (record_ % kProgressEvery != 0) continue;
      counts_.bytes += reader.bytes_read() - counted;
      counted = reader.bytes_read();
      if (options_.on_progress) options_.on_progress();
    }
    counts_.bytes += reader.bytes_read() - counted;
  }
  return {};
}

uint32_t HeadSource::id_of(uint64_t ref) const {
  const auto found = ids_.find(ref);
  return found == ids_.end() ? kNoSeries : found->second;
}

void HeadSource::extend(int64_t time_ms) {
  time_range_.start_ms = std::min(time_range_.start_ms, time_ms);
  time_range_.end_ms = std::max(time_range_.end_ms, time_ms == INT64_MAX ? time_ms : time_ms + 1);
}

// What the first walk takes from a record.
void HeadSource::note(LogRecord& record, bool is_late) {
  for (LogSeries& one : record.series) {
    if (one.labels.empty()) continue;
    const auto [found, is_new] =
        ids_by_labels_.try_emplace(one.labels, static_cast<uint32_t>(series_.size()));
    if (is_new) series_.push_back({.labels = std::move(one.labels)});
    ids_[one.ref] = found->second;
  }
  const auto seen = [&](uint64_t ref, int64_t time_ms) {
    if (!is_late && time_ms < options_.min_valid_ms) return;
    if (id_of(ref) == kNoSeries) {
      ++damage_.samples_without_series;
      return;
    }
    extend(time_ms);
  };
  for (const LogSample& one : record.samples) seen(one.ref, one.sample.timestamp_ms);
  for (const LogHistogram& one : record.histograms) seen(one.ref, one.sample.timestamp_ms);
  for (const LogTombstone& one : record.tombstones) {
    const uint32_t id = id_of(one.ref);
    if (id == kNoSeries) continue;
    // All of time: the series has left the head, it was not deleted.
    const bool is_all = one.interval.min_ms == INT64_MIN && one.interval.max_ms == INT64_MAX;
    deletions_[id].push_back({one.interval, is_all ? record_ : UINT64_MAX});
  }
  note_exemplars(record);
  note_metadata(record);
}

void HeadSource::note_exemplars(LogRecord& record) {
  for (LogExemplar& one : record.exemplars) {
    const uint32_t id = id_of(one.ref);
    if (id == kNoSeries || one.exemplar.timestamp_ms < options_.min_valid_ms) continue;
    one.ref = id;
    exemplars_.push_back(std::move(one));
  }
  if (exemplars_.size() < 2 * kExemplarsMax) return;
  exemplars_.erase(exemplars_.begin(), exemplars_.end() - kExemplarsMax);
}

void HeadSource::note_metadata(LogRecord& record) {
  for (LogMetadata& one : record.metadata) {
    const uint32_t id = id_of(one.ref);
    if (id == kNoSeries) continue;
    std::string metric(model::LabelsView(series_[id].labels).metric_name());
    if (metric.empty()) continue;
    metadata_[metric] = {metric, one.type, std::move(one.unit), std::move(one.help)};
  }
}

Result<std::unique_ptr<HeadSource>> HeadSource::open(core::FileSystem& files,
                                                     const std::string& dir, HeadOptions options,
                                                     const Filter& filter, Damage& damage,
                                                     ReadCounts& counts) {
  std::unique_ptr<HeadSource> head(
      new HeadSource(files, std::move(options), filter, damage, counts));
  TRY(head->open_logs(dir));
  return head;
}

Result<void> HeadSource::scan() {
  TRY(walk(
      [&](LogRecord& record, bool is_late) -> Result<void> {
        note(record, is_late);
        return {};
      },
      &damage_));
  sort_series();
  TRY(find_chunks());
  if (time_range_.start_ms > time_range_.end_ms) time_range_ = {};
  return {};
}

void HeadSource::sort_series() {
  ids_by_labels_.clear();
  for (uint32_t id = 0; id < series_.size(); ++id) {
    if (filter_.wants(model::LabelsView(series_[id].labels))) sorted_.push_back(id);
  }
  std::ranges::sort(sorted_, [&](uint32_t a, uint32_t b) {
    return model::compare(model::LabelsView(series_[a].labels),
                          model::LabelsView(series_[b].labels)) < 0;
  });
  std::unordered_map<std::string, uint32_t> numbers;
  std::string key;
  for (uint32_t place = 0; place < sorted_.size(); ++place) {
    Series& one = series_[sorted_[place]];
    one.place = place;
    for (const model::Label& label : model::LabelsView(one.labels)) {
      key.assign(label.name).push_back('\0');
      key.append(label.value);
      const auto [found, is_new] =
          numbers.try_emplace(key, static_cast<uint32_t>(own_pairs_.size()));
      if (is_new) own_pairs_.push_back({label.name, label.value, found->second});
      series_pairs_.push_back(found->second);
    }
    series_pairs_ends_.push_back(series_pairs_.size());
  }
}

Result<void> HeadSource::find_chunks() {
  const auto found = [&](const HeadChunk& chunk, HeadChunkFiles::Place at) {
    const bool is_late = (chunk.encoding & kChunkOutOfOrder) != 0;
    const uint32_t id = id_of(chunk.series_ref);
    if (id == kNoSeries || (!is_late && chunk.max_ms < options_.min_valid_ms)) return;
    const uint32_t place = series_[id].place;
    if (place == UINT32_MAX) return;
    chunks_.push_back({place, chunk.encoding, chunk.min_ms, chunk.max_ms, at});
    extend(is_late ? chunk.min_ms : std::max(chunk.min_ms, options_.min_valid_ms));
    extend(chunk.max_ms);
  };
  TRY(chunk_files_->visit(found, damage_));
  std::ranges::stable_sort(chunks_, {}, &Chunk::place);
  return {};
}

bool HeadSource::deleted(uint32_t id, int64_t time_ms, uint64_t record) const {
  const auto found = deletions_.find(id);
  if (found == deletions_.end()) return false;
  return std::ranges::any_of(found->second, [&](const Deletion& one) {
    return record < one.records_before && one.interval.min_ms <= time_ms &&
           time_ms <= one.interval.max_ms;
  });
}

// What the second walk takes from a record. In the log of samples that came in order, one
// that did not was refused when it came: Prometheus logs before it judges.
Result<void> HeadSource::sort_samples(LogRecord& record, bool is_late, TimeRange range) {
  const auto place_of = [&](uint64_t ref, int64_t time_ms) -> uint32_t {
    if (!is_late && time_ms < options_.min_valid_ms) return UINT32_MAX;
    const uint32_t id = id_of(ref);
    if (id == kNoSeries || series_[id].place == UINT32_MAX) return UINT32_MAX;
    if (!is_late) {
      if (time_ms <= series_[id].newest_ms) return UINT32_MAX;
      series_[id].newest_ms = time_ms;
    }
    if (!range.contains(time_ms)) return UINT32_MAX;
    if (!deletions_.empty() && deleted(id, time_ms, record_)) return UINT32_MAX;
    return series_[id].place;
  };
  for (const LogSample& one : record.samples) {
    const uint32_t place = place_of(one.ref, one.sample.timestamp_ms);
    if (place != UINT32_MAX) TRY(spill_->add(place, one.sample));
  }
  for (LogHistogram& one : record.histograms) {
    const uint32_t place = place_of(one.ref, one.sample.timestamp_ms);
    if (place != UINT32_MAX) TRY(spill_->add(place, std::move(one.sample)));
  }
  return {};
}

Result<void> HeadSource::load(TimeRange range) {
  spill_ = std::make_unique<Spill>(files_, options_.temporary_dir, options_.granule_ms,
                                   options_.memory_bytes);
  TRY(walk([&](LogRecord& record,
               bool is_late) -> Result<void> { return sort_samples(record, is_late, range); },
           nullptr));
  return spill_->finish();
}

std::vector<HeadSource::SeriesExemplar> HeadSource::exemplars() const {
  std::vector<SeriesExemplar> all;
  const size_t begin = exemplars_.size() - std::min(exemplars_.size(), kExemplarsMax);
  for (size_t i = begin; i < exemplars_.size(); ++i) {
    const Series& series = series_[exemplars_[i].ref];
    if (series.place != UINT32_MAX) all.push_back({series.labels, exemplars_[i].exemplar});
  }
  return all;
}

std::vector<model::Metadata> HeadSource::metadata() const {
  std::vector<model::Metadata> all;
  for (const auto& [metric, one] : metadata_) all.push_back(one);
  return all;
}

bool HeadSource::has_samples(uint32_t place) const {
  const int64_t first = spill_->granule_of(range_.start_ms);
  const int64_t last = spill_->granule_of(range_.end_ms - 1);
  for (auto it = spill_->present().lower_bound(first);
       it != spill_->present().end() && it->first <= last; ++it) {
    if (place < it->second.size() && it->second[place]) return true;
  }
  const auto chunks = std::ranges::equal_range(chunks_, place, {}, &Chunk::place);
  return std::ranges::any_of(chunks, [&](const Chunk& one) {
    return one.min_ms < range_.end_ms && one.max_ms >= range_.start_ms;
  });
}

Result<void> HeadSource::begin(TimeRange range) {
  range_ = range;
  reader_ = TRY(SpillReader::open(*spill_, range));
  next_place_ = 0;
  return {};
}

std::vector<UsedPair> HeadSource::used_pairs() const {
  std::vector<bool> used(own_pairs_.size());
  for (uint32_t place = 0; place < sorted_.size(); ++place) {
    if (!has_samples(place)) continue;
    const uint64_t begin = place == 0 ? 0 : series_pairs_ends_[place - 1];
    for (uint64_t i = begin; i < series_pairs_ends_[place]; ++i) used[series_pairs_[i]] = true;
  }
  std::vector<UsedPair> pairs;
  for (const UsedPair& pair : own_pairs_) {
    if (used[pair.own]) pairs.push_back(pair);
  }
  return pairs;
}

Result<bool> HeadSource::advance() {
  while (next_place_ < sorted_.size() && !has_samples(next_place_)) ++next_place_;
  if (next_place_ >= sorted_.size()) return false;
  place_ = next_place_++;
  current_pairs_.clear();
  const uint64_t begin = place_ == 0 ? 0 : series_pairs_ends_[place_ - 1];
  for (uint64_t i = begin; i < series_pairs_ends_[place_]; ++i) {
    current_pairs_.push_back(ranks_[series_pairs_[i]]);
  }
  return true;
}

Result<void> HeadSource::read(storage::SeriesBatch& batch) {
  const size_t before = batch.timestamps_ms.size() + batch.histograms.size();
  storage::SeriesBatch chunk_samples;
  const uint32_t id = sorted_[place_];
  for (const Chunk& one : std::ranges::equal_range(chunks_, place_, {}, &Chunk::place)) {
    if (one.min_ms >= range_.end_ms || one.max_ms < range_.start_ms) continue;
    TimeRange range = range_;
    const bool is_late = (one.encoding & kChunkOutOfOrder) != 0;
    if (!is_late) range.start_ms = std::max(range.start_ms, options_.min_valid_ms);
    const std::string data = TRY(chunk_files_->read(one.at));
    if (one.min_ms >= range_.start_ms) counts_.bytes += data.size();
    chunk_samples.clear();
    if (const Result<void> read = append_chunk(one.encoding, data, range, chunk_samples); !read) {
      damage_.note(damage_.chunks, fmt::format("chunks_head: series {}, offset {}: {}",
                                               model::LabelsView(series_[id].labels).to_string(),
                                               one.at.offset, read.error().message));
    }
    for (size_t i = 0; i < chunk_samples.timestamps_ms.size(); ++i) {
      if (deleted(id, chunk_samples.timestamps_ms[i], UINT64_MAX - 1)) continue;
      batch.timestamps_ms.push_back(chunk_samples.timestamps_ms[i]);
      batch.values.push_back(chunk_samples.values[i]);
    }
    for (model::HistogramSample& sample : chunk_samples.histograms) {
      if (deleted(id, sample.timestamp_ms, UINT64_MAX - 1)) continue;
      batch.histograms.push_back(std::move(sample));
    }
  }
  if (reader_->series() == place_) TRY(reader_->read(batch));
  counts_.samples += batch.timestamps_ms.size() + batch.histograms.size() - before;
  return {};
}

}  // namespace promtsdb
