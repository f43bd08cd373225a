#include "ingest/testing/describe.h"

#include "core/json_writer.h"

namespace ingest::testing {

namespace {

std::string number(double value) {
  if (model::is_stale_nan(value)) return "stale";
  std::string out;
  core::append_float(out, value);
  return out;
}

std::string numbers(const std::vector<double>& values) {
  std::string out;
  for (const double value : values) out += (out.empty() ? "" : " ") + number(value);
  return out;
}

std::string spans(const std::vector<model::BucketSpan>& spans) {
  std::string out;
  for (const model::BucketSpan& span : spans) {
    out += fmt::format("{}{}+{}", out.empty() ? "" : " ", span.offset, span.length);
  }
  return out;
}

std::string describe_histogram(const model::Histogram& histogram) {
  std::string out = fmt::format("{{schema {} hint {} {} count {} sum {} zero {} below {}",
                                histogram.schema, static_cast<int>(histogram.reset_hint),
                                histogram.integer_counts ? "integer" : "float",
                                number(histogram.count), number(histogram.sum),
                                number(histogram.zero_count), number(histogram.zero_threshold));
  if (!histogram.positive_spans.empty()) {
    out += fmt::format(" positive {}: {}", spans(histogram.positive_spans),
                       numbers(histogram.positive_counts));
  }
  if (!histogram.negative_spans.empty()) {
    out += fmt::format(" negative {}: {}", spans(histogram.negative_spans),
                       numbers(histogram.negative_counts));
  }
  if (!histogram.custom_bounds.empty()) {
    out += fmt::format(" bounds {}", numbers(histogram.custom_bounds));
  }
  return out + "}";
}

}  // namespace

std::string describe(const core::Result<void>& result, const storage::WriteBatch& batch,
                     const storage::AppendSummary& refused) {
  std::string out;
  if (!result) out += "error: " + result.error().message + "\n";
  for (const storage::BatchSeries& series : batch.series) {
    const std::string labels = model::LabelsView(series.labels).to_string();
    for (const model::Sample& sample : batch.samples_of(series)) {
      out += fmt::format("{} {} @{}\n", labels, number(sample.value), sample.timestamp_ms);
    }
    for (const model::HistogramSample& sample : batch.histograms_of(series)) {
      out += fmt::format("{} {} @{}\n", labels, describe_histogram(sample.histogram),
                         sample.timestamp_ms);
    }
    for (const model::Exemplar& exemplar : batch.exemplars_of(series)) {
      out += fmt::format("exemplar of {}: {} {} @{}\n", labels, exemplar.labels.to_string(),
                         number(exemplar.value), exemplar.timestamp_ms);
    }
  }
  for (const model::Metadata& metadata : batch.metadata) {
    out += fmt::format("metadata {} {} \"{}\" \"{}\"\n", metadata.metric,
                       model::metric_type_name(metadata.type), metadata.unit, metadata.help);
  }
  for (size_t i = 0; i < refused.refused.size(); ++i) {
    if (refused.refused[i] == 0) continue;
    out += fmt::format("refused {} {}\n",
                       storage::refusal_reason_name(static_cast<storage::RefusalReason>(i)),
                       refused.refused[i]);
  }
  for (const std::string& example : refused.examples) out += "  " + example + "\n";
  return out;
}

}  // namespace ingest::testing
