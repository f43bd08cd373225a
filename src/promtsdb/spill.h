// Samples in the order of arrival, brought into the order of series with bounded memory:
// sorted runs in temporary files, one file per run and range of time, merged when read.
//
//   add() ... ─> memory, full ─> run 0: one file per range, series in order
//                             ─> run 1: ...
//   SpillReader(range): the runs of the range merged, runs of one series in order of arrival

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "model/sample.h"
#include "model/time_range.h"
#include "storage/series_source.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace promtsdb {

// Confined to one thread.
class Spill {
 public:
  // Files go to `dir`, which is created, and removed with everything in it at the end.
  // `granule_ms` is the length of a range; ranges begin at multiples of it.
  Spill(core::FileSystem& files, std::string dir, int64_t granule_ms, size_t memory_bytes);
  ~Spill();
  Spill(const Spill&) = delete;
  Spill& operator=(const Spill&) = delete;

  // `series` is the place of the series in the order of labels.
  core::Result<void> add(uint32_t series, const model::Sample& sample);
  core::Result<void> add(uint32_t series, model::HistogramSample sample);
  core::Result<void> finish();  // nothing is added after it

  struct Run {
    int64_t granule = 0;
    std::string path;
  };
  const std::vector<Run>& runs() const { return runs_; }  // oldest first
  // Which series have samples in the range that begins at granule * granule_ms.
  const std::map<int64_t, std::vector<bool>>& present() const { return present_; }
  int64_t granule_of(int64_t time_ms) const;
  core::FileSystem& files() const { return files_; }

 private:
  struct FloatEntry {
    int64_t time_ms;
    double value;
    uint32_t series;
  };
  struct HistogramEntry {
    uint32_t series;
    model::HistogramSample sample;
  };
  struct Granule {
    std::vector<FloatEntry> floats;
    std::vector<HistogramEntry> histograms;
  };
  Granule& granule_at(int64_t time_ms);
  core::Result<void> write_runs();
  core::Result<void> write_run(int64_t number, Granule& granule);

  core::FileSystem& files_;
  const std::string dir_;
  const int64_t granule_ms_;
  const size_t memory_bytes_;
  size_t used_bytes_ = 0;
  std::map<int64_t, Granule> granules_;
  Granule* last_ = nullptr;
  int64_t last_number_ = 0;
  bool has_dir_ = false;
  std::vector<Run> runs_;
  std::map<int64_t, std::vector<bool>> present_;
};

// Reads the runs of a range, series by series. Confined to one thread.
class SpillReader {
 public:
  static core::Result<SpillReader> open(const Spill& spill, model::TimeRange range);

  // The first series that is left, or UINT32_MAX.
  uint32_t series() const;
  // Appends what it has in the range to the columns and goes on to the next series.
  core::Result<void> read(storage::SeriesBatch& batch);

 private:
  struct RunReader {
    std::unique_ptr<core::File> file;
    std::string path;
    uint64_t offset = 0;  // behind the buffer's end
    std::string buffer;
    size_t at = 0;
    uint32_t series = UINT32_MAX;
    uint32_t floats = 0;
    uint32_t histograms_size = 0;
  };
  static core::Result<std::string_view> take(RunReader& run, size_t size);
  static core::Result<void> begin_group(RunReader& run);

  model::TimeRange range_;
  std::vector<RunReader> runs_;
};

}  // namespace promtsdb
