#include "config/yaml_writer.h"

#include "core/secret.h"
#include "core/time.h"

#include <bit>
#include <cmath>

namespace config {
namespace {

constexpr size_t kIndent = 2;
constexpr size_t kLineSize = 80;  // a line is folded at the first blank after it

// Where a text stands decides which forms it may take.
enum class Place { Block, Flow, Key };

struct Shape {
  bool plain_in_flow = true;
  bool plain_in_block = true;
  bool single_quoted = true;
  bool literal = true;
};

// What libyaml's emitter concludes from a text (yaml_emitter_analyze_scalar).
Shape shape_of(std::string_view text) {
  if (text.empty()) return {.plain_in_flow = false, .literal = false};
  bool block_indicators = text.starts_with("---") || text.starts_with("...");
  bool flow_indicators = block_indicators;
  bool special = false;
  bool line_breaks = false;
  bool break_space = false;
  bool space_break = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto is_blank = [text](size_t at) {
      return at >= text.size() || text[at] == ' ' || text[at] == '\t' || text[at] == '\n' ||
             text[at] == '\r';
    };
    if (i == 0) {
      if (std::string_view("#,[]{}&*!|>'\"%@`").find(c) != std::string_view::npos) {
        flow_indicators = block_indicators = true;
      }
      if (c == '?' || c == ':') {
        flow_indicators = true;
        block_indicators |= is_blank(1);
      }
      if (c == '-' && is_blank(1)) flow_indicators = block_indicators = true;
    } else {
      if (std::string_view(",?[]{}").find(c) != std::string_view::npos) flow_indicators = true;
      if (c == ':') {
        flow_indicators = true;
        block_indicators |= is_blank(i + 1);
      }
      if (c == '#' && is_blank(i - 1)) flow_indicators = block_indicators = true;
    }
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n') || byte == 0x7f) special = true;
    line_breaks |= c == '\n';
    if (i > 0) {
      break_space |= c == ' ' && text[i - 1] == '\n';
      space_break |= c == '\n' && text[i - 1] == ' ';
    }
  }
  const auto is_edge = [](char c) { return c == ' ' || c == '\n'; };
  const bool edges = is_edge(text.front()) || is_edge(text.back());
  Shape shape;
  shape.plain_in_block =
      !(edges || break_space || space_break || special || line_breaks || block_indicators);
  shape.plain_in_flow =
      !(edges || break_space || space_break || special || line_breaks || flow_indicators);
  shape.single_quoted = !(break_space || space_break || special);
  shape.literal = !(text.back() == ' ' || space_break || special);
  return shape;
}

class Writer {
 public:
  std::string take() { return std::move(out_); }

  void members(const Value& mapping, size_t indent, bool goes_on_line = false) {
    bool is_first = true;
    for (const Value& member : mapping.items) {
      if (!is_shown(member)) continue;
      if (!(is_first && goes_on_line)) line(indent);
      is_first = false;
      text(member.key, indent, Place::Key);
      out_ += ':';
      value(member, indent, (member.field->flags & kFlow) != 0);
    }
  }

  static bool shows_members(const Value& mapping) {
    for (const Value& member : mapping.items) {
      if (is_shown(member)) return true;
    }
    return false;
  }

 private:
  static bool is_shown(const Value& member) {
    const uint32_t flags = member.field->flags;
    // A regex that is null is the empty one, unlike one that is not there.
    const bool is_null_regex = member.type == Type::Regex && member.text.empty();
    if ((flags & kIfWritten) != 0) return member.given || is_null_regex;
    return (flags & kShown) != 0 || !member.is_zero();
  }

  void line(size_t indent) {
    if (!out_.empty()) out_ += '\n';
    out_.append(indent, ' ');
  }
  size_t column() const {
    const size_t start = out_.rfind('\n');
    return start == std::string::npos ? out_.size() : out_.size() - start - 1;
  }

  // After "key:": a scalar on the same line, what has parts below.
  void value(const Value& value, size_t indent, bool is_flow) {
    switch (value.type) {
      case Type::Mapping:
        if (!shows_members(value)) {
          out_ += " {}";
          return;
        }
        members(value, indent + kIndent);
        return;
      case Type::Map:
        if (value.items.empty()) out_ += " {}";
        for (const Value& item : value.items) {
          line(indent + kIndent);
          text(item.key, indent + kIndent, Place::Key);
          out_ += ':';
          this->value(item, indent + kIndent, false);
        }
        return;
      case Type::List:
        list(value, indent, is_flow);
        return;
      default:
        out_ += ' ';
        scalar(value, indent, Place::Block);
    }
  }

