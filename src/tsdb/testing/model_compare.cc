#include "tsdb/testing/model_compare.h"

#include <algorithm>
#include <fmt/core.h>
#include <functional>
#include <map>
#include <set>

namespace tsdb::testing {
namespace {

using core::Result;
using model::Labels;
using model::TimeRange;
using storage::LabelsRequest;
using storage::SelectRequest;
using storage::SeriesSource;

constexpr TimeRange kAllTime{-(int64_t{1} << 60), int64_t{1} << 60};

struct Samples {
  std::vector<int64_t> times_ms;
  std::vector<double> values;
  std::vector<model::HistogramSample> histograms;
};
using BySeries = std::map<Labels, Samples>;

std::string text_of(const model::Matchers& matchers) {
  std::string text = "{";
  for (const model::Matcher& matcher : matchers) text += matcher.to_string() + ",";
  return text + "}";
}

std::string text_of(const LabelsRequest& request) {
  std::string text = fmt::format("tenant {} [{}, {}) limit {}", request.tenant,
                                 request.range.start_ms, request.range.end_ms, request.limit);
  for (const model::Matchers& matchers : request.matchers) text += " " + text_of(matchers);
  return text;
}

std::string text_of(const SelectRequest& request) {
  return fmt::format("tenant {} {} [{}, {}) sorted {} limit {}", request.tenant,
                     text_of(request.matchers), request.range.start_ms, request.range.end_ms,
                     request.sorted, request.limit);
}

// Also judges what a SeriesSet promises.
Result<BySeries> read(const SeriesSource& source, const SelectRequest& request) {
  const auto broken = [](std::string what) {
    return core::fail(core::ErrorCode::Corruption, "{}", what);
  };
  const std::unique_ptr<storage::SeriesSet> set = TRY(source.select(request));
  BySeries all;
  storage::SeriesBatch batch;
  Labels before;
  while (TRY(set->next(batch))) {
    for (size_t i = 0; i < batch.size(); ++i) {
      const auto times = batch.timestamps_of(i);
      const auto values = batch.values_of(i);
      const auto histograms = batch.histograms_of(i);
      const Labels& labels = batch.labels[i];
      if (request.sorted && !before.empty() && !(before < labels)) {
        return broken("not sorted: " + labels.to_string());
      }
      before = labels;
      for (size_t j = 0; j < times.size(); ++j) {
        if (!request.range.contains(times[j]) || (j > 0 && times[j] <= times[j - 1])) {
          return broken(fmt::format("{}: time {} out of place", labels.to_string(), times[j]));
        }
      }
      for (size_t j = 0; j < histograms.size(); ++j) {
        const int64_t time = histograms[j].timestamp_ms;
        if (!request.range.contains(time) || (j > 0 && time <= histograms[j - 1].timestamp_ms)) {
          return broken(fmt::format("{}: time {} out of place", labels.to_string(), time));
        }
      }
      Samples one{{times.begin(), times.end()},
                  {values.begin(), values.end()},
                  {histograms.begin(), histograms.end()}};
      if (one.times_ms.empty() && one.histograms.empty()) continue;
      if (!all.emplace(labels, std::move(one)).second) {
        return broken("twice: " + labels.to_string());
      }
    }
  }
  if (!set->warnings().empty()) return broken("warning: " + set->warnings().front());
  return all;
}

std::optional<std::string> difference(const Samples& got, const Samples& expected) {
  for (size_t i = 0; i < std::max(got.times_ms.size(), expected.times_ms.size()); ++i) {
    if (i >= expected.times_ms.size() ||
        (i < got.times_ms.size() && got.times_ms[i] < expected.times_ms[i])) {
      return fmt::format("{} at {} should not be there", got.values[i], got.times_ms[i]);
    }
    if (i >= got.times_ms.size() || got.times_ms[i] > expected.times_ms[i]) {
      return fmt::format("{} at {} is missing", expected.values[i], expected.times_ms[i]);
    }
    if (!model::same_bits(got.values[i], expected.values[i])) {
      return fmt::format("{} at {} should be {}", got.values[i], got.times_ms[i],
                         expected.values[i]);
    }
  }
  const auto& a = got.histograms;
  const auto& b = expected.histograms;
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i >= b.size() || (i < a.size() && a[i].timestamp_ms < b[i].timestamp_ms)) {
      return fmt::format("a histogram at {} should not be there", a[i].timestamp_ms);
    }
    if (i >= a.size() || a[i].timestamp_ms > b[i].timestamp_ms) {
      return fmt::format("the histogram at {} is missing", b[i].timestamp_ms);
    }
    if (!same_bits(a[i].histogram, b[i].histogram)) {
      return fmt::format("the histogram at {} is another", a[i].timestamp_ms);
    }
  }
  return std::nullopt;
}

