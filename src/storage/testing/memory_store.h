// A sink and source in ordered maps: the simplest right answer, for tests of what
// writes and reads series.

#pragma once

#include "storage/sample_sink.h"
#include "storage/series_source.h"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace storage::testing {

// Thread-safe.
class MemoryStore final : public SampleSink, public SeriesSource {
 public:
  // Judges labels and conflicting duplicates; takes samples of any age and order.
  core::Result<AppendSummary> append(const WriteBatch& batch) override;

  core::Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request) const override;
  core::Result<Listed<std::string>> label_names(const LabelsRequest& request) const override;
  core::Result<Listed<std::string>> label_values(const std::string& name,
                                                 const LabelsRequest& request) const override;
  core::Result<Listed<model::Labels>> series(const LabelsRequest& request) const override;
  core::Result<std::vector<model::Metadata>> metadata(const model::TenantId& tenant,
                                                      const std::string& metric) const override;
  core::Result<std::vector<ExemplarSeries>> exemplars(const LabelsRequest& request) const override;

  // While set, append() or every read fails with this.
  void fail_appends(std::optional<core::Error> error);
  void fail_reads(std::optional<core::Error> error);
  // Of every list of names, values or series.
  void warn(std::vector<std::string> warnings);
  void clear();

 private:
  struct Content {
    std::map<int64_t, double> samples;
    std::map<int64_t, model::Histogram> histograms;
    std::vector<model::Exemplar> exemplars;
  };
  using Key = std::pair<model::TenantId, model::Labels>;

  // Precondition: mutex_ is held. Calls visit(labels, content) for each match.
  template <typename Visit>
  void for_each(const LabelsRequest& request, Visit visit) const;

  mutable std::mutex mutex_;
  // All below guarded by mutex_.
  std::map<Key, Content> series_;
  std::map<std::pair<model::TenantId, std::string>, model::Metadata> metadata_;
  std::optional<core::Error> append_error_;
  std::optional<core::Error> read_error_;
  std::vector<std::string> warnings_;
};

}  // namespace storage::testing
