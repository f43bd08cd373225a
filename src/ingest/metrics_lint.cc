#include "ingest/metrics_lint.h"

#include "core/text.h"
#include "ingest/exposition_text.h"
#include "ingest/float_text.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <map>
#include <set>

namespace ingest {
namespace {

using model::MetricType;

struct Family {
  bool has_help = false;
  bool has_type = false;
  MetricType type = MetricType::Unknown;
  // Label sets without le and quantile, in the order they came; how many buckets or
  // quantiles each of them has.
  std::vector<std::vector<model::Label>> metrics;
  std::vector<uint64_t> parts;
  std::map<std::string, size_t, std::less<>> known;  // label bytes to the index in metrics
  std::vector<bool> repeated;                        // the same labels come again
};

struct Unit {
  std::string_view name;
  std::string_view base;
};

constexpr std::array<Unit, 24> kUnits = {{
    {"amperes", "amperes"},    {"bytes", "bytes"},     {"celsius", "celsius"},
    {"grams", "grams"},        {"joules", "joules"},   {"kelvin", "kelvin"},
    {"meters", "meters"},      {"metres", "metres"},   {"seconds", "seconds"},
    {"volts", "volts"},        {"minutes", "seconds"}, {"hours", "seconds"},
    {"days", "seconds"},       {"weeks", "seconds"},   {"kelvins", "kelvin"},
    {"fahrenheit", "celsius"}, {"rankine", "celsius"}, {"inches", "meters"},
    {"yards", "meters"},       {"miles", "meters"},    {"bits", "bytes"},
    {"calories", "joules"},    {"pounds", "grams"},    {"ounces", "grams"},
}};

constexpr std::array<std::string_view, 18> kUnitPrefixes = {
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo",
    "kibi", "mega", "mibi",  "giga",  "gibi",  "tera", "tebi", "peta",  "pebi"};

constexpr std::array<std::string_view, 14> kUnitAbbreviations = {
    "s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"};

const Unit* find_unit(std::string_view word) {
  const auto found = std::find_if(kUnits.begin(), kUnits.end(),
                                  [&](const Unit& unit) { return unit.name == word; });
  return found == kUnits.end() || word.empty() ? nullptr : &*found;
}

bool is_camel_case(std::string_view name) {
  for (size_t i = 1; i < name.size(); ++i) {
    const bool lower = name[i - 1] >= 'a' && name[i - 1] <= 'z';
    if (lower && name[i] >= 'A' && name[i] <= 'Z') return true;
  }
  return false;
}

// The word stands between underscores or at the end.
bool has_word(std::string_view name, std::string_view word) {
  const std::string with_mark = "_" + std::string(word);
  return name.ends_with(with_mark) || name.find(with_mark + "_") != std::string_view::npos;
}

class Linter {
 public:
  explicit Linter(std::string_view body) : body_(body) {}

  core::Result<LintReport> lint() {
    TRY(read());
    LintReport report;
    for (const auto& [name, family] : families_) {
      if (family.metrics.empty()) continue;
      lint_family(name, family, report.problems);
      report.cardinality.push_back({name, cardinality(family)});
    }
    std::stable_sort(report.problems.begin(), report.problems.end());
    std::stable_sort(report.cardinality.begin(), report.cardinality.end(),
                     [](const auto& a, const auto& b) { return a.series > b.series; });
    return report;
  }

 private:
  core::Result<void> read() {
    const auto parser = make_prometheus_text_parser(body_, {});
    Entry entry;
    for (;;) {
      TRY(parser->next(entry));
      switch (entry.kind) {
        case EntryKind::End:
          if (!body_.empty() && body_.back() != '\n') {
            return fail(body_.data() + body_.size(), "expected a line end");
          }
          return {};
        case EntryKind::Help:
        case EntryKind::Type:
          TRY(add_metadata(entry));
          break;
        case EntryKind::Sample:
          TRY(check_escapes(entry.key));
          labels_.clear();
          TRY(parser->append_labels(labels_));
          TRY(add_sample(entry.key.data()));
          break;
        case EntryKind::Unit:
        case EntryKind::Histogram:
          break;
      }
    }
  }