std::optional<std::string> compare_select(const SeriesSource& engine, const ModelStore& model,
                                          const SelectRequest& request) {
  const auto where = [&](const std::string& what) {
    return fmt::format("select {}: {}", text_of(request), what);
  };
  const Result<BySeries> got = read(engine, request);
  if (!got) return where(got.error().message);
  SelectRequest unlimited = request;
  unlimited.limit = 0;
  const Result<BySeries> expected = read(model, unlimited);
  if (!expected) return where("the model: " + expected.error().message);
  for (const auto& [labels, samples] : *got) {
    const auto found = expected->find(labels);
    if (found == expected->end()) return where(labels.to_string() + " should not be there");
    if (const auto different = difference(samples, found->second)) {
      return where(labels.to_string() + ": " + *different);
    }
  }
  if (request.limit != 0) {
    if (got->size() > request.limit) return where("more series than the limit");
    return std::nullopt;
  }
  for (const auto& [labels, samples] : *expected) {
    if (!got->contains(labels)) return where(labels.to_string() + " is missing");
  }
  return std::nullopt;
}

// `least` <= got <= `most`.
template <typename One>
std::optional<std::string> compare_sets(const std::vector<One>& got, const std::vector<One>& least,
                                        const std::vector<One>& most, uint64_t limit,
                                        const std::function<std::string(const One&)>& text) {
  const std::set<One> have(got.begin(), got.end());
  const std::set<One> allowed(most.begin(), most.end());
  if (have.size() != got.size()) return "something comes twice";
  for (const One& one : have) {
    if (!allowed.contains(one)) return text(one) + " should not be there";
  }
  if (limit != 0) {
    if (got.size() > limit) return "more than the limit";
    if (got.size() < std::min<size_t>(limit, least.size())) return "fewer than there are";
    return std::nullopt;
  }
  for (const One& one : least) {
    if (!have.contains(one)) return text(one) + " is missing";
  }
  return std::nullopt;
}

std::optional<std::string> compare_labels(const SeriesSource& engine, const ModelStore& model,
                                          const ModelWords& words, LabelsRequest request,
                                          core::Rng& rng) {
  const auto where = [&](std::string_view what, const std::string& problem) {
    return fmt::format("{} {}: {}", what, text_of(request), problem);
  };
  const std::vector<Labels> ever = model.ever(request);
  const std::function<std::string(const std::string&)> quoted = [](const std::string& one) {
    return "\"" + one + "\"";
  };
  const std::string name = words.labels[rng.below(words.labels.size())].first;
  std::set<std::string> names;
  std::set<std::string> values;
  for (const Labels& labels : ever) {
    for (const model::Label& label : labels) names.emplace(label.name);
    if (!labels.get(name).empty()) values.emplace(labels.get(name));
  }
  LabelsRequest unlimited = request;
  unlimited.limit = 0;

  const auto series = engine.series(request);
  if (!series) return where("series", series.error().message);
  if (auto problem = compare_sets<Labels>(*series, *model.series(unlimited), ever, request.limit,
                                          [](const Labels& one) { return one.to_string(); })) {
    return where("series", *problem);
  }
  const auto got_names = engine.label_names(request);
  if (!got_names) return where("label names", got_names.error().message);
  if (auto problem =
          compare_sets<std::string>(*got_names, *model.label_names(unlimited),
                                    {names.begin(), names.end()}, request.limit, quoted)) {
    return where("label names", *problem);
  }
  const auto got_values = engine.label_values(name, request);
  if (!got_values) return where("label values", got_values.error().message);
  if (auto problem =
          compare_sets<std::string>(*got_values, *model.label_values(name, unlimited),
                                    {values.begin(), values.end()}, request.limit, quoted)) {
    return where("label values of " + name, *problem);
  }
  if (!std::is_sorted(got_names->begin(), got_names->end()) ||
      !std::is_sorted(got_values->begin(), got_values->end())) {
    return where("label names or values", "not sorted");
  }
  return std::nullopt;
}

std::optional<std::string> compare_exemplars(const SeriesSource& engine, const ModelStore& model,
                                             const LabelsRequest& request) {
  const auto got = engine.exemplars(request);
  const auto expected = model.exemplars(request);
  if (!got) return "exemplars: " + got.error().message;
  if (got->size() != expected->size()) {
    return fmt::format("exemplars {}: {} series, expected {}", text_of(request), got->size(),
                       expected->size());
  }
  for (size_t i = 0; i < got->size(); ++i) {
    const storage::ExemplarSeries& a = (*got)[i];
    const storage::ExemplarSeries& b = (*expected)[i];
    const bool same =
        a.labels == b.labels &&
        std::equal(a.exemplars.begin(), a.exemplars.end(), b.exemplars.begin(), b.exemplars.end(),
                   [](const model::Exemplar& x, const model::Exemplar& y) {
                     return x.labels == y.labels && x.timestamp_ms == y.timestamp_ms &&
                            model::same_bits(x.value, y.value);
                   });
    if (!same) {
      return fmt::format("exemplars {}: those of {} differ ({}, expected {})", text_of(request),
                         b.labels.to_string(), a.exemplars.size(), b.exemplars.size());
    }
  }
  return std::nullopt;
}

std::optional<std::string> compare_metadata(const SeriesSource& engine, const ModelStore& model,
                                            const model::TenantId& tenant,
                                            const std::string& metric) {
  const auto got = engine.metadata(tenant, metric);
  if (!got) return "metadata: " + got.error().message;
  if (*got == *model.metadata(tenant, metric)) return std::nullopt;
  return fmt::format("metadata of tenant {} metric \"{}\" differs", tenant, metric);
}

}  // namespace

