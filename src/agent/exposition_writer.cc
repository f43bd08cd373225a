#include "agent/exposition_writer.h"

#include "core/json_writer.h"
#include "core/text.h"

#include <charconv>
#include <fmt/core.h>

namespace agent {

using model::MetricType;

namespace {

constexpr std::string_view kTotal = "_total";

void append_escaped(std::string& out, std::string_view text, bool quotes_too) {
  for (const char c : text) {
    if (c == '\\' || (c == '"' && quotes_too)) {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
}

// The quality of one entry of an Accept header; 1 where none is given.
double quality_of(std::string_view entry) {
  const size_t at = entry.find("q=");
  if (at == entry.npos) return 1;
  const std::string_view text = core::trim(entry.substr(at + 2, entry.find(';', at) - at - 2));
  double quality = 1;
  std::from_chars(text.data(), text.data() + text.size(), quality);
  return quality;
}

}  // namespace

TextForm negotiate_text_form(std::string_view accept) {
  TextForm best = TextForm::Text004;
  double best_quality = 0;
  while (!accept.empty()) {
    const std::string_view entry = accept.substr(0, accept.find(','));
    accept.remove_prefix(std::min(entry.size() + 1, accept.size()));
    const std::string_view type = core::trim(entry.substr(0, entry.find(';')));
    const bool is_open =
        type == "application/openmetrics-text" &&
        (entry.find("version=") == entry.npos || entry.find("version=1.0.0") != entry.npos);
    const bool is_text = (type == "text/plain" && (entry.find("version=") == entry.npos ||
                                                   entry.find("version=0.0.4") != entry.npos)) ||
                         type == "text/*" || type == "*/*";
    if (!is_open && !is_text) continue;
    const double quality = quality_of(entry);
    if (quality <= best_quality) continue;
    best_quality = quality;
    best = is_open ? TextForm::OpenMetrics100 : TextForm::Text004;
  }
  return best;
}

std::string_view content_type_of(TextForm form) {
  return form == TextForm::OpenMetrics100
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

void ExpositionWriter::add_part(std::string_view family, MetricType type, std::string_view help,
                                std::string_view metric, std::span<const LabelPair> labels,
                                double value) {
  auto at = families_.find(family);
  if (at == families_.end()) {
    at = families_.emplace(std::string(family), Family{type, std::string(help), {}, {}}).first;
  }
  series_.assign(metric);
  for (size_t i = 0; i < labels.size(); ++i) {
    series_ += i == 0 ? '{' : ',';
    series_.append(labels[i].first).append("=\"");
    append_escaped(series_, labels[i].second, true);
    series_ += '"';
  }
  if (!labels.empty()) series_ += '}';
  Family& found = at->second;
  if (!found.series.insert(series_).second) return;
  found.lines.append(series_).append(1, ' ');
  core::append_float(found.lines, value);
  found.lines += '\n';
}

std::string ExpositionWriter::text() const {
  const bool is_open = form_ == TextForm::OpenMetrics100;
  std::string out;
  for (const auto& [name, family] : families_) {
    std::string_view shown = name;
    std::string_view type = model::metric_type_name(family.type);
    if (family.type == MetricType::Unknown && !is_open) type = "untyped";
    if (family.type == MetricType::Counter && is_open) {
      // A counter's family has no _total there, and its sample must have it.
      if (shown.ends_with(kTotal)) {
        shown.remove_suffix(kTotal.size());
      } else {
        type = "unknown";
      }
    }
    out.append("# HELP ").append(shown).append(1, ' ');
    append_escaped(out, family.help, is_open);
    out.append("\n# TYPE ").append(shown).append(1, ' ').append(type).append(1, '\n');
    out += family.lines;
  }
  if (is_open) out += "# EOF\n";
  return out;
}

}  // namespace agent