  template <typename... Args>
  tl::unexpected<core::Error> fail(const char* at, fmt::format_string<Args...> format,
                                   Args&&... args) const {
    return core::fail(core::ErrorCode::InvalidArgument, "{}: {}", text_place(body_, at),
                      fmt::format(format, std::forward<Args>(args)...));
  }

  core::Result<void> add_metadata(const Entry& entry) {
    // Names that were unescaped stand outside the body; those have no place of their own.
    const std::less_equal<const char*> before;
    const bool inside = before(body_.data(), entry.metric.data()) &&
                        before(entry.metric.data(), body_.data() + body_.size());
    const char* const at = inside ? entry.metric.data() : body_.data();
    Family& family = family_of(entry.metric);
    if (entry.kind == EntryKind::Type) {
      if (family.has_type) {
        return fail(at, "a second TYPE line of \"{}\", or one after its samples", entry.metric);
      }
      family.has_type = true;
      family.type = entry.type;
      return {};
    }
    if (core::trim(entry.text).empty()) return {};
    if (family.has_help) return fail(at, "a second HELP line of \"{}\"", entry.metric);
    family.has_help = true;
    return {};
  }

  core::Result<void> check_escapes(std::string_view key) const {
    for (size_t i = 0; i + 1 < key.size(); ++i) {
      if (key[i] != '\\') continue;
      ++i;
      if (key[i] != '\\' && key[i] != 'n' && key[i] != '"') {
        return fail(key.data() + i, "expected \\\\, \\n or \\\" as escape, found \"\\{}\"", key[i]);
      }
    }
    return {};
  }

  // The family a sample name belongs to: its own, or that of the summary or histogram
  // which it is a part of.
  Family& family_of(std::string_view name) {
    if (const auto found = families_.find(name); found != families_.end()) return found->second;
    for (const std::string_view suffix : {"_count", "_sum", "_bucket"}) {
      if (name.size() <= suffix.size() || !name.ends_with(suffix)) continue;
      const auto found = families_.find(name.substr(0, name.size() - suffix.size()));
      if (found == families_.end()) continue;
      const MetricType type = found->second.type;
      if (type == MetricType::Histogram || (type == MetricType::Summary && suffix != "_bucket")) {
        return found->second;
      }
    }
    return families_[std::string(name)];
  }

  core::Result<void> add_sample(const char* at) {
    const model::LabelsView view(labels_);
    Family& family = family_of(view.metric_name());
    family.has_type = true;
    const bool histogram = family.type == MetricType::Histogram;
    const bool summary = family.type == MetricType::Summary;
    const std::string_view part_name = histogram ? "le" : summary ? "quantile" : "";
    bool is_part = false;
    std::string identity;
    for (const model::Label& label : view) {
      if (label.name == model::kMetricName) continue;
      double number = 0;
      if (label.name == part_name) {
        if (!parse_exposition_float(label.value, number)) {
          return fail(at, "expected a number as value of the label {}, found \"{}\"", label.name,
                      label.value);
        }
        is_part = true;
        continue;
      }
      model::append_label(identity, label.name, label.value);
    }
    const auto [known, is_new] = family.known.try_emplace(identity, family.metrics.size());
    if (is_new || !(histogram || summary)) {
      if (!is_new) family.repeated[known->second] = true;
      known->second = family.metrics.size();
      std::vector<model::Label>& kept = family.metrics.emplace_back();
      for (const model::Label& label : model::LabelsView(keep(std::move(identity)))) {
        kept.push_back(label);
      }
      family.parts.push_back(0);
      family.repeated.push_back(false);
    }
    if (is_part) ++family.parts[known->second];
    return {};
  }

  // Label bytes that the views in families_ point to.
  const std::string& keep(std::string bytes) { return *kept_.insert(std::move(bytes)).first; }

