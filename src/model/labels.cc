#include "model/labels.h"

#include "core/bytes.h"
#include "core/utf8.h"
#include "core/varint.h"

#include <algorithm>
#include <bit>

namespace model {
namespace {

using core::ErrorCode;

// Tags of `Label` in a TimeSeries and of name and value in a Label: all
// length-delimited fields 1, 1 and 2.
constexpr char kLabelTag = 0x0a;
constexpr char kNameTag = 0x0a;
constexpr char kValueTag = 0x12;

bool take_field(std::string_view& bytes, char tag, std::string_view& content) {
  if (bytes.empty() || bytes.front() != tag) return false;
  bytes.remove_prefix(1);
  return core::take_string(bytes, content);
}

// The form that nearly every label has: name, then value, all lengths below 128.
bool take_short_label(std::string_view& bytes, Label& label) {
  constexpr size_t kHead = 4;  // tag and length of the label, tag and length of its name
  if (bytes.size() < kHead + 2) return false;
  const auto length_at = [bytes](size_t i) { return static_cast<uint8_t>(bytes[i]); };
  const size_t inner = length_at(1);
  const size_t name_size = length_at(3);
  const size_t value_at = kHead + name_size;  // of its tag
  if (inner >= 128 || name_size >= 128 || 2 + inner > bytes.size() || value_at + 2 > 2 + inner) {
    return false;
  }
  const size_t value_size = length_at(value_at + 1);
  if (bytes[0] != kLabelTag || bytes[2] != kNameTag || bytes[value_at] != kValueTag ||
      value_at + 2 + value_size != 2 + inner) {
    return false;
  }
  label.name = bytes.substr(kHead, name_size);
  label.value = bytes.substr(value_at + 2, value_size);
  bytes.remove_prefix(2 + inner);
  return true;
}

// Reads one Label; its fields may come in any order or be absent, as protobuf allows.
// Fields other than name and value are not accepted: nobody sends them.
bool take_label(std::string_view& bytes, Label& label) {
  if (take_short_label(bytes, label)) return true;
  std::string_view inner;
  if (!take_field(bytes, kLabelTag, inner)) return false;
  label = {};
  while (!inner.empty()) {
    const bool good = inner.front() == kNameTag ? take_field(inner, kNameTag, label.name)
                                                : take_field(inner, kValueTag, label.value);
    if (!good) return false;
  }
  return true;
}

size_t common_prefix_size(std::string_view a, std::string_view b) {
  const size_t size = std::min(a.size(), b.size());
  size_t same = 0;
  for (; same + sizeof(uint64_t) <= size; same += sizeof(uint64_t)) {
    const uint64_t different =
        core::load_le<uint64_t>(a.substr(same)) ^ core::load_le<uint64_t>(b.substr(same));
    if (different != 0) return same + static_cast<size_t>(std::countr_zero(different)) / 8;
  }
  while (same < size && a[same] == b[same]) ++same;
  return same;
}

size_t varint_size(uint64_t value) {
  size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

size_t encoded_size(const Label& label) {
  const size_t inner = 2 + varint_size(label.name.size()) + label.name.size() +
                       varint_size(label.value.size()) + label.value.size();
  return 1 + varint_size(inner) + inner;
}

void append_escaped(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        out += c;
    }
  }
  out += '"';
}

bool is_legacy_name(std::string_view name, bool colons) {
  if (name.empty() || (name.front() >= '0' && name.front() <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [colons](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colons && c == ':');
  });
}

}  // namespace

void LabelsView::Iterator::next() {
  at_ = rest_.data();
  if (rest_.empty()) return;
  std::string_view rest = rest_;
  if (!take_label(rest, label_)) {
    rest_ = rest_.substr(rest_.size());
    at_ = rest_.data();
    return;
  }
  rest_ = rest;
}

std::string_view LabelsView::get(std::string_view name) const {
  for (const Label& label : *this) {
    if (label.name == name) return label.value;
  }
  return {};
}

