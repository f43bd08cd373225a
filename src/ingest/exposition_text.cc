#include "ingest/exposition_text.h"

#include "core/bytes.h"
#include "core/utf8.h"
#include "ingest/float_text.h"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

namespace ingest {
namespace {

constexpr uint8_t kLabelStart = 1;
constexpr uint8_t kLabelPart = 2;
constexpr uint8_t kMetricStart = 4;
constexpr uint8_t kMetricPart = 8;

constexpr std::array<uint8_t, 256> kCharClasses = [] {
  std::array<uint8_t, 256> classes{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    const bool digit = c >= '0' && c <= '9';
    if (letter) classes[c] = kLabelStart | kLabelPart | kMetricStart | kMetricPart;
    if (digit) classes[c] = kLabelPart | kMetricPart;
    if (c == ':') classes[c] = kMetricStart | kMetricPart;
  }
  return classes;
}();

bool is(char c, uint8_t char_class) {
  return (kCharClasses[static_cast<uint8_t>(c)] & char_class) != 0;
}

// A set high bit in the lowest byte of `word` that equals `c` (and perhaps in bytes above).
constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighBits = 0x8080808080808080;
constexpr uint64_t matches(uint64_t word, char c) {
  const uint64_t difference = word ^ (kOnes * static_cast<uint8_t>(c));
  return (difference - kOnes) & ~difference & kHighBits;
}

// Where the next quote or backslash is, eight bytes at a time; `end` when there is none.
const char* find_string_mark(const char* at, const char* end) {
  while (end - at >= 8) {
    const auto word = core::load_le<uint64_t>({at, 8});
    const uint64_t found = matches(word, '"') | matches(word, '\\');
    if (found != 0) return at + (std::countr_zero(found) >> 3);
    at += 8;
  }
  while (at != end && *at != '"' && *at != '\\') ++at;
  return at;
}

bool has_high_bit(std::string_view text) {
  uint64_t seen = 0;
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) seen |= core::load_le<uint64_t>(text.substr(i));
  for (; i < text.size(); ++i) seen |= static_cast<uint64_t>(static_cast<uint8_t>(text[i]) & 0x80);
  return (seen & kHighBits) != 0;
}

const char* skip_blanks(const char* at, const char* end) {
  while (at != end && (*at == ' ' || *at == '\t')) ++at;
  return at;
}

constexpr size_t kQuotedMax = 40;

}  // namespace

bool is_text_utf8(std::string_view text) {
  return !has_high_bit(text) || core::is_utf8(text);
}

void append_unescaped(std::string& out, std::string_view text, EscapeSet escapes) {
  size_t from = 0;
  for (;;) {
    const size_t slash = text.find('\\', from);
    if (slash == std::string_view::npos || slash + 1 == text.size()) break;
    out.append(text, from, slash - from);
    const char c = text[slash + 1];
    if (c == '\\') {
      out += '\\';
    } else if (c == 'n') {
      out += '\n';
    } else if (c == '"' && escapes == EscapeSet::LabelValue) {
      out += '"';
    } else {
      out += '\\';
      from = slash + 1;
      continue;
    }
    from = slash + 2;
  }
  out.append(text, from);
}

bool TextExposition::read_string(bool line_ends, std::string_view& text, bool& escaped) {
  const char* const first = at_;
  const char* at = at_;
  for (;;) {
    at = find_string_mark(at, end_);
    if (at == end_) return expected(first - 1, "a closing quote");
    if (*at == '"') break;
    escaped = true;
    ++at;
    if (at == end_ || *at == '\n') return expected(at, "a character after the backslash");
    ++at;
  }
  text = {first, static_cast<size_t>(at - first)};
  if (!line_ends && text.find('\n') != std::string_view::npos) {
    return expected(first + text.find('\n'), "a closing quote before the end of the line");
  }
  at_ = at + 1;
  return true;
}

