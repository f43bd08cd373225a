#include "app/prometheus_import.h"

#include "app/import_journal.h"
#include "app/import_progress.h"
#include "core/clock.h"
#include "core/file_system.h"
#include "core/log.h"
#include "core/rng.h"
#include "core/time.h"
#include "promtsdb/block_source.h"
#include "promtsdb/data_dir.h"
#include "promtsdb/head_source.h"
#include "promtsdb/slot_reader.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"
#include "tsdb/import_series.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

namespace app {
namespace {

using core::ErrorCode;
using core::Result;
using model::TimeRange;

constexpr int64_t kSlotMs = 2LL * 3'600'000;
constexpr int64_t kDayMs = 24LL * 3'600'000;
// A day whose end is not this far back is written in two-hour ranges: late samples may still
// come for it.
constexpr int64_t kOpenForMs = 3'600'000;
constexpr size_t kExemplarsPerBatch = 2'000;

int64_t floor_to(int64_t time_ms, int64_t step_ms) {
  const int64_t rest = time_ms % step_ms;
  return time_ms - (rest < 0 ? rest + step_ms : rest);
}

// How many distinct series there were, by a hash of each.
class SeriesCounter {
 public:
  void add(uint64_t hash) {
    hashes_.push_back(hash);
    if (hashes_.size() >= 2 * distinct_ + 4096) compact();
  }
  uint64_t count() {
    compact();
    return distinct_;
  }

 private:
  void compact() {
    std::ranges::sort(hashes_);
    hashes_.erase(std::ranges::unique(hashes_).begin(), hashes_.end());
    distinct_ = hashes_.size();
  }
  std::vector<uint64_t> hashes_;
  size_t distinct_ = 0;
};

// A range being written: passes on what the reader merges.
class SlotSeries final : public tsdb::ImportSeries {
 public:
  SlotSeries(promtsdb::SlotReader& reader, SeriesCounter& series,
             const std::vector<ImportJournal::Deletion>& deletions, std::function<void()> progress)
      : reader_(reader), series_(series), deletions_(deletions), progress_(std::move(progress)) {}

  std::vector<std::string> take_pair_bytes() override {
    std::vector<std::string> pairs = reader_.take_pair_bytes();
    hashes_.clear();
    for (const std::string& pair : pairs) hashes_.push_back(std::hash<std::string>{}(pair));
    if (!deletions_.empty()) pair_bytes_ = pairs;
    return pairs;
  }
  Result<bool> next(std::vector<uint32_t>& pairs, storage::SeriesBatch& samples) override {
    constexpr uint32_t kProgressEvery = 64;  // series
    if (++count_ % kProgressEvery == 0) progress_();
    if (!TRY(reader_.next(pairs, samples))) return false;
    uint64_t hash = 0;
    for (const uint32_t pair : pairs) hash = (hash ^ hashes_[pair]) * 0x9E3779B97F4A7C15ULL;
    series_.add(hash);
    if (!deletions_.empty()) drop_deleted(pairs, samples);
    return true;
  }
  uint64_t deleted() const { return deleted_; }

 private:
  void drop_deleted(const std::vector<uint32_t>& pairs, storage::SeriesBatch& samples) {
    labels_.clear();
    for (const uint32_t pair : pairs) labels_ += pair_bytes_[pair];
    const size_t before = samples.timestamps_ms.size() + samples.histograms.size();
    for (const ImportJournal::Deletion& one : deletions_) {
      if (!model::matches_all(one.matchers, model::LabelsView(labels_))) continue;
      size_t kept = 0;
      for (size_t i = 0; i < samples.timestamps_ms.size(); ++i) {
        if (one.range.contains(samples.timestamps_ms[i])) continue;
        samples.timestamps_ms[kept] = samples.timestamps_ms[i];
        samples.values[kept++] = samples.values[i];
      }
      samples.timestamps_ms.resize(kept);
      samples.values.resize(kept);
      std::erase_if(samples.histograms,
                    [&](const auto& sample) { return one.range.contains(sample.timestamp_ms); });
    }
    deleted_ += before - samples.timestamps_ms.size() - samples.histograms.size();
  }

