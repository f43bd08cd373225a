#include "core/result.h"
#include "ingest/exposition.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace {

void parse(ingest::ExpositionFormat format, std::string_view body,
           const ingest::ExpositionOptions& options) {
  const auto parser = ingest::make_exposition_parser(format, body, options);
  ingest::Entry entry;
  std::string labels;
  // No entry is shorter than a byte, except for those of a metric family in protobuf.
  for (size_t entries = 0;; ++entries) {
    ENSURE(entries <= 16 * body.size() + 16);
    if (!parser->next(entry) || entry.kind == ingest::EntryKind::End) return;
    if (entry.kind != ingest::EntryKind::Sample && entry.kind != ingest::EntryKind::Histogram) {
      continue;
    }
    ENSURE(!entry.key.empty());
    labels.clear();
    if (!parser->append_labels(labels)) continue;
    // A metric name may be written as "", which is for relabelling to judge.
    const model::LabelsView view(labels);
    ENSURE(view.metric_name().empty() || model::is_canonical(view));
  }
}

}  // namespace

// The first byte chooses the format and the options.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto format = static_cast<ingest::ExpositionFormat>(data[0] % 5);
  ingest::ExpositionOptions options;
  options.strict = (data[0] & 0x80) != 0;
  options.native_histograms = (data[0] & 0x40) == 0;
  options.always_classic_histograms = (data[0] & 0x20) != 0;
  parse(format, {reinterpret_cast<const char*>(data) + 1, size - 1}, options);
  return 0;
}
