// The series snapshot: what the log's remaining records take for granted once its
// beginning is cut off: labels by series id, metadata, exemplars
// (docs/formats/series_snapshot.md).

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "model/sample.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

// Of the file in the data directory: "series_snapshot-0000000006".
std::string series_snapshot_name(uint64_t number);

// Confined to one thread. Writes `path`, which must not exist.
class SeriesSnapshotWriter {
 public:
  static core::Result<std::unique_ptr<SeriesSnapshotWriter>> create(core::FileSystem& files,
                                                                    const std::string& path);
  core::Result<void> add_series(std::string_view tenant, uint64_t id, std::string_view labels);
  core::Result<void> add_metadata(std::string_view tenant, const model::Metadata& metadata);
  core::Result<void> add_exemplar(std::string_view tenant, std::string_view labels,
                                  const model::Exemplar& exemplar);
  // Writes the end and syncs the file.
  core::Result<void> finish();

 private:
  explicit SeriesSnapshotWriter(std::unique_ptr<core::File> file) : file_(std::move(file)) {}
  void begin_entry(char kind, std::string_view tenant);
  core::Result<void> write_frame_if_full();
  core::Result<void> write_frame();

  std::unique_ptr<core::File> file_;
  uint64_t offset_ = 0;
  std::string entries_;
  std::string tenant_;
};

// Called in the order of the file. Views are borrowed for the call.
struct SeriesSnapshotVisitor {
  std::function<void(std::string_view tenant, uint64_t id, std::string_view labels)> series;
  std::function<void(std::string_view tenant, const model::Metadata&)> metadata;
  std::function<void(std::string_view tenant, std::string_view labels, const model::Exemplar&)>
      exemplar;
};

struct SnapshotDamage {
  uint64_t offset = 0;
  std::string what;
  bool is_unread = false;  // an i/o error: it may be whole
};

// What is damaged is passed over and told; every frame can be read alone. A file without
// its end is damaged: a snapshot is synced before a manifest names it. Unsupported for a
// version of the future.
core::Result<std::vector<SnapshotDamage>> read_series_snapshot(
    const core::File& file, const SeriesSnapshotVisitor& visitor);
// One frame's entries, as written by the writer and decompressed.
core::Result<void> read_snapshot_entries(std::string_view entries,
                                         const SeriesSnapshotVisitor& visitor);

}  // namespace tsdb