  promtsdb::SlotReader& reader_;
  SeriesCounter& series_;
  const std::vector<ImportJournal::Deletion>& deletions_;
  std::vector<std::string> pair_bytes_;
  std::string labels_;
  uint64_t deleted_ = 0;
  std::function<void()> progress_;
  std::vector<uint64_t> hashes_;
  uint32_t count_ = 0;
};

class PrometheusImport {
 public:
  explicit PrometheusImport(const PrometheusImportOptions& options)
      : options_(options), progress_(clock_, options.is_terminal) {}

  Result<PrometheusImportSummary> run();

 private:
  struct Slot {
    TimeRange range;
    std::vector<size_t> blocks;  // indexes into data_.blocks
    bool has_head = false;
    std::string key;
  };

  Result<void> open_engine();
  Result<void> open_source();
  Result<void> scan_head();
  std::string all_key() const;
  std::vector<Slot> plan() const;
  void add_slots(TimeRange range, std::vector<Slot>& slots) const;
  Result<void> import_slot(Slot& slot);
  Result<promtsdb::Source*> open_block(size_t number);
  Result<void> append_rest();
  void warn_of_retention() const;
  void print_plan(const std::vector<Slot>& slots);
  void show() { progress_.update(counts_.bytes, counts_.samples); }
  // What the filter lets through of a source's range.
  TimeRange wanted(TimeRange range) const {
    return {std::max(range.start_ms, options_.filter.range.start_ms),
            std::min(range.end_ms, options_.filter.range.end_ms)};
  }

  const PrometheusImportOptions& options_;
  core::PosixFileSystem files_;
  core::SystemClock clock_;
  core::SystemRng rng_;
  std::unique_ptr<tsdb::EmbeddedLog> log_;
  std::unique_ptr<tsdb::Engine> engine_;
  std::shared_ptr<void> prometheus_lock_;

