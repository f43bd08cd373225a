#include "promtsdb/spill.h"

#include "core/bytes.h"
#include "core/log.h"
#include "core/varint.h"

#include <algorithm>

namespace promtsdb {

using core::ErrorCode;
using core::Result;
using model::Histogram;
using model::HistogramSample;

namespace {

constexpr size_t kBufferSize = 1U << 20U;
constexpr size_t kReadSize = 256U << 10U;
// series, floats, bytes of histograms
constexpr size_t kGroupHeaderSize = 12;

void append_doubles(std::string& out, const std::vector<double>& values) {
  core::append_varint(out, values.size());
  for (const double value : values) core::append_le(out, value);
}

void append_spans(std::string& out, const std::vector<model::BucketSpan>& spans) {
  core::append_varint(out, spans.size());
  for (const model::BucketSpan& span : spans) {
    core::append_zigzag(out, span.offset);
    core::append_varint(out, span.length);
  }
}

void append_histogram(std::string& out, const HistogramSample& sample) {
  const Histogram& histogram = sample.histogram;
  core::append_le(out, sample.timestamp_ms);
  core::append_le(out, histogram.schema);
  out.push_back(static_cast<char>(histogram.reset_hint));
  out.push_back(static_cast<char>(histogram.integer_counts));
  for (const double value :
       {histogram.zero_threshold, histogram.zero_count, histogram.count, histogram.sum}) {
    core::append_le(out, value);
  }
  append_spans(out, histogram.positive_spans);
  append_spans(out, histogram.negative_spans);
  append_doubles(out, histogram.positive_counts);
  append_doubles(out, histogram.negative_counts);
  append_doubles(out, histogram.custom_bounds);
}

template <typename T>
bool take(std::string_view& bytes, T& value) {
  if (bytes.size() < sizeof(T)) return false;
  value = core::load_le<T>(bytes);
  bytes.remove_prefix(sizeof(T));
  return true;
}

bool take_doubles(std::string_view& bytes, std::vector<double>& values) {
  uint64_t count = 0;
  if (!core::take_varint(bytes, count) || count > bytes.size()) return false;
  values.resize(count);
  return std::ranges::all_of(values, [&](double& value) { return take(bytes, value); });
}

bool take_spans(std::string_view& bytes, std::vector<model::BucketSpan>& spans) {
  uint64_t count = 0;
  if (!core::take_varint(bytes, count) || count > bytes.size()) return false;
  for (uint64_t i = 0; i < count; ++i) {
    int64_t offset = 0;
    uint64_t length = 0;
    if (!core::take_zigzag(bytes, offset) || !core::take_varint(bytes, length)) return false;
    spans.push_back({static_cast<int32_t>(offset), static_cast<uint32_t>(length)});
  }
  return true;
}

bool take_histogram(std::string_view& bytes, HistogramSample& sample) {
  Histogram& histogram = sample.histogram;
  uint8_t hint = 0;
  uint8_t integers = 0;
  const bool fixed = take(bytes, sample.timestamp_ms) && take(bytes, histogram.schema) &&
                     take(bytes, hint) && take(bytes, integers) &&
                     take(bytes, histogram.zero_threshold) && take(bytes, histogram.zero_count) &&
                     take(bytes, histogram.count) && take(bytes, histogram.sum);
  if (!fixed) return false;
  histogram.reset_hint = static_cast<model::CounterResetHint>(hint);
  histogram.integer_counts = integers != 0;
  return take_spans(bytes, histogram.positive_spans) &&
         take_spans(bytes, histogram.negative_spans) &&
         take_doubles(bytes, histogram.positive_counts) &&
         take_doubles(bytes, histogram.negative_counts) &&
         take_doubles(bytes, histogram.custom_bounds);
}

// The entries' numbers in the order of their series, else as they are: a counting sort.
template <typename Entry>
std::vector<uint32_t> order_by_series(const std::vector<Entry>& entries) {
  uint32_t series_end = 0;
  for (const Entry& one : entries) series_end = std::max(series_end, one.series + 1);
  std::vector<uint32_t> begins(series_end + 1);
  for (const Entry& one : entries) ++begins[one.series + 1];
  for (size_t i = 1; i < begins.size(); ++i) begins[i] += begins[i - 1];
  std::vector<uint32_t> order(entries.size());
  for (uint32_t i = 0; i < entries.size(); ++i) order[begins[entries[i].series]++] = i;
  return order;
}

}  // namespace

Spill::Spill(core::FileSystem& files, std::string dir, int64_t granule_ms, size_t memory_bytes)
    : files_(files), dir_(std::move(dir)), granule_ms_(granule_ms), memory_bytes_(memory_bytes) {}

Spill::~Spill() {
  if (!has_dir_) return;
  if (const Result<void> removed = files_.remove_all(dir_); !removed) {
    core::log_warn("import", "cannot remove temporary files", {{"err", removed.error().message}});
  }
}

int64_t Spill::granule_of(int64_t time_ms) const {
  const int64_t quotient = time_ms / granule_ms_;
  return time_ms % granule_ms_ < 0 ? quotient - 1 : quotient;
}

Spill::Granule& Spill::granule_at(int64_t time_ms) {
  const int64_t number = granule_of(time_ms);
  if (last_ == nullptr || number != last_number_) {
    last_ = &granules_[number];
    last_number_ = number;
  }
  return *last_;
}

Result<void> Spill::add(uint32_t series, const model::Sample& sample) {
  granule_at(sample.timestamp_ms).floats.push_back({sample.timestamp_ms, sample.value, series});
  // The entry, its place in the order, and what a growing vector holds twice.
  used_bytes_ += 2 * sizeof(FloatEntry);
  return used_bytes_ < memory_bytes_ ? Result<void>() : write_runs();
}

Result<void> Spill::add(uint32_t series, HistogramSample sample) {
  const Histogram& histogram = sample.histogram;
  used_bytes_ += 2 * sizeof(HistogramEntry) +
                 8 * (histogram.positive_counts.size() + histogram.negative_counts.size() +
                      histogram.positive_spans.size() + histogram.negative_spans.size() +
                      histogram.custom_bounds.size());
  granule_at(sample.timestamp_ms).histograms.push_back({series, std::move(sample)});
  return used_bytes_ < memory_bytes_ ? Result<void>() : write_runs();
}

Result<void> Spill::finish() {
  return write_runs();
}

Result<void> Spill::write_runs() {
  if (!has_dir_) {
    TRY(files_.remove_all(dir_));
    TRY(files_.create_dirs(dir_));
    has_dir_ = true;
  }
  for (auto& [number, granule] : granules_) TRY(write_run(number, granule));
  granules_.clear();
  last_ = nullptr;
  used_bytes_ = 0;
  return {};
}

Result<void> Spill::write_run(int64_t number, Granule& granule) {
  Run run{number, fmt::format("{}/run{}", dir_, runs_.size())};
  const std::unique_ptr<core::File> file =
      TRY(files_.open(run.path, core::OpenMode::CreateOrTruncate));
  std::vector<bool>& present = present_[number];
  const std::vector<uint32_t> floats = order_by_series(granule.floats);
  const std::vector<uint32_t> histograms = order_by_series(granule.histograms);
  const auto float_series = [&](size_t i) { return granule.floats[floats[i]].series; };
  const auto histogram_series = [&](size_t i) { return granule.histograms[histograms[i]].series; };
  std::string buffer;
  std::string encoded;
  uint64_t offset = 0;
  size_t f = 0;
  size_t h = 0;
  while (f < floats.size() || h < histograms.size()) {
    uint32_t series = UINT32_MAX;
    if (f < floats.size()) series = float_series(f);
    if (h < histograms.size()) series = std::min(series, histogram_series(h));
    size_t f_end = f;
    while (f_end < floats.size() && float_series(f_end) == series) ++f_end;
    encoded.clear();
    for (; h < histograms.size() && histogram_series(h) == series; ++h) {
      append_histogram(encoded, granule.histograms[histograms[h]].sample);
    }
    if (series >= present.size()) present.resize(series + 1);
    present[series] = true;
    core::append_le(buffer, series);
    core::append_le(buffer, static_cast<uint32_t>(f_end - f));
    core::append_le(buffer, static_cast<uint32_t>(encoded.size()));
    for (; f < f_end; ++f) {
      core::append_le(buffer, granule.floats[floats[f]].time_ms);
      core::append_le(buffer, granule.floats[floats[f]].value);
    }
    buffer.append(encoded);
    if (buffer.size() < kBufferSize) continue;
    TRY(file->write_at(offset, buffer).context("{}", run.path));
    offset += buffer.size();
    buffer.clear();
  }
  TRY(file->write_at(offset, buffer).context("{}", run.path));
  runs_.push_back(std::move(run));
  return {};
}

Result<SpillReader> SpillReader::open(const Spill& spill, model::TimeRange range) {
  SpillReader reader;
  reader.range_ = range;
  const int64_t first = spill.granule_of(range.start_ms);
  const int64_t last = spill.granule_of(range.end_ms - 1);
  for (const Spill::Run& one : spill.runs()) {
    if (one.granule < first || one.granule > last) continue;
    RunReader run;
    run.path = one.path;
    run.file = TRY(spill.files().open(one.path, core::OpenMode::Read));
    TRY(begin_group(run));
    reader.runs_.push_back(std::move(run));
  }
  return reader;
}

Result<std::string_view> SpillReader::take(RunReader& run, size_t size) {
  if (run.buffer.size() - run.at < size) {
    run.buffer.erase(0, run.at);
    run.at = 0;
    const std::string more =
        TRY(run.file->read_at(run.offset, std::max(size - run.buffer.size(), kReadSize)));
    run.offset += more.size();
    run.buffer += more;
    if (run.buffer.empty()) return std::string_view();
    if (run.buffer.size() < size) {
      return core::fail(ErrorCode::Corruption, "{}: cut short", run.path);
    }
  }
  const std::string_view taken = std::string_view(run.buffer).substr(run.at, size);
  run.at += size;
  return taken;
}

Result<void> SpillReader::begin_group(RunReader& run) {
  const std::string_view header = TRY(take(run, kGroupHeaderSize));
  if (header.empty()) {
    run.series = UINT32_MAX;
    return {};
  }
  run.series = core::load_le<uint32_t>(header);
  run.floats = core::load_le<uint32_t>(header.substr(4));
  run.histograms_size = core::load_le<uint32_t>(header.substr(8));
  return {};
}

uint32_t SpillReader::series() const {
  uint32_t first = UINT32_MAX;
  for (const RunReader& run : runs_) first = std::min(first, run.series);
  return first;
}

Result<void> SpillReader::read(storage::SeriesBatch& batch) {
  const uint32_t wanted = series();
  for (RunReader& run : runs_) {
    if (run.series != wanted || wanted == UINT32_MAX) continue;
    std::string_view floats = TRY(take(run, size_t{run.floats} * 16));
    for (; floats.size() >= 16; floats.remove_prefix(16)) {
      const auto time_ms = core::load_le<int64_t>(floats);
      if (!range_.contains(time_ms)) continue;
      batch.timestamps_ms.push_back(time_ms);
      batch.values.push_back(core::load_le<double>(floats.substr(8)));
    }
    std::string_view histograms = TRY(take(run, run.histograms_size));
    while (!histograms.empty()) {
      HistogramSample sample;
      if (!take_histogram(histograms, sample)) {
        return core::fail(ErrorCode::Corruption, "{}: a histogram is malformed", run.path);
      }
      if (range_.contains(sample.timestamp_ms)) batch.histograms.push_back(std::move(sample));
    }
    TRY(begin_group(run));
  }
  return {};
}

}  // namespace promtsdb