std::string LabelsView::to_string() const {
  const std::string_view metric = metric_name();
  const bool plain_metric = is_legacy_metric_name(metric);
  std::string out(plain_metric ? metric : std::string_view());
  std::string inner;
  if (!metric.empty() && !plain_metric) append_escaped(inner, metric);
  for (const Label& label : *this) {
    if (label.name == kMetricName) continue;
    if (!inner.empty()) inner += ", ";
    if (is_legacy_label_name(label.name)) {
      inner += label.name;
    } else {
      append_escaped(inner, label.name);
    }
    inner += '=';
    append_escaped(inner, label.value);
  }
  if (!inner.empty() || out.empty()) out += "{" + inner + "}";
  return out;
}

int compare(LabelsView a, LabelsView b) {
  // Labels that lie before the first different byte are equal: skip them unread.
  const char* data = a.bytes().data();
  const size_t differ = common_prefix_size(a.bytes(), b.bytes());
  size_t same = 0;
  while (same + 2 <= differ) {
    const auto length = static_cast<uint8_t>(data[same + 1]);
    if (length >= 128 || same + 2 + length > differ) break;
    same += 2 + size_t{length};
  }
  std::string_view left_rest = a.bytes().substr(same);
  std::string_view right_rest = b.bytes().substr(same);
  Label left;
  Label right;
  while (!left_rest.empty() && !right_rest.empty()) {
    if (!take_label(left_rest, left) || !take_label(right_rest, right)) break;
    if (const int order = left.name.compare(right.name); order != 0) return order;
    if (const int order = left.value.compare(right.value); order != 0) return order;
  }
  if (left_rest.empty() && right_rest.empty()) return 0;
  return left_rest.empty() ? -1 : 1;
}

void append_label(std::string& bytes, std::string_view name, std::string_view value) {
  const size_t inner =
      2 + varint_size(name.size()) + name.size() + varint_size(value.size()) + value.size();
  bytes += kLabelTag;
  core::append_varint(bytes, inner);
  bytes += kNameTag;
  core::append_string(bytes, name);
  bytes += kValueTag;
  core::append_string(bytes, value);
}

Labels Labels::of(std::vector<std::pair<std::string, std::string>> pairs) {
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::string bytes;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const bool repeated = i + 1 < pairs.size() && pairs[i].first == pairs[i + 1].first;
    if (!repeated && !pairs[i].second.empty()) append_label(bytes, pairs[i].first, pairs[i].second);
  }
  return Labels(std::move(bytes));
}

void LabelsBuilder::reset(LabelsView base) {
  bytes_ = base.bytes();
  entries_.clear();
  const auto offset_of = [&base](std::string_view text) {
    return text.empty() ? 0 : static_cast<uint32_t>(text.data() - base.bytes().data());
  };
  for (const Label& label : base) {
    entries_.push_back({offset_of(label.name), static_cast<uint32_t>(label.name.size()),
                        offset_of(label.value), static_cast<uint32_t>(label.value.size())});
  }
  base_count_ = entries_.size();
}

size_t LabelsBuilder::find(std::string_view name) const {
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (label_of(entries_[i]).name == name) return i;
  }
  return entries_.size();
}

// `text` may lie in bytes_ itself: the caller has made room, so that nothing moves.
uint32_t LabelsBuilder::keep(std::string_view text) {
  const size_t at = bytes_.size();
  bytes_.append(text);
  return static_cast<uint32_t>(at);
}