bool TextExposition::read_labels(LabelSyntax syntax, std::vector<LabelSpan>& labels) {
  const bool blanks = syntax == LabelSyntax::Prometheus;
  const bool exemplar = syntax == LabelSyntax::OpenMetricsExemplar;
  const auto skip = [&] {
    if (blanks) at_ = skip_blanks(at_, end_);
  };
  for (;;) {
    skip();
    if (at_ == end_) return expected(at_, "a label name or '}'");
    if (*at_ == '}') {
      ++at_;
      return true;
    }
    LabelSpan& label = labels.emplace_back();
    const char* const name_begin = at_;
    const bool quoted = *at_ == '"';
    if (quoted) {
      ++at_;
      if (!read_string(!exemplar, label.name, label.escaped)) return false;
    } else {
      if (!is(*at_, kLabelStart)) return expected(at_, "a label name or '}'");
      do ++at_;
      while (at_ != end_ && is(*at_, kLabelPart));
      label.name = {name_begin, static_cast<size_t>(at_ - name_begin)};
    }
    skip();
    if (quoted && !exemplar && at_ != end_ && (*at_ == ',' || *at_ == '}')) {
      if (metric_.data() != nullptr) return expected(name_begin, "one metric name only");
      metric_ = label.name;
      metric_escaped_ = label.escaped;
      labels.pop_back();
      if (*at_++ == '}') return true;
      continue;
    }
    if (at_ == end_ || *at_ != '=') return expected(at_, "'=' after the label name");
    ++at_;
    skip();
    if (at_ == end_ || *at_ != '"') return expected(at_, "a label value in double quotes");
    ++at_;
    if (!read_string(blanks, label.value, label.escaped)) return false;
    skip();
    if (at_ == end_) return expected(at_, "',' or '}' after the label value");
    if (*at_ == ',') {
      ++at_;
    } else if (*at_ != '}' && !blanks) {
      return expected(at_, "',' or '}' after the label value");
    }
  }
}

bool TextExposition::skip_expected(LabelSyntax syntax) {
  const std::string_view rest(at_, static_cast<size_t>(end_ - at_));
  const std::string_view key = std::exchange(expected_key_, {});
  if (key.empty() || !rest.starts_with(key)) return false;
  const char* behind = at_ + key.size();
  if (behind == end_ || *behind != ' ') return false;
  if (key.back() != '}') {
    // Labels may follow after blanks.
    behind = skip_blanks(behind, end_);
    if (behind != end_ && *behind == '{') return false;
  }
  key_begin_ = at_;
  at_ += key.size();
  is_skipped_ = true;
  syntax_ = syntax;
  return true;
}

bool TextExposition::read_series(LabelSyntax syntax) {
  if (skip_expected(syntax)) return true;
  is_skipped_ = false;
  labels_.clear();
  metric_escaped_ = false;
  metric_ = {};
  key_begin_ = at_;
  if (at_ != end_ && is(*at_, kMetricStart)) {
    // Most lines have the name of the line before them.
    const std::string_view rest(at_, static_cast<size_t>(end_ - at_));
    at_ += rest.starts_with(bare_metric_) ? std::max<size_t>(bare_metric_.size(), 1) : 1;
    while (at_ != end_ && is(*at_, kMetricPart)) ++at_;
    bare_metric_ = {key_begin_, static_cast<size_t>(at_ - key_begin_)};
    metric_ = {key_begin_, static_cast<size_t>(at_ - key_begin_)};
    const char* const name_end = at_;
    if (syntax == LabelSyntax::Prometheus) at_ = skip_blanks(at_, end_);
    if (at_ == end_ || *at_ != '{') {
      at_ = name_end;
      return true;
    }
  } else if (at_ == end_ || *at_ != '{') {
    return expected(at_, "a metric name, '{' or a comment");
  }
  ++at_;
  if (!read_labels(syntax, labels_)) return false;
  if (metric_.data() == nullptr) return expected(key_begin_, "a metric name among the labels");
  const std::string_view key(key_begin_, static_cast<size_t>(at_ - key_begin_));
  if (!is_text_utf8(key)) return expected(key_begin_, "UTF-8");
  return true;
}

bool TextExposition::read_family_name() {
  if (at_ != end_ && *at_ == '"') {
    ++at_;
    bool escaped = false;
    const char* const first = at_;
    if (!read_string(true, family_, escaped)) return false;
    if (!core::is_utf8(family_)) return expected(first, "UTF-8");
    if (escaped) {
      unescaped_family_.clear();
      append_unescaped(unescaped_family_, family_, EscapeSet::LabelValue);
      family_ = unescaped_family_;
    }
    return true;
  }
  const char* const first = at_;
  if (at_ == end_ || !is(*at_, kMetricStart)) return expected(at_, "a metric name");
  do ++at_;
  while (at_ != end_ && is(*at_, kMetricPart));
  family_ = {first, static_cast<size_t>(at_ - first)};
  return true;
}