  void list(const Value& list, size_t indent, bool is_flow) {
    if (list.items.empty()) {
      out_ += " []";
      return;
    }
    if (is_flow) {
      out_ += " [";
      for (size_t i = 0; i < list.items.size(); ++i) {
        if (i > 0) out_ += ',';
        if (column() > kLineSize) {
          line(indent + kIndent);
        } else if (i > 0) {
          out_ += ' ';
        }
        scalar(list.items[i], indent, Place::Flow);
      }
      out_ += ']';
      return;
    }
    for (const Value& item : list.items) {
      line(indent);
      out_ += '-';
      if (item.type == Type::Mapping) {
        out_ += shows_members(item) ? " " : " {}";
        members(item, indent + kIndent, true);
      } else {
        out_ += ' ';
        scalar(item, indent, Place::Block);
      }
    }
  }

  void scalar(const Value& value, size_t indent, Place place) {
    switch (value.type) {
      case Type::Bool:
        out_ += value.is_on() ? "true" : "false";
        return;
      case Type::Int:
        out_ += std::to_string(value.number);
        return;
      case Type::Uint:
        out_ += std::to_string(std::bit_cast<uint64_t>(value.number));
        return;
      case Type::Float:
        out_ += std::isnan(value.real)   ? ".nan"
                : std::isinf(value.real) ? (value.real < 0 ? "-.inf" : ".inf")
                                         : fmt::format("{}", value.real);
        return;
      case Type::Duration:
        out_ += core::format_duration(value.number);
        return;
      case Type::Size:
        out_ += format_size(value.number);
        return;
      case Type::Secret:
        out_ += value.text.empty() ? "null" : core::kHiddenSecret;
        return;
      case Type::Url:
        text(hide_password(value.text), indent, place);
        return;
      case Type::Regex:
        if (value.text.empty()) {
          out_ += "null";
          return;
        }
        [[fallthrough]];
      default:
        if (value.field != nullptr && (value.field->flags & kUrlText) != 0) {
          text(hide_password(value.text), indent, place);
        } else {
          text(value.text, indent, place);
        }
    }
  }

  void text(std::string_view text, size_t indent, Place place) {
    const Shape shape = shape_of(text);
    if (text.find('\n') != std::string_view::npos) {
      if (shape.literal && place == Place::Block) {
        literal(text, indent + kIndent);
      } else {
        double_quoted(text, indent + kIndent, place);
      }
      return;
    }
    if (needs_quotes(text)) {
      double_quoted(text, indent + kIndent, place);
    } else if (place == Place::Flow ? shape.plain_in_flow : shape.plain_in_block) {
      folded(text, indent + kIndent, place, false);
    } else if (shape.single_quoted) {
      out_ += '\'';
      folded(text, indent + kIndent, place, true);
      out_ += '\'';
    } else {
      double_quoted(text, indent + kIndent, place);
    }
  }

  // A line break stands for one blank between words.
  void folded(std::string_view text, size_t indent, Place place, bool is_quoted) {
    for (size_t i = 0; i < text.size(); ++i) {
      const bool between_words = text[i] == ' ' && i > 0 && i + 1 < text.size() &&
                                 text[i - 1] != ' ' && text[i + 1] != ' ';
      if (between_words && place != Place::Key && column() > kLineSize) {
        line(indent);
        continue;
      }
      out_ += text[i];
      if (text[i] == '\'' && is_quoted) out_ += '\'';
    }
  }

  void double_quoted(std::string_view text, size_t indent, Place place) {
    out_ += '"';
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      const auto byte = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (c == '\n') {
        out_ += "\\n";
      } else if (c == '\t') {
        out_ += "\\t";
      } else if (c == '\r') {
        out_ += "\\r";
      } else if (byte < 0x20 || byte == 0x7f) {
        out_ += fmt::format("\\x{:02X}", byte);
      } else if (c == ' ' && place != Place::Key && i > 0 && i + 1 < text.size() &&
                 text[i - 1] != ' ' && column() > kLineSize) {
        line(indent);
        if (text[i + 1] == ' ') out_ += '\\';
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  void literal(std::string_view text, size_t indent) {
    out_ += '|';
    if (text.front() == ' ' || text.front() == '\n') out_ += std::to_string(kIndent);
    if (text.back() != '\n') {
      out_ += '-';
    } else if (text.size() == 1 || text[text.size() - 2] == '\n') {
      out_ += '+';
    }
    if (text.back() == '\n') text.remove_suffix(1);
    while (true) {
      const size_t end = text.find('\n');
      const std::string_view part = text.substr(0, end);
      line(part.empty() ? 0 : indent);
      out_ += part;
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + 1);
    }
  }

  std::string out_;
};

}  // namespace

std::string write_yaml(const Value& mapping) {
  if (!Writer::shows_members(mapping)) return "{}\n";
  Writer writer;
  writer.members(mapping, 0);
  return writer.take() + '\n';
}

}  // namespace config
