#include "ingest/refusals.h"

namespace ingest {

void merge_refusals(const storage::AppendSummary& from, storage::AppendSummary& into) {
  for (size_t i = 0; i < into.refused.size(); ++i) into.refused[i] += from.refused[i];
  for (const std::string& example : from.examples) {
    if (into.examples.size() >= storage::AppendSummary::kExamplesMax) break;
    into.examples.push_back(example);
  }
}

}  // namespace ingest
