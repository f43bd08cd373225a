// What the engine must answer, in sorted arrays: no log, no blocks, no compression.
//
// Tests put the same samples into the engine and in here and compare what comes out. It
// keeps the rules of the engine that readers see: of two values for one time the first
// one stays, deleted samples are gone and may come again, exemplars are a ring.

#pragma once

#include "storage/series_source.h"
#include "storage/write_batch.h"
#include "tsdb/engine.h"

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace tsdb::testing {

// Equal as bits, field by field.
bool same_bits(const model::Histogram& a, const model::Histogram& b);

// Confined to one thread while it is written to.
class ModelStore final : public storage::SeriesSource {
 public:
  explicit ModelStore(size_t exemplars_max) : exemplars_max_(exemplars_max) {}

  enum class Verdict { New, Same, Conflict };
  Verdict add(const model::TenantId& tenant, const model::Labels& labels, int64_t time_ms,
              double value);
  Verdict add(const model::TenantId& tenant, const model::Labels& labels, int64_t time_ms,
              const model::Histogram& histogram);
  void add(const model::TenantId& tenant, const model::Labels& labels,
           const model::Exemplar& exemplar);
  void add(const model::TenantId& tenant, const model::Metadata& metadata);
  // Gives the number of samples that are gone.
  uint64_t remove(const DeleteRequest& request);

  core::Result<std::unique_ptr<storage::SeriesSet>> select(
      const storage::SelectRequest& request) const override;
  core::Result<storage::Listed<std::string>> label_names(
      const storage::LabelsRequest& request) const override;
  core::Result<storage::Listed<std::string>> label_values(
      const std::string& name, const storage::LabelsRequest& request) const override;
  core::Result<storage::Listed<model::Labels>> series(
      const storage::LabelsRequest& request) const override;
  core::Result<std::vector<model::Metadata>> metadata(const model::TenantId& tenant,
                                                      const std::string& metric) const override;
  core::Result<std::vector<storage::ExemplarSeries>> exemplars(
      const storage::LabelsRequest& request) const override;

  // The series of a tenant that ever had a sample, with those whose samples are deleted.
  std::vector<model::Labels> ever(const storage::LabelsRequest& request) const;
  // The newest sample of a tenant; deleted ones count.
  int64_t newest_ms(const model::TenantId& tenant) const;
  uint64_t sample_count() const { return samples_; }
  uint64_t histogram_count() const { return histograms_; }

 private:
  struct Content {
    std::vector<model::Sample> samples;
    std::vector<model::HistogramSample> histograms;
  };
  using AllSeries = std::map<model::Labels, Content>;

  const AllSeries& series_of(const model::TenantId& tenant) const;

  const size_t exemplars_max_;
  std::map<model::TenantId, AllSeries> tenants_;
  std::map<model::TenantId, int64_t> newest_;
  std::map<model::TenantId, std::deque<std::pair<model::Labels, model::Exemplar>>> exemplars_;
  std::map<std::pair<model::TenantId, std::string>, model::Metadata> metadata_;
  uint64_t samples_ = 0;
  uint64_t histograms_ = 0;
};

}  // namespace tsdb::testing