core::Result<void> TextExposition::read_skipped() {
  const char* const behind = std::exchange(at_, key_begin_);
  if (!read_series(syntax_)) return failure();
  at_ = behind;
  return {};
}

core::Result<void> TextExposition::append_labels(std::string& label_bytes) const {
  // To the outside nothing changes; no parser is ever a const object.
  if (is_skipped_) TRY(const_cast<TextExposition*>(this)->read_skipped());
  return append_canonical(&metric_, metric_escaped_, labels_, label_bytes);
}

core::Result<void> TextExposition::append_canonical(const std::string_view* metric,
                                                    bool metric_escaped,
                                                    const std::vector<LabelSpan>& labels,
                                                    std::string& label_bytes) const {
  // Decoded text and rewritten numbers live in scratch_, which must not move meanwhile.
  size_t scratch_size = metric != nullptr ? metric->size() : 0;
  constexpr size_t kNumberSizeMax = 32;
  for (const LabelSpan& label : labels) {
    scratch_size += label.name.size() + label.value.size() + kNumberSizeMax;
  }
  scratch_.clear();
  scratch_.reserve(scratch_size);
  const auto decoded = [&](std::string_view text) {
    const size_t from = scratch_.size();
    append_unescaped(scratch_, text, EscapeSet::LabelValue);
    return std::string_view(scratch_).substr(from);
  };
  sorted_.clear();
  if (metric != nullptr) {
    sorted_.push_back({model::kMetricName, metric_escaped ? decoded(*metric) : *metric});
  }
  for (const LabelSpan& span : labels) {
    model::Label label{span.name, span.value};
    if (span.escaped) label = {decoded(span.name), decoded(span.value)};
    const bool is_bound = type_ == model::MetricType::Histogram && label.name == "le";
    const bool is_quantile = type_ == model::MetricType::Summary && label.name == "quantile";
    double number = 0;
    if (metric != nullptr && (is_bound || is_quantile) &&
        parse_exposition_float(label.value, number)) {
      const size_t from = scratch_.size();
      append_label_float(scratch_, number);
      label.value = std::string_view(scratch_).substr(from);
    }
    sorted_.push_back(label);
  }
  std::sort(sorted_.begin(), sorted_.end());
  for (size_t i = 0; i < sorted_.size(); ++i) {
    const model::Label& label = sorted_[i];
    if (label.name.empty()) return tl::unexpected(failure_at(key_begin_, "an empty label name"));
    if (i > 0 && label.name == sorted_[i - 1].name) {
      return tl::unexpected(
          failure_at(key_begin_, fmt::format("label name \"{}\" is not unique", label.name)));
    }
  }
  for (const model::Label& label : sorted_) {
    if (!label.value.empty()) model::append_label(label_bytes, label.name, label.value);
  }
  return {};
}

std::string text_place(std::string_view body, const char* at) {
  const auto line = 1 + std::count(body.data(), at, '\n');
  const char* start = at;
  while (start != body.data() && start[-1] != '\n') --start;
  return fmt::format("line {}, column {}", line, at - start + 1);
}

core::Error TextExposition::failure_at(const char* at, std::string_view what) const {
  const std::string_view body(begin_, static_cast<size_t>(end_ - begin_));
  return {core::ErrorCode::InvalidArgument, fmt::format("{}: {}", text_place(body, at), what)};
}

core::Result<void> TextExposition::failure() const {
  const char* const at = fault_.at;
  const char* stop = at;
  while (stop != end_ && *stop != '\n' && static_cast<size_t>(stop - at) < kQuotedMax) ++stop;
  const bool cut = stop != end_ && *stop != '\n';
  std::string found;
  if (at == end_) {
    found = "the end of the text";
  } else if (stop == at) {
    found = "the end of the line";
  } else {
    found = fmt::format("\"{}\"", std::string_view(at, static_cast<size_t>(stop - at)));
    if (cut) found.insert(found.size() - 1, "...");
  }
  return tl::unexpected(
      failure_at(at, fmt::format("expected {}, found {}", fault_.expected, found)));
}

}  // namespace ingest