LabelsBuilder& LabelsBuilder::set(std::string_view name, std::string_view value) {
  if (value.empty()) return remove(name);
  const size_t needed = bytes_.size() + name.size() + value.size();
  std::string old;  // keeps what `name` and `value` may refer to
  if (needed > bytes_.capacity()) {
    old.reserve(2 * needed);
    old.append(bytes_);
    old.swap(bytes_);
  }
  const auto value_size = static_cast<uint32_t>(value.size());
  const size_t at = find(name);
  if (at < entries_.size() && at >= base_count_) {
    entries_[at].value_at = keep(value);
    entries_[at].value_size = value_size;
    return *this;
  }
  Entry entry{0, static_cast<uint32_t>(name.size()), 0, value_size};
  if (at < base_count_) {
    entry.name_at = entries_[at].name_at;
    entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(at));
    --base_count_;
  } else {
    entry.name_at = keep(name);
  }
  entry.value_at = keep(value);
  entries_.push_back(entry);
  return *this;
}

LabelsBuilder& LabelsBuilder::remove(std::string_view name) {
  remove_if([name](const Label& label) { return label.name == name; });
  return *this;
}

std::string_view LabelsBuilder::get(std::string_view name) const {
  const size_t at = find(name);
  return at < entries_.size() ? label_of(entries_[at]).value : std::string_view();
}

Labels LabelsBuilder::build() const {
  std::vector<Label> labels;
  labels.reserve(entries_.size());
  for_each([&labels](const Label& label) { labels.push_back(label); });
  const auto by_name = [](const Label& a, const Label& b) { return a.name < b.name; };
  if (!std::is_sorted(labels.begin(), labels.end(), by_name)) {
    std::sort(labels.begin(), labels.end(), by_name);
  }
  std::string bytes;
  size_t size = 0;
  for (const Label& label : labels) size += encoded_size(label);
  bytes.reserve(size);
  for (const Label& label : labels) append_label(bytes, label.name, label.value);
  return Labels::from_canonical(std::move(bytes));
}

core::Result<Labels> canonical(LabelsView outside) {
  if (is_canonical(outside)) return Labels::from_canonical(outside.bytes());
  std::vector<std::pair<std::string, std::string>> pairs;
  std::string_view rest = outside.bytes();
  while (!rest.empty()) {
    Label label;
    const size_t offset = outside.bytes().size() - rest.size();
    if (!take_label(rest, label)) {
      return core::fail(ErrorCode::InvalidArgument, "malformed label at byte {} of the label set",
                        offset);
    }
    if (!core::is_utf8(label.name) || !core::is_utf8(label.value)) {
      return core::fail(ErrorCode::InvalidArgument, "label at byte {} is not valid UTF-8", offset);
    }
    if (label.name.empty()) {
      return core::fail(ErrorCode::InvalidArgument, "empty label name with value \"{}\"",
                        label.value);
    }
    pairs.emplace_back(label.name, label.value);
  }
  std::sort(pairs.begin(), pairs.end());
  for (size_t i = 1; i < pairs.size(); ++i) {
    if (pairs[i].first == pairs[i - 1].first) {
      return core::fail(ErrorCode::InvalidArgument, "label name \"{}\" is not unique",
                        pairs[i].first);
    }
  }
  Labels labels = Labels::of(std::move(pairs));
  if (labels.metric_name().empty()) {
    return core::fail(ErrorCode::InvalidArgument, "series {} has no metric name",
                      labels.to_string());
  }
  return labels;
}

// The encoding of a label is unique only in its shortest form, so the size has to
// fit as well.
bool is_canonical(LabelsView labels) {
  std::string_view rest = labels.bytes();
  std::string_view previous;
  bool has_name = false;
  while (!rest.empty()) {
    Label label;
    const size_t before = rest.size();
    if (!take_label(rest, label)) return false;
    if (label.name.empty() || label.value.empty() || label.name <= previous) return false;
    if (encoded_size(label) != before - rest.size()) return false;
    if (label.name.data() > label.value.data()) return false;
    if (!core::is_utf8(label.name) || !core::is_utf8(label.value)) return false;
    has_name = has_name || label.name == kMetricName;
    previous = label.name;
  }
  return has_name;
}

bool is_legacy_label_name(std::string_view name) {
  return is_legacy_name(name, false);
}
bool is_legacy_metric_name(std::string_view name) {
  return is_legacy_name(name, true);
}

}  // namespace model
