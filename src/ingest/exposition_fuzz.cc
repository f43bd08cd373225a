#include "core/result.h"
#include "ingest/exposition.h"
#include "ingest/metrics_lint.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace {

void check_labels(ingest::ExpositionParser& parser, std::string& labels) {
  labels.clear();
  if (!parser.append_labels(labels)) return;
  // A metric name may be written as "", which is for relabelling to judge.
  const model::LabelsView view(labels);
  ENSURE(view.metric_name().empty() || model::is_canonical(view));
}

void parse(ingest::ExpositionFormat format, std::string_view body,
           const ingest::ExpositionOptions& options) {
  const auto parser = ingest::make_exposition_parser(format, body, options);
  // The same with the right keys told beforehand, and with wrong ones.
  const auto told = ingest::make_exposition_parser(format, body, options);
  const auto misled = ingest::make_exposition_parser(format, body, options);
  ingest::Entry entry;
  ingest::Entry same;
  std::string labels;
  std::string same_labels;
  std::string key;
  // No entry is shorter than a byte, except for those of a metric family in protobuf.
  for (size_t entries = 0;; ++entries) {
    ENSURE(entries <= 16 * body.size() + 16);
    const std::string last_key = std::exchange(key, {});
    misled->expect(last_key);
    const bool read = parser->next(entry).has_value();
    const bool is_sample = read && (entry.kind == ingest::EntryKind::Sample ||
                                    entry.kind == ingest::EntryKind::Histogram);
    if (is_sample) key = entry.key;
    told->expect(key);
    for (ingest::ExpositionParser* other : {told.get(), misled.get()}) {
      ENSURE(other->next(same).has_value() == read);
      if (!read) continue;
      ENSURE(same.kind == entry.kind);
      if (!is_sample) continue;
      ENSURE(same.key == entry.key && model::same_bits(same.value, entry.value));
      check_labels(*parser, labels);
      check_labels(*other, same_labels);
      ENSURE(labels == same_labels);
    }
    if (!read || entry.kind == ingest::EntryKind::End) return;
    ENSURE(!is_sample || !entry.key.empty());
  }
}

}  // namespace

// The first byte chooses the format and the options.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto format = static_cast<ingest::ExpositionFormat>(data[0] % 5);
  ingest::ExpositionOptions options;
  options.strict = (data[0] & 0x80) != 0;
  options.start_timestamps = (data[0] & 0x10) != 0;
  options.native_histograms = (data[0] & 0x40) == 0;
  options.always_classic_histograms = (data[0] & 0x20) != 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  parse(format, body, options);
  if (format == ingest::ExpositionFormat::Text100) static_cast<void>(ingest::lint_metrics(body));
  return 0;
}