  promtsdb::DataDir data_;
  promtsdb::ReadCounts counts_;
  std::unique_ptr<promtsdb::HeadSource> head_;
  std::map<size_t, std::unique_ptr<promtsdb::BlockSource>> open_blocks_;
  std::set<size_t> bad_blocks_;
  ImportJournal journal_;
  std::vector<ImportJournal::Deletion> deletions_;  // since this import was begun
  ImportProgress progress_;
  SeriesCounter series_;
  PrometheusImportSummary summary_;
};

Result<void> PrometheusImport::open_engine() {
  std::unique_ptr<core::FileLock> lock =
      TRY(tsdb::lock_data_dir(files_, options_.data_dir)
              .context("stop the server on it first; an import needs the data directory alone"));
  log_ = TRY(tsdb::EmbeddedLog::open({.dir = options_.data_dir + "/log"}, files_, clock_, rng_)
                 .context("open the log"));
  tsdb::EngineOptions engine_options;
  engine_options.data_dir = options_.data_dir;
  engine_options.retention_ms = 0;  // an import deletes nothing
  engine_ = TRY(tsdb::Engine::open(engine_options, {files_, clock_, rng_, *log_}, std::move(lock))
                    .context("open the storage"));
  return {};
}

Result<void> PrometheusImport::open_source() {
  std::error_code error;
  if (std::filesystem::equivalent(options_.source_dir, options_.data_dir, error)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "{} is both Prometheus's data directory and Petrel's; give Petrel another "
                      "one with --storage.tsdb.path",
                      options_.source_dir);
  }
  prometheus_lock_ = TRY(promtsdb::hold_prometheus_lock(options_.source_dir));
  data_ = TRY(promtsdb::find_data(files_, options_.source_dir, summary_.damage));
  summary_.found_blocks = data_.blocks.size();
  if (!data_.has_head) return {};
  promtsdb::HeadOptions head_options;
  head_options.min_valid_ms = data_.head_min_valid_ms;
  head_options.granule_ms = kSlotMs;
  head_options.memory_bytes = options_.sort_memory_bytes;
  head_options.temporary_dir = options_.data_dir + "/import_tmp";
  head_options.on_progress = [this] { show(); };
  head_ = TRY(promtsdb::HeadSource::open(files_, options_.source_dir, std::move(head_options),
                                         options_.filter, summary_.damage, counts_));
  return {};
}

Result<void> PrometheusImport::scan_head() {
  uint64_t total = 0;
  for (const promtsdb::FoundBlock& block : data_.blocks) total += block.chunk_bytes;
  if (head_ != nullptr) total += head_->bytes();
  progress_.begin(total, 0);
  if (head_ == nullptr) return {};
  progress_.set_phase("reading the log");
  return head_->scan();
}

std::string PrometheusImport::all_key() const {
  std::string key =
      fmt::format("all tenant {} filter {} blocks", options_.tenant, options_.filter_text);
  for (const promtsdb::FoundBlock& block : data_.blocks) key += " " + block.meta.ulid;
  return head_ == nullptr ? key : key + " " + head_->fingerprint();
}

void PrometheusImport::add_slots(TimeRange range, std::vector<Slot>& slots) const {
  Slot slot;
  slot.range = range;
  slot.key = fmt::format("range {} {} tenant {} filter {} from", range.start_ms, range.end_ms,
                         options_.tenant, options_.filter_text);
  const TimeRange asked = wanted(range);
  for (size_t i = 0; i < data_.blocks.size(); ++i) {
    TimeRange block = data_.blocks[i].meta.range;
    block.end_ms = std::max(block.end_ms, block.start_ms + 1);
    if (!block.overlaps(asked)) continue;
    slot.blocks.push_back(i);
    slot.key += " " + data_.blocks[i].meta.ulid;
  }
  slot.has_head =
      head_ != nullptr && !head_->time_range().empty() && head_->time_range().overlaps(asked);
  if (slot.has_head) slot.key += " " + head_->fingerprint();
  if (slot.has_head || !slot.blocks.empty()) slots.push_back(std::move(slot));
}

std::vector<PrometheusImport::Slot> PrometheusImport::plan() const {
  std::vector<TimeRange> ranges;
  for (const promtsdb::FoundBlock& block : data_.blocks) {
    const TimeRange range = block.meta.range;
    ranges.push_back(wanted({range.start_ms, std::max(range.end_ms, range.start_ms + 1)}));
  }
  if (head_ != nullptr) ranges.push_back(wanted(head_->time_range()));
  std::set<int64_t> days;
  int64_t newest_ms = INT64_MIN;
  for (const TimeRange& range : ranges) {
    if (range.empty()) continue;
    newest_ms = std::max(newest_ms, range.end_ms);
    for (int64_t day = floor_to(range.start_ms, kDayMs); day < range.end_ms; day += kDayMs) {
      days.insert(day);
    }
  }
  std::vector<Slot> slots;
  for (const int64_t day : days) {
    if (day + kDayMs + kOpenForMs <= newest_ms) {
      add_slots({day, day + kDayMs}, slots);
      continue;
    }
    for (int64_t start = day; start < day + kDayMs; start += kSlotMs) {
      add_slots({start, start + kSlotMs}, slots);
    }
  }
  return slots;
}

// Null when it cannot be read; that has been noted.
Result<promtsdb::Source*> PrometheusImport::open_block(size_t number) {
  if (bad_blocks_.contains(number)) return nullptr;
  std::unique_ptr<promtsdb::BlockSource>& source = open_blocks_[number];
  if (source == nullptr) {
    const promtsdb::FoundBlock& block = data_.blocks[number];
    Result<std::unique_ptr<promtsdb::BlockSource>> opened = promtsdb::BlockSource::open(
        files_, block.dir, block.meta, options_.filter, summary_.damage, counts_);
    if (!opened) {
      open_blocks_.erase(number);
      if (opened.error().code == ErrorCode::Io) return tl::unexpected(opened.error());
      summary_.damage.note(summary_.damage.files, opened.error().message);
      bad_blocks_.insert(number);
      progress_.skip(block.chunk_bytes);
      return nullptr;
    }
    source = std::move(*opened);
  }
  return source.get();
}

Result<void> PrometheusImport::import_slot(Slot& slot) {
  const uint64_t bytes_before = counts_.bytes;
  const uint64_t damage_before = summary_.damage.total();
  progress_.set_phase(core::format_rfc3339(slot.range.start_ms));
  // Blocks that end before this range are not asked again.
  std::erase_if(open_blocks_, [&](const auto& one) {
    return data_.blocks[one.first].meta.range.end_ms < slot.range.start_ms;
  });
  std::vector<promtsdb::Source*> sources;
  bool is_whole = true;
  for (const size_t number : slot.blocks) {
    promtsdb::Source* const source = TRY(open_block(number));
    is_whole = is_whole && source != nullptr;
    if (source != nullptr) sources.push_back(source);
  }
  if (slot.has_head) sources.push_back(head_.get());
  promtsdb::SlotReader reader =
      TRY(promtsdb::SlotReader::open(std::move(sources), wanted(slot.range)));
  SlotSeries series(reader, series_, deletions_, [this] { show(); });
  const tsdb::ImportedBlock block = TRY(engine_->import_block(options_.tenant, slot.range, series));
  summary_.blocks += block.number != 0 ? 1 : 0;
  summary_.samples += block.samples;
  summary_.histograms += block.histograms;
  summary_.bytes_written += block.size_bytes;
  summary_.same += block.same;
  summary_.conflicting += block.conflicting;
  summary_.repeated += reader.repeated();
  summary_.deleted += series.deleted();
  // What was damaged may be whole the next time: then the range is looked at again.
  if (!is_whole || summary_.damage.total() != damage_before) return {};
  return journal_.add(files_, slot.key,
                      {.bytes = counts_.bytes - bytes_before, .samples = block.samples});
}

// Exemplars and metadata go through the log, as when they are scraped.
Result<void> PrometheusImport::append_rest() {
  if (head_ == nullptr) return {};
  storage::WriteBatch batch;
  batch.tenant = options_.tenant;
  batch.metadata = head_->metadata();
  summary_.metadata = batch.metadata.size();
  const auto append = [&]() -> Result<void> {
    if (!batch.empty()) TRY(engine_->append(batch));
    batch.clear();
    batch.tenant = options_.tenant;
    return {};
  };
  TRY(append());
  for (const auto& [labels, exemplar] : head_->exemplars()) {
    if (!options_.filter.range.contains(exemplar.timestamp_ms)) continue;
    batch.begin_series(labels);
    batch.add_exemplar(exemplar);
    ++summary_.exemplars;
    if (batch.series.size() >= kExemplarsPerBatch) TRY(append());
  }
  return append();
}

void PrometheusImport::warn_of_retention() const {
  if (options_.retention_ms == 0) return;
  int64_t oldest_ms = INT64_MAX;
  int64_t newest_ms = INT64_MIN;
  const auto see = [&](TimeRange range) {
    range = wanted(range);
    if (range.empty()) return;
    oldest_ms = std::min(oldest_ms, range.start_ms);
    newest_ms = std::max(newest_ms, range.end_ms);
  };
  for (const promtsdb::FoundBlock& block : data_.blocks) see(block.meta.range);
  if (head_ != nullptr) see(head_->time_range());
  if (oldest_ms >= newest_ms || oldest_ms >= newest_ms - options_.retention_ms) return;
  std::fprintf(stderr,
               "warning: the data begin at %s, which is older than the retention of %s: a server "
               "with --storage.tsdb.retention.time=%s deletes what is older\n",
               core::format_rfc3339(oldest_ms).c_str(),
               core::format_duration(options_.retention_ms).c_str(),
               core::format_duration(options_.retention_ms).c_str());
}

void PrometheusImport::print_plan(const std::vector<Slot>& slots) {
  std::printf("Prometheus blocks:\n");
  for (const promtsdb::FoundBlock& block : data_.blocks) {
    const promtsdb::BlockMeta& meta = block.meta;
    std::printf(
        "  %s  %s to %s  %llu series  %llu samples  %s%s\n", meta.ulid.c_str(),
        core::format_rfc3339(meta.range.start_ms).c_str(),
        core::format_rfc3339(meta.range.end_ms).c_str(),
        static_cast<unsigned long long>(meta.series), static_cast<unsigned long long>(meta.samples),
        format_bytes(block.chunk_bytes).c_str(), meta.out_of_order ? "  (late samples)" : "");
  }
  if (head_ != nullptr && !head_->time_range().empty()) {
    std::printf("Head (log and chunks): %s to %s  %llu series  %s\n",
                core::format_rfc3339(head_->time_range().start_ms).c_str(),
                core::format_rfc3339(head_->time_range().end_ms - 1).c_str(),
                static_cast<unsigned long long>(head_->series_count()),
                format_bytes(head_->bytes()).c_str());
  }
  std::printf("Blocks to write:\n");
  for (const Slot& slot : slots) {
    ++summary_.ranges;
    const bool is_done = journal_.find(slot.key) != nullptr;
    summary_.ranges_done_before += is_done ? 1 : 0;
    std::printf("  %s to %s  from %zu blocks%s%s\n",
                core::format_rfc3339(slot.range.start_ms).c_str(),
                core::format_rfc3339(slot.range.end_ms).c_str(), slot.blocks.size(),
                slot.has_head ? " and the head" : "", is_done ? "  (imported already)" : "");
  }
}

Result<PrometheusImportSummary> PrometheusImport::run() {
  const int64_t started_ns = clock_.monotonic_ns();
  TRY(open_source());
  journal_ = TRY(ImportJournal::load(files_, options_.data_dir));
  if (!options_.is_dry_run) {
    TRY(open_engine());
    (void)files_.remove_all(options_.data_dir + "/import_tmp");  // of a run that was killed
  }
  summary_.is_complete_before = journal_.find(all_key()) != nullptr;
  if (summary_.is_complete_before && !options_.is_dry_run) return summary_;

  if (!options_.is_dry_run) {
    TRY(journal_.begin(files_, all_key()));
    deletions_ = journal_.deletions(all_key(), options_.tenant);
  }
  TRY(scan_head());
  warn_of_retention();
  std::vector<Slot> slots = plan();
  if (options_.is_dry_run) {
    print_plan(slots);
    return summary_;
  }
  TimeRange head_range{INT64_MAX, INT64_MIN};
  for (const Slot& slot : slots) {
    if (!slot.has_head || journal_.find(slot.key) != nullptr) continue;
    const TimeRange range = wanted(slot.range);
    head_range = {std::min(head_range.start_ms, range.start_ms),
                  std::max(head_range.end_ms, range.end_ms)};
  }
  if (head_range.start_ms < head_range.end_ms) {
    progress_.set_phase("sorting the log");
    TRY(head_->load(head_range));
  }
  for (Slot& slot : slots) {
    ++summary_.ranges;
    if (const ImportJournal::Entry* done = journal_.find(slot.key)) {
      ++summary_.ranges_done_before;
      progress_.skip(done->bytes);
      continue;
    }
    TRY(import_slot(slot).context("{} to {}", core::format_rfc3339(slot.range.start_ms),
                                  core::format_rfc3339(slot.range.end_ms)));
  }
  TRY(append_rest());
  if (summary_.damage.total() == 0) TRY(journal_.complete(files_, all_key()));
  progress_.finish();
  summary_.series = series_.count();
  summary_.bytes_read = counts_.bytes;
  summary_.seconds = static_cast<double>(clock_.monotonic_ns() - started_ns) / 1e9;
  return summary_;
}

}  // namespace

Result<PrometheusImportSummary> import_prometheus(const PrometheusImportOptions& options) {
  return PrometheusImport(options).run();
}

}  // namespace app
