#include "model/relabel.h"

#include "core/utf8.h"
#include "model/anchored_regex.h"

#include <algorithm>
#include <array>
#include <clocale>
#include <cwctype>
#include <openssl/evp.h>
#include <re2/re2.h>

namespace model {
namespace {

using core::ErrorCode;

struct ActionName {
  RelabelAction action;
  std::string_view name;
};
constexpr std::array<ActionName, 11> kActions = {{
    {RelabelAction::Replace, "replace"},
    {RelabelAction::Keep, "keep"},
    {RelabelAction::Drop, "drop"},
    {RelabelAction::KeepEqual, "keepequal"},
    {RelabelAction::DropEqual, "dropequal"},
    {RelabelAction::HashMod, "hashmod"},
    {RelabelAction::LabelMap, "labelmap"},
    {RelabelAction::LabelDrop, "labeldrop"},
    {RelabelAction::LabelKeep, "labelkeep"},
    {RelabelAction::Lowercase, "lowercase"},
    {RelabelAction::Uppercase, "uppercase"},
}};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const char c = text.front();
    const size_t size = core::utf8_sequence_length(text);
    if (size == 0 || static_cast<uint8_t>(c) < 0x20 || c == 0x7f) {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : fmt::format("\\x{:02x}", uint8_t(c));
      text.remove_prefix(1);
      continue;
    }
    if (c == '"' || c == '\\') out += '\\';
    out += text.substr(0, size);
    text.remove_prefix(size);
  }
  return out + '"';
}

bool is_valid_name(std::string_view name, NameScheme scheme) {
  if (scheme == NameScheme::Legacy) return is_legacy_label_name(name);
  return !name.empty() && core::is_utf8(name);
}

// The same for a name that may refer to groups, whose values are not known yet.
bool is_valid_name_template(const std::string& text, NameScheme scheme) {
  if (scheme == NameScheme::Utf8) return is_valid_name(text, scheme);
  static const re2::RE2 kLegacy(R"((?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+)");
  return re2::RE2::FullMatch(text, kLegacy);
}

core::Result<void> check(const RelabelConfig& config, NameScheme scheme) {
  const RelabelAction action = config.action;
  const std::string_view name = relabel_action_name(action);
  const auto is_any = [action](std::initializer_list<RelabelAction> actions) {
    return std::find(actions.begin(), actions.end(), action) != actions.end();
  };
  using enum RelabelAction;
  const bool fixed_target = is_any({HashMod, Lowercase, Uppercase, KeepEqual, DropEqual});
  const std::string& target = config.target_label;
  const RelabelConfig defaults;

  if (action == HashMod && config.modulus == 0) {
    return core::fail(ErrorCode::InvalidArgument,
                      "relabel configuration for hashmod requires non-zero modulus");
  }
  if ((action == Replace || fixed_target) && target.empty()) {
    return core::fail(ErrorCode::InvalidArgument,
                      "relabel configuration for {} action requires 'target_label' value", name);
  }
  const bool good_target = target.find('$') == std::string::npos || fixed_target
                               ? is_valid_name(target, scheme)
                               : is_valid_name_template(target, scheme);
  if ((action == Replace || fixed_target) && action != HashMod && !good_target) {
    return core::fail(ErrorCode::InvalidArgument, "{} is invalid 'target_label' for {} action",
                      quoted(target), name);
  }
  if (is_any({Lowercase, Uppercase, KeepEqual, DropEqual}) &&
      config.replacement != defaults.replacement) {
    return core::fail(ErrorCode::InvalidArgument, "'replacement' can not be set for {} action",
                      name);
  }
  if (action == LabelMap && !is_valid_name_template(config.replacement, scheme)) {
    return core::fail(ErrorCode::InvalidArgument, "{} is invalid 'replacement' for {} action",
                      quoted(config.replacement), name);
  }
  if (action == HashMod && !good_target) {
    return core::fail(ErrorCode::InvalidArgument, "{} is invalid 'target_label' for {} action",
                      quoted(target), name);
  }
  const bool only_names = config.modulus == 0 && config.separator == defaults.separator &&
                          config.replacement == defaults.replacement;
  if (is_any({KeepEqual, DropEqual}) && (config.has_regex || !only_names)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "{} action requires only 'source_labels' and `target_label`, and no other "
                      "fields",
                      name);
  }
  if (is_any({LabelDrop, LabelKeep}) &&
      (!config.source_labels.empty() || !target.empty() || !only_names)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "{} action requires only 'regex', and no other fields", name);
  }
  return {};
}

// Simple case mapping of Unicode, one code point to one, whatever the process's locale.
std::string with_case(std::string_view text, bool upper) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto c = static_cast<uint8_t>(text.front());
    if (c < 0x80) {
      const bool changes = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
      out += static_cast<char>(changes ? c ^ 0x20 : c);
      text.remove_prefix(1);
      continue;
    }
    const size_t size = core::utf8_sequence_length(text);
    if (size == 0) {
      core::append_utf8(out, 0xfffd);
      text.remove_prefix(1);
      continue;
    }
    uint32_t point = c & (0x7fU >> size);
    for (size_t i = 1; i < size; ++i) point = point << 6 | (uint8_t(text[i]) & 0x3fU);
    static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (unicode != nullptr) {
      point =
          static_cast<uint32_t>(upper ? towupper_l(point, unicode) : towlower_l(point, unicode));
    }
    core::append_utf8(out, point);
    text.remove_prefix(size);
  }
  return out;
}

// The last eight bytes of the MD5 sum.
uint64_t hash_of(std::string_view text) {
  static const EVP_MD* const md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  std::array<uint8_t, 16> sum{};
  ENSURE(md5 != nullptr &&
         EVP_Digest(text.data(), text.size(), sum.data(), nullptr, md5, nullptr) == 1);
  uint64_t hash = 0;
  for (size_t i = 8; i < sum.size(); ++i) hash = hash << 8 | sum[i];
  return hash;
}

}  // namespace

