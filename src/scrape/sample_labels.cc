// From the labels that a target exposes to those that are stored.

#include "core/utf8.h"
#include "scrape/scrape_reader.h"

#include <algorithm>

namespace scrape {
namespace {

using core::ErrorCode;
using core::Result;

constexpr std::string_view kExportedPrefix = "exported_";
// Names and values are cut to this many characters in error texts.
constexpr size_t kShownMax = 50;

std::string_view shown(std::string_view text) {
  size_t end = 0;
  for (size_t i = 0; i < kShownMax && end < text.size(); ++i) {
    end += std::max<size_t>(core::utf8_sequence_length(text.substr(end)), 1);
  }
  return text.substr(0, end);
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out += '"';
}

// Target labels win; what the target exposed under their names gets a prefix, as often as
// it takes to find a free name. Shorter names choose first.
void resolve_conflicts(model::LabelsBuilder& builder, std::vector<model::Label> conflicts) {
  std::stable_sort(conflicts.begin(), conflicts.end(),
                   [](const auto& a, const auto& b) { return a.name.size() < b.name.size(); });
  for (const model::Label& one : conflicts) {
    std::string name(one.name);
    do {
      name.insert(0, kExportedPrefix);
    } while (!builder.get(name).empty());
    builder.set(name, one.value);
  }
}

}  // namespace

model::Labels make_sample_labels(model::LabelsView exposed, model::LabelsView target,
                                 const config::ScrapeConfig& config) {
  model::LabelsBuilder builder(exposed);
  std::vector<model::Label> conflicts;
  for (const model::Label& label : target) {
    const std::string_view value = exposed.get(label.name);
    if (!value.empty() && config.honor_labels) continue;
    if (!value.empty()) conflicts.push_back({label.name, value});
    builder.set(label.name, label.value);
  }
  if (!conflicts.empty()) resolve_conflicts(builder, std::move(conflicts));
  if (!model::relabel(config.metric_relabel_rules, builder)) return {};
  return builder.build();
}

Result<void> check_label_limits(model::LabelsView labels, const config::ScrapeConfig& config) {
  if (config.label_limit == 0 && config.label_name_length_limit == 0 &&
      config.label_value_length_limit == 0) {
    return {};
  }
  const std::string_view metric = labels.metric_name();
  uint64_t count = 0;
  for (auto at = labels.begin(); at != labels.end(); ++at) ++count;
  if (config.label_limit > 0 && count > config.label_limit) {
    return core::fail(ErrorCode::InvalidArgument,
                      "label_limit exceeded (metric: {}, number of labels: {}, limit: {})",
                      shown(metric), count, config.label_limit);
  }
  for (const model::Label& label : labels) {
    if (config.label_name_length_limit > 0 && label.name.size() > config.label_name_length_limit) {
      return core::fail(ErrorCode::InvalidArgument,
                        "label_name_length_limit exceeded (metric: {}, label name: {}, length: "
                        "{}, limit: {})",
                        shown(metric), shown(label.name), label.name.size(),
                        config.label_name_length_limit);
    }
    if (config.label_value_length_limit > 0 &&
        label.value.size() > config.label_value_length_limit) {
      return core::fail(ErrorCode::InvalidArgument,
                        "label_value_length_limit exceeded (metric: {}, label name: {}, value: "
                        "{}, length: {}, limit: {})",
                        shown(metric), shown(label.name), quoted(shown(label.value)),
                        label.value.size(), config.label_value_length_limit);
    }
  }
  return {};
}

}  // namespace scrape
