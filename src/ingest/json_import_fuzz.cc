#include "core/result.h"
#include "ingest/json_import.h"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  storage::WriteBatch batch;
  storage::AppendSummary refused;
  const core::Result<void> result =
      ingest::decode_json_import(body, 1'700'000'000'000, {}, batch, refused);
  if (!result) ENSURE(batch.empty());
  for (const storage::BatchSeries& series : batch.series) {
    ENSURE(series.samples_end == series.samples_begin + 1);
    // What an import lets pass, the sink takes without another look at the labels.
    ENSURE(model::is_canonical(model::LabelsView(series.labels)));
  }
  return 0;
}