  static uint64_t cardinality(const Family& family) {
    if (family.type != MetricType::Histogram && family.type != MetricType::Summary) {
      return family.metrics.size();
    }
    return family.metrics.size() * (2 + family.parts[0]);
  }

  static void lint_family(const std::string& name, const Family& family,
                          std::vector<LintProblem>& problems) {
    const auto problem = [&](std::string text) { problems.push_back({name, std::move(text)}); };
    if (!family.has_help) problem("no help text");
    lint_units(name, problem);
    const bool untyped = family.type == MetricType::Unknown;
    const bool counter = family.type == MetricType::Counter;
    if (counter && !name.ends_with("_total")) {
      problem("counter metrics should have \"_total\" suffix");
    } else if (!untyped && !counter && name.ends_with("_total")) {
      problem("non-counter metrics should not have \"_total\" suffix");
    }
    if (!untyped) lint_reserved(name, family, problem);
    if (name.find(':') != std::string::npos) problem("metric names should not contain ':'");
    if (is_camel_case(name)) {
      problem("metric names should be written in 'snake_case' not 'camelCase'");
    }
    for (size_t i = 0; i < family.metrics.size(); ++i) {
      for (const model::Label& label : family.metrics[i]) {
        if (is_camel_case(label.name)) {
          problem("label names should be written in 'snake_case' not 'camelCase'");
        }
      }
      if (family.repeated[i]) problem("metric not unique");
    }
  }

  template <typename Problem>
  static void lint_units(const std::string& name, const Problem& problem) {
    const auto base_of = [](std::string_view word) -> const Unit* {
      if (const Unit* unit = find_unit(word)) return unit;
      for (const std::string_view prefix : kUnitPrefixes) {
        if (!word.starts_with(prefix)) continue;
        if (const Unit* unit = find_unit(word.substr(prefix.size()))) return unit;
      }
      return nullptr;
    };
    size_t from = 0;
    while (from <= name.size()) {
      const size_t to = std::min(name.find('_', from), name.size());
      const std::string_view word = std::string_view(name).substr(from, to - from);
      from = to + 1;
      const Unit* const unit = base_of(word);
      if (unit == nullptr) continue;
      if (word != unit->base) {
        problem(fmt::format("use base unit \"{}\" instead of \"{}\"", unit->base, word));
      }
      break;  // the first unit counts
    }
    const std::string lower = core::lower(name);
    for (const std::string_view abbreviation : kUnitAbbreviations) {
      if (has_word(lower, abbreviation)) {
        problem("metric names should not contain abbreviated units");
      }
    }
  }

  template <typename Problem>
  static void lint_reserved(const std::string& name, const Family& family, const Problem& problem) {
    const bool histogram = family.type == MetricType::Histogram;
    const bool summary = family.type == MetricType::Summary;
    const std::string_view type = model::metric_type_name(family.type);
    if (has_word(core::lower(name), type)) {
      problem(fmt::format("metric name should not include type '{}'", type));
    }
    if (!histogram && name.ends_with("_bucket")) {
      problem("non-histogram metrics should not have \"_bucket\" suffix");
    }
    if (!histogram && !summary) {
      for (const std::string_view suffix : {"_count", "_sum"}) {
        if (!name.ends_with(suffix)) continue;
        problem(fmt::format("non-histogram and non-summary metrics should not have \"{}\" suffix",
                            suffix));
      }
    }
    for (const auto& labels : family.metrics) {
      for (const model::Label& label : labels) {
        if (!histogram && label.name == "le") {
          problem("non-histogram metrics should not have \"le\" label");
        }
        if (!summary && label.name == "quantile") {
          problem("non-summary metrics should not have \"quantile\" label");
        }
      }
    }
  }

  std::string_view body_;
  std::map<std::string, Family, std::less<>> families_;
  std::set<std::string> kept_;
  std::string labels_;
};

}  // namespace

core::Result<LintReport> lint_metrics(std::string_view body) {
  return Linter(body).lint();
}

}  // namespace ingest
