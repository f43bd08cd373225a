// label_replace and label_join.

#include "core/utf8.h"
#include "promql/functions/families.h"

#include <re2/re2.h>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace promql {

using core::ErrorCode;
using core::Result;

namespace {

bool is_name_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

// A capture group by number or name; -1 when there is none.
int group_index(const RE2& regex, std::string_view name) {
  if (name.find_first_not_of("0123456789") == std::string_view::npos) {
    if (name.size() > 4 || (name.size() > 1 && name[0] == '0')) return -1;
    int index = 0;
    for (const char digit : name) index = index * 10 + (digit - '0');
    return index <= regex.NumberOfCapturingGroups() ? index : -1;
  }
  const auto found = regex.NamedCapturingGroups().find(std::string(name));
  return found == regex.NamedCapturingGroups().end() ? -1 : found->second;
}

// Go's Regexp.Expand: $1, ${1}, $name, ${name}, $$; the longest name is taken.
std::string expand(const RE2& regex, std::string_view text,
                   const std::vector<re2::StringPiece>& groups) {
  std::string out;
  while (!text.empty()) {
    if (text[0] != '$') {
      out += text[0];
      text.remove_prefix(1);
      continue;
    }
    if (text.size() > 1 && text[1] == '$') {
      out += '$';
      text.remove_prefix(2);
      continue;
    }
    const bool braced = text.size() > 1 && text[1] == '{';
    const size_t begin = braced ? 2 : 1;
    size_t end = begin;
    while (end < text.size() && is_name_character(text[end])) ++end;
    const bool closed = !braced || (end < text.size() && text[end] == '}');
    if (end == begin || !closed) {
      out += '$';
      text.remove_prefix(1);
      continue;
    }
    const int index = group_index(regex, text.substr(begin, end - begin));
    if (index >= 0) {
      const re2::StringPiece& group = groups[static_cast<size_t>(index)];
      out.append(group.data() == nullptr ? "" : group.data(), group.size());
    }
    text.remove_prefix(end + (braced ? 1 : 0));
  }
  return out;
}

bool is_label_name(const std::string& name) {
  return !name.empty() && core::is_utf8(name);
}

// Both functions only change labels; equal ones are then put together.
template <typename Change>
std::unique_ptr<VectorOperator> relabeled(std::unique_ptr<VectorOperator> source,
                                          const Context& context, Change change) {
  return merged(changed(std::move(source), std::move(change)), context, MergeRule::PerStep);
}

}  // namespace

BuildResult build_label_replace(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  std::string target = string_value(*call.arguments[1]);
  std::string replacement = string_value(*call.arguments[2]);
  std::string from = string_value(*call.arguments[3]);
  const std::string pattern = string_value(*call.arguments[4]);

  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  auto regex = std::make_shared<const RE2>("^(?s:" + pattern + ")$", options);
  if (!regex->ok()) {
    return core::fail(ErrorCode::InvalidArgument,
                      "invalid regular expression in label_replace(): {}", pattern);
  }
  if (!is_label_name(target)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "invalid destination label name in label_replace(): {}", target);
  }
  return relabeled(std::move(source), context,
                   [regex = std::move(regex), target = std::move(target),
                    replacement = std::move(replacement), from = std::move(from)](Column& column) {
                     const std::string_view value = column.labels.get(from);
                     const auto count = static_cast<size_t>(regex->NumberOfCapturingGroups()) + 1;
                     std::vector<re2::StringPiece> groups(count);
                     const re2::StringPiece text(value.data(), value.size());
                     if (!regex->Match(text, 0, value.size(), RE2::UNANCHORED, groups.data(),
                                       static_cast<int>(count))) {
                       return;
                     }
                     const std::string replaced = expand(*regex, replacement, groups);
                     column.labels =
                         model::LabelsBuilder(column.labels).set(target, replaced).build();
                     if (target == model::kMetricName) column.drop_name = false;
                   });
}

BuildResult build_label_join(const Call& call, const Context& context) {
  auto source = TRY(build_vector(*call.arguments[0], context));
  std::string target = string_value(*call.arguments[1]);
  std::string separator = string_value(*call.arguments[2]);
  std::vector<std::string> from;
  for (size_t i = 3; i < call.arguments.size(); ++i) {
    from.push_back(string_value(*call.arguments[i]));
    if (!is_label_name(from.back())) {
      return core::fail(ErrorCode::InvalidArgument, "invalid source label name in label_join(): {}",
                        from.back());
    }
  }
  if (!is_label_name(target)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "invalid destination label name in label_join(): {}", target);
  }
  return relabeled(std::move(source), context,
                   [target = std::move(target), separator = std::move(separator),
                    from = std::move(from)](Column& column) {
                     std::string joined;
                     for (size_t i = 0; i < from.size(); ++i) {
                       if (i > 0) joined += separator;
                       joined += column.labels.get(from[i]);
                     }
                     column.labels =
                         model::LabelsBuilder(column.labels).set(target, joined).build();
                     if (target == model::kMetricName) column.drop_name = false;
                   });
}

}  // namespace promql
