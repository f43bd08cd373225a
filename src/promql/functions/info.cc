// info(v, {selectors}): adds labels of info series, by default those of target_info,
// to the series of v that share job and instance with them. Experimental.

#include "promql/functions/families.h"

#include <algorithm>
#include <array>
#include <map>
#include <re2/re2.h>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>

namespace promql {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kTargetInfo = "target_info";
constexpr std::array<std::string_view, 2> kIdentifying = {"instance", "job"};

class InfoFunction {
 public:
  InfoFunction(const Call& call, const Context& context) : context_(context) {
    if (call.arguments.size() > 1) {
      for (const model::Matcher& matcher : as<VectorSelector>(*call.arguments[1]).matchers) {
        (matcher.name() == model::kMetricName ? name_matchers_ : data_matchers_).push_back(matcher);
      }
    }
    if (name_matchers_.empty()) {
      name_matchers_.push_back(
          model::Matcher::equal(std::string(model::kMetricName), std::string(kTargetInfo)));
    }
  }

  Result<std::vector<Column>> run(std::vector<Column> base) {
    std::vector<bool> is_info(base.size());
    for (size_t i = 0; i < base.size(); ++i) is_info[i] = is_info_series(base[i]);
    TRY(read_info_series(base, is_info));
    std::unordered_map<std::string, size_t> known;
    std::vector<Column> out;
    for (size_t i = 0; i < base.size(); ++i) {
      TRY(context_.query.check());
      if (is_info[i]) {
        out.push_back(std::move(base[i]));
        continue;
      }
      TRY(enrich(base[i], known, out));
    }
    return out;
  }

 private:
  bool is_info_series(const Column& column) const {
    const std::string_view name = column.labels.metric_name();
    return std::any_of(name_matchers_.begin(), name_matchers_.end(),
                       [&](const model::Matcher& matcher) { return matcher.matches(name); });
  }

  Result<void> read_info_series(const std::vector<Column>& base, const std::vector<bool>& is_info) {
    std::map<std::string_view, std::set<std::string>> wanted;
    for (size_t i = 0; i < base.size(); ++i) {
      if (is_info[i]) continue;
      for (const std::string_view label : kIdentifying) {
        const std::string_view value = base[i].labels.get(label);
        if (!value.empty()) wanted[label].emplace(value);
      }
    }
    if (wanted.empty()) return {};
    VectorSelector selector;
    selector.matchers = name_matchers_;
    for (const model::Matcher& matcher : data_matchers_) selector.matchers.push_back(matcher);
    for (const auto& [label, values] : wanted) {
      std::string pattern;
      for (const std::string& value : values) {
        if (!pattern.empty()) pattern += '|';
        pattern += RE2::QuoteMeta(value);
      }
      selector.matchers.push_back(
          TRY(model::Matcher::create(model::MatchType::Regex, std::string(label), pattern)));
    }
    // Cells are the times of the samples: of two info series the newer one counts.
    auto source = TRY(build_selector(selector, context_, true));
    Charge charge(context_.query);
    std::vector<Column> columns = TRY(collect(*source, context_, charge));
    for (Column& column : columns) {
      by_identity_[identity(column.labels)][std::string(column.labels.metric_name())].push_back(
          std::move(column));
    }
    return {};
  }

  static std::string identity(const model::Labels& labels) {
    std::string bytes;
    for (const std::string_view label : kIdentifying) {
      model::append_label(bytes, label, labels.get(label));
    }
    return bytes;
  }

  // The newest of the info series of one name at a step; nullptr when there is none.
  Result<const Column*> newest(const std::vector<Column>& candidates, size_t i) const {
    const Column* best = nullptr;
    for (const Column& one : candidates) {
      if (one.cells[i] == Cell::Absent) continue;
      if (best != nullptr && best->values[i] == one.values[i]) {
        return core::fail(ErrorCode::InvalidArgument,
                          "found duplicate series for info metric: existing {} @ {}, new {} @ {}",
                          best->labels.to_string(), context_.steps.at(i), one.labels.to_string(),
                          context_.steps.at(i));
      }
      if (best == nullptr || one.values[i] > best->values[i]) best = &one;
    }
    return best;
  }

  bool is_asked_for(std::string_view label) const {
    if (data_matchers_.empty()) return true;
    return std::any_of(data_matchers_.begin(), data_matchers_.end(),
                       [&](const model::Matcher& matcher) { return matcher.name() == label; });
  }

  // The labels to add at a step.
  Result<std::map<std::string, std::string>> additions(const Column& base, size_t i) const {
    std::map<std::string, std::string> added;
    const auto found = by_identity_.find(identity(base.labels));
    if (found == by_identity_.end()) return added;
    for (const auto& [name, candidates] : found->second) {
      const Column* info = TRY(newest(candidates, i));
      if (info == nullptr) continue;
      for (const model::Label& label : info->labels) {
        if (label.name == model::kMetricName || !is_asked_for(label.name)) continue;
        const auto before = added.find(std::string(label.name));
        if (before != added.end() && before->second != label.value) {
          return core::fail(ErrorCode::InvalidArgument, "conflicting label: {}", label.name);
        }
        if (base.labels.get(label.name).empty()) {
          added.emplace(label.name, label.value);
        }
      }
    }
    return added;
  }

  Result<void> enrich(const Column& base, std::unordered_map<std::string, size_t>& known,
                      std::vector<Column>& out) const {
    const bool all_may_be_empty =
        std::all_of(data_matchers_.begin(), data_matchers_.end(),
                    [](const model::Matcher& matcher) { return matcher.matches_empty(); });
    for (size_t i = 0; i < base.size(); ++i) {
      if (base.cells[i] == Cell::Absent) continue;
      const auto added = TRY(additions(base, i));
      if (added.empty() && !all_may_be_empty) continue;
      model::LabelsBuilder builder(base.labels);
      for (const auto& [name, value] : added) builder.set(name, value);
      model::Labels labels = builder.build();
      const auto [place, is_new] = known.try_emplace(labels.bytes(), out.size());
      if (is_new) {
        out.emplace_back();
        out.back().reset(base.size());
        out.back().labels = std::move(labels);
        out.back().drop_name = base.drop_name;
      }
      Column& column = out[place->second];
      if (column.cells[i] != Cell::Absent) return tl::unexpected(same_labelset_error());
      column.copy_cell(i, base, i);
    }
    return {};
  }

  Context context_;
  model::Matchers name_matchers_;
  model::Matchers data_matchers_;
  std::unordered_map<std::string, std::map<std::string, std::vector<Column>>> by_identity_;
};

}  // namespace

BuildResult build_info(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  auto charge = std::make_unique<Charge>(context.query);
  return lazily(context,
                [&call, context, source = std::move(source),
                 charge = std::move(charge)]() mutable -> Result<std::vector<Column>> {
                  std::vector<Column> base = TRY(collect(*source, context, *charge));
                  return InfoFunction(call, context).run(std::move(base));
                });
}

}  // namespace promql