namespace {

// Precondition: the expression compiles.
model::Matcher regex(model::MatchType type, const std::string& name, const std::string& text) {
  Result<model::Matcher> matcher = model::Matcher::create(type, name, text);
  ENSURE(matcher.has_value());
  return *std::move(matcher);
}

std::string quote(const std::string& literal) {
  std::string quoted;
  for (const char c : literal) {
    if (c == '+' || c == '.') quoted += '\\';
    quoted += c;
  }
  return quoted;
}

}  // namespace

const model::TenantId& random_tenant(const ModelWords& words, core::Rng& rng) {
  return words.tenants[rng.below(3) == 0 ? rng.below(words.tenants.size()) : 0];
}

model::Matchers random_matchers(const ModelWords& words, core::Rng& rng) {
  using model::Matcher;
  using model::MatchType;
  model::Matchers matchers;
  if (rng.below(8) != 0) {
    const std::string& metric = words.metrics[rng.below(words.metrics.size())];
    if (rng.below(5) != 0) {
      matchers.push_back(Matcher::equal("__name__", metric));
    } else {
      const std::string pattern = metric.substr(0, 1 + rng.below(metric.size())) + ".*";
      matchers.push_back(regex(MatchType::Regex, "__name__", pattern));
    }
  }
  for (uint64_t count = rng.below(3); count > 0; --count) {
    const auto& [name, value] = words.labels[rng.below(words.labels.size())];
    const std::string either =
        quote(value) + "|" + quote(words.labels[rng.below(words.labels.size())].second);
    switch (rng.below(7)) {
      case 0:
        matchers.push_back(regex(MatchType::NotEqual, name, value));
        break;
      case 1:
        matchers.push_back(regex(MatchType::Regex, name, either));
        break;
      case 2:
        matchers.push_back(regex(MatchType::NotRegex, name, either));
        break;
      case 3:  // absent
        matchers.push_back(Matcher::equal(name, ""));
        break;
      case 4:  // present
        matchers.push_back(regex(MatchType::Regex, name, ".+"));
        break;
      default:
        matchers.push_back(Matcher::equal(name, value));
    }
  }
  return matchers;
}

TimeRange random_range(const ModelWords& words, core::Rng& rng) {
  constexpr int64_t kHour = 3'600'000;
  const int64_t span = words.end_ms - words.start_ms + 1;
  switch (rng.below(6)) {
    case 0:
      return kAllTime;
    case 1: {  // one moment
      const int64_t at = words.end_ms - static_cast<int64_t>(rng.below(span));
      return {at, at + 1};
    }
    case 2: {  // ends on a block's border, where one more or less shows
      const int64_t border =
          (words.end_ms - static_cast<int64_t>(rng.below(span))) / (2 * kHour) * (2 * kHour);
      const auto off = static_cast<int64_t>(rng.below(3)) - 1;
      return {border - static_cast<int64_t>(rng.below(5 * kHour)), border + off};
    }
    case 3:  // the present
      return {words.end_ms - static_cast<int64_t>(rng.below(kHour)), words.end_ms + 1};
    default: {
      const int64_t start = words.start_ms + static_cast<int64_t>(rng.below(span));
      return {start, start + static_cast<int64_t>(rng.below(6 * kHour))};
    }
  }
}

std::optional<std::string> compare_stored(const SeriesSource& engine, const ModelStore& model,
                                          const ModelWords& words, core::Rng& rng) {
  const model::TenantId& tenant = random_tenant(words, rng);
  const uint64_t kind = rng.below(10);
  if (kind < 6) {
    SelectRequest request;
    request.tenant = tenant;
    request.matchers = random_matchers(words, rng);
    request.range = random_range(words, rng);
    request.sorted = rng.below(2) == 0;
    if (rng.below(8) == 0) request.limit = 1 + rng.below(20);
    return compare_select(engine, model, request);
  }
  LabelsRequest request;
  request.tenant = tenant;
  for (uint64_t count = rng.below(3); count > 0; --count) {
    request.matchers.push_back(random_matchers(words, rng));
  }
  request.range = random_range(words, rng);
  if (kind == 6) return compare_exemplars(engine, model, request);
  if (kind == 7) {
    const bool all = rng.below(2) == 0;
    return compare_metadata(engine, model, tenant,
                            all ? "" : words.metrics[rng.below(words.metrics.size())]);
  }
  if (rng.below(6) == 0) request.limit = 1 + rng.below(20);
  return compare_labels(engine, model, words, request, rng);
}

std::optional<std::string> compare_all(const SeriesSource& engine, const ModelStore& model,
                                       const ModelWords& words) {
  for (const model::TenantId& tenant : words.tenants) {
    SelectRequest request;
    request.tenant = tenant;
    request.range = kAllTime;
    if (auto different = compare_select(engine, model, request)) return different;
  }
  return std::nullopt;
}

}  // namespace tsdb::testing
