// Random questions to the engine and to the model; every answer must be the same.

#pragma once

#include "core/rng.h"
#include "tsdb/testing/model_store.h"

#include <optional>
#include <string>
#include <vector>

namespace tsdb::testing {

// What questions may be about.
struct ModelWords {
  std::vector<model::TenantId> tenants;
  std::vector<std::string> metrics;
  std::vector<std::pair<std::string, std::string>> labels;  // names and values that occur
  int64_t start_ms = 0;
  int64_t end_ms = 0;
};

// The first one mostly, which has most.
const model::TenantId& random_tenant(const ModelWords& words, core::Rng& rng);
model::Matchers random_matchers(const ModelWords& words, core::Rng& rng);
model::TimeRange random_range(const ModelWords& words, core::Rng& rng);

// Samples bit for bit, exemplars and metadata as they are. Label sets, names and values
// of a range may be more than the model's, by series that were there at other times.
// Gives the first difference in words. A warning is one: nothing is damaged here.
std::optional<std::string> compare_stored(const storage::SeriesSource& engine,
                                          const ModelStore& model, const ModelWords& words,
                                          core::Rng& rng);
// Everything of all tenants.
std::optional<std::string> compare_all(const storage::SeriesSource& engine, const ModelStore& model,
                                       const ModelWords& words);

}  // namespace tsdb::testing