std::string_view relabel_action_name(RelabelAction action) {
  for (const ActionName& entry : kActions) {
    if (entry.action == action) return entry.name;
  }
  return "?";
}

core::Result<RelabelAction> parse_relabel_action(std::string_view name) {
  const std::string lower = with_case(name, false);
  for (const ActionName& entry : kActions) {
    if (entry.name == lower) return entry.action;
  }
  return core::fail(ErrorCode::InvalidArgument, "unknown relabel action {}", quoted(name));
}

struct RelabelRule::Compiled {
  RelabelConfig config;
  NameScheme scheme;
  AnchoredRegex regex;
  GroupTemplate target;
  GroupTemplate replacement;

  std::string_view source_value(const LabelsBuilder& labels, std::string& buffer) const;
  void replace(LabelsBuilder& labels, std::string_view value) const;
  void map_labels(LabelsBuilder& labels) const;
};

// The values of the source labels, joined; `buffer` keeps them when there are several.
std::string_view RelabelRule::Compiled::source_value(const LabelsBuilder& labels,
                                                     std::string& buffer) const {
  const auto& names = config.source_labels;
  if (names.empty()) return {};
  if (names.size() == 1) return labels.get(names.front());
  for (size_t i = 0; i < names.size(); ++i) {
    if (i > 0) buffer += config.separator;
    buffer += labels.get(names[i]);
  }
  return buffer;
}

void RelabelRule::Compiled::replace(LabelsBuilder& labels, std::string_view value) const {
  if (regex.is_default() && target.is_literal()) {
    if (replacement.is_literal()) {
      labels.set(target.text(), replacement.text());
      return;
    }
    if (replacement.is_first_group()) {
      labels.set(target.text(), value);
      return;
    }
  }
  const size_t group_count = std::max(target.group_count(), replacement.group_count());
  std::string result;
  std::string name;
  if (target.is_literal() && replacement.is_literal()) {
    if (!regex.matches(value)) return;
    result = replacement.text();
    name = target.text();
  } else {
    std::array<std::string_view, 8> few;
    std::vector<std::string_view> many(group_count < few.size() ? 0 : group_count + 1);
    const std::span<std::string_view> groups =
        many.empty() ? std::span(few.data(), group_count + 1) : std::span(many);
    if (!regex.capture(value, groups)) return;
    target.append(name, groups);
    replacement.append(result, groups);
  }
  if (!is_valid_name(name, scheme)) return;
  labels.set(name, result);
}

void RelabelRule::Compiled::map_labels(LabelsBuilder& labels) const {
  std::vector<std::pair<std::string, std::string>> mapped;
  labels.for_each([this, &mapped](const Label& label) {
    if (!regex.matches(label.name)) return;
    mapped.emplace_back(
        regex.replace_all(label.name, replacement.group_count(),
                          [this](std::string& out, std::span<const std::string_view> groups) {
                            replacement.append(out, groups);
                          }),
        label.value);
  });
  for (const auto& [name, value] : mapped) labels.set(name, value);
}

RelabelRule::RelabelRule(std::shared_ptr<const Compiled> compiled)
    : compiled_(std::move(compiled)) {}

core::Result<RelabelRule> RelabelRule::create(RelabelConfig config, NameScheme scheme) {
  AnchoredRegex regex = TRY(AnchoredRegex::create(config.regex));
  TRY(check(config, scheme));
  GroupTemplate target(config.target_label, regex);
  GroupTemplate replacement(config.replacement, regex);
  return RelabelRule(std::make_shared<const Compiled>(Compiled{
      std::move(config), scheme, std::move(regex), std::move(target), std::move(replacement)}));
}

const RelabelConfig& RelabelRule::config() const {
  return compiled_->config;
}

NameScheme RelabelRule::scheme() const {
  return compiled_->scheme;
}

bool RelabelRule::operator==(const RelabelRule& other) const {
  return compiled_ == other.compiled_ || (config() == other.config() && scheme() == other.scheme());
}

bool RelabelRule::apply(LabelsBuilder& labels) const {
  const Compiled& rule = *compiled_;
  const RelabelConfig& config = rule.config;
  std::string buffer;
  const std::string_view value = rule.source_value(labels, buffer);
  switch (config.action) {
    case RelabelAction::Replace:
      rule.replace(labels, value);
      return true;
    case RelabelAction::Keep:
      return rule.regex.matches(value);
    case RelabelAction::Drop:
      return !rule.regex.matches(value);
    case RelabelAction::KeepEqual:
      return labels.get(config.target_label) == value;
    case RelabelAction::DropEqual:
      return labels.get(config.target_label) != value;
    case RelabelAction::HashMod:
      labels.set(config.target_label, fmt::format("{}", hash_of(value) % config.modulus));
      return true;
    case RelabelAction::LabelMap:
      rule.map_labels(labels);
      return true;
    case RelabelAction::LabelDrop:
      labels.remove_if([&](const Label& label) { return rule.regex.matches(label.name); });
      return true;
    case RelabelAction::LabelKeep:
      labels.remove_if([&](const Label& label) { return !rule.regex.matches(label.name); });
      return true;
    case RelabelAction::Lowercase:
    case RelabelAction::Uppercase:
      labels.set(config.target_label, with_case(value, config.action == RelabelAction::Uppercase));
      return true;
  }
  return true;
}

bool relabel(std::span<const RelabelRule> rules, LabelsBuilder& labels) {
  return std::all_of(rules.begin(), rules.end(),
                     [&labels](const RelabelRule& rule) { return rule.apply(labels); });
}

}  // namespace model
