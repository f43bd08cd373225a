#include "agent/text_source.h"

#include "ingest/exposition.h"

namespace agent {

using model::MetricType;

core::Result<TextMetrics> parse_text_metrics(std::string_view text) {
  TextMetrics metrics;
  const auto parser = ingest::make_exposition_parser(ingest::ExpositionFormat::Text004, text, {});
  ingest::Entry entry;
  while (true) {
    TRY(parser->next(entry));
    switch (entry.kind) {
      case ingest::EntryKind::End:
        return metrics;
      case ingest::EntryKind::Type:
        metrics.families[std::string(entry.metric)].type = entry.type;
        break;
      case ingest::EntryKind::Help:
        metrics.families[std::string(entry.metric)].help = entry.text;
        break;
      case ingest::EntryKind::Sample: {
        if (entry.timestamp_ms) {
          return core::fail(core::ErrorCode::InvalidArgument,
                            "{}: a sample must not have a timestamp here", entry.key);
        }
        TextSample& sample = metrics.samples.emplace_back();
        TRY(parser->append_labels(sample.labels));
        sample.value = entry.value;
        break;
      }
      default:
        break;
    }
  }
}

namespace {

// node_x_bucket is of the histogram node_x.
std::string_view family_of(std::string_view metric, const TextMetrics& metrics) {
  for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
    if (!metric.ends_with(suffix)) continue;
    const auto at = metrics.families.find(metric.substr(0, metric.size() - suffix.size()));
    if (at == metrics.families.end()) continue;
    const MetricType type = at->second.type;
    if (type == MetricType::Histogram || (type == MetricType::Summary && suffix != "_bucket")) {
      return at->first;
    }
  }
  return metric;
}

}  // namespace

void add_text_metrics(Output& out, const TextMetrics& metrics, std::string_view default_help) {
  std::vector<LabelPair> pairs;
  for (const TextSample& sample : metrics.samples) {
    const model::LabelsView labels(sample.labels);
    const std::string_view metric = labels.metric_name();
    const std::string_view family = family_of(metric, metrics);
    const auto at = metrics.families.find(family);
    const bool is_known = at != metrics.families.end();
    pairs.clear();
    for (const model::Label& label : labels) {
      if (label.name != model::kMetricName) pairs.emplace_back(label.name, label.value);
    }
    out.add_part(family, is_known ? at->second.type : MetricType::Unknown,
                 is_known && !at->second.help.empty() ? at->second.help : default_help, metric,
                 pairs, sample.value);
  }
}

}  // namespace agent
