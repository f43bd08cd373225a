// A source that changes what it is asked for before another one answers.

#pragma once

#include "storage/series_source.h"

#include <functional>
#include <utility>

namespace storage::testing {

// Borrows the source.
class ChangedRequests final : public SeriesSource {
 public:
  using Change = std::function<void(SelectRequest&)>;
  ChangedRequests(const SeriesSource& source, Change change)
      : source_(source), change_(std::move(change)) {}

  core::Result<std::unique_ptr<SeriesSet>> select(const SelectRequest& request) const override {
    SelectRequest changed = request;
    change_(changed);
    return source_.select(changed);
  }
  core::Result<Listed<std::string>> label_names(const LabelsRequest& request) const override {
    return source_.label_names(request);
  }
  core::Result<Listed<std::string>> label_values(const std::string& name,
                                                 const LabelsRequest& request) const override {
    return source_.label_values(name, request);
  }
  core::Result<Listed<model::Labels>> series(const LabelsRequest& request) const override {
    return source_.series(request);
  }
  core::Result<std::vector<model::Metadata>> metadata(const model::TenantId& tenant,
                                                      const std::string& metric) const override {
    return source_.metadata(tenant, metric);
  }
  core::Result<std::vector<ExemplarSeries>> exemplars(const LabelsRequest& request) const override {
    return source_.exemplars(request);
  }

 private:
  const SeriesSource& source_;
  const Change change_;
};

}  // namespace storage::testing
