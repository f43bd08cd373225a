#include "alerting/notify/mime.h"

#include "core/text.h"
#include "core/utf8.h"
#include "templates/go_time.h"

#include <algorithm>
#include <fmt/format.h>

namespace alerting {

using core::ErrorCode;
using core::Result;

namespace {

constexpr size_t kLineMax = 76;
constexpr size_t kHeaderLineMax = 78;
// "=?utf-8?q?" and "?=" around it stay within 75 columns.
constexpr size_t kEncodedWordMax = 63;

bool is_printable(char c) {
  return c >= 0x20 && c < 0x7f;
}

std::string without_breaks(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return out;
}

bool is_address(std::string_view text) {
  const size_t at = text.rfind('@');
  if (at == std::string_view::npos || at == 0 || at + 1 == text.size()) return false;
  return std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '<' || c == '>' || c == ',' ||
           c == ';' || c == '"' || c == '(' || c == ')' || c == '[' || c == '\\';
  });
}

// Splits at commas outside of quotes and angle brackets.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> parts;
  bool quoted = false;
  bool bracket = false;
  size_t start = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && !quoted && !bracket)) {
      parts.push_back(core::trim(text.substr(start, i - start), " \t\r\n"));
      start = i + 1;
    } else if (text[i] == '\\' && quoted) {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && (text[i] == '<' || text[i] == '>')) {
      bracket = text[i] == '<';
    }
  }
  return parts;
}

std::string unquoted_name(std::string_view name) {
  name = core::trim(name, " \t\r\n");
  if (name.size() < 2 || name.front() != '"' || name.back() != '"') return std::string(name);
  std::string out;
  for (size_t i = 1; i + 1 < name.size(); ++i) {
    if (name[i] == '\\' && i + 2 < name.size()) ++i;
    out += name[i];
  }
  return out;
}

}  // namespace

Result<std::vector<Mailbox>> parse_addresses(std::string_view text) {
  std::vector<Mailbox> boxes;
  for (const std::string_view part : split(text)) {
    if (part.empty()) continue;
    Mailbox box;
    const size_t open = part.rfind('<');
    if (open == std::string_view::npos) {
      box.address = part;
    } else {
      box.name = unquoted_name(part.substr(0, open));
      const std::string_view rest = part.substr(open + 1);
      box.address = rest.ends_with('>') ? rest.substr(0, rest.size() - 1) : "";
    }
    const bool breaks = part.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
    if (breaks || !is_address(box.address)) {
      return core::fail(ErrorCode::InvalidArgument, "\"{}\" is not a mail address",
                        without_breaks(part));
    }
    boxes.push_back(std::move(box));
  }
  if (boxes.empty()) return core::fail(ErrorCode::InvalidArgument, "no mail address");
  return boxes;
}

std::string encode_header(std::string_view text) {
  const std::string clean = without_breaks(text);
  if (std::ranges::all_of(clean, is_printable)) return clean;
  std::string out;
  std::string word;
  const auto flush = [&] {
    if (word.empty()) return;
    out += fmt::format("{}=?utf-8?q?{}?=", out.empty() ? "" : " ", word);
    word.clear();
  };
  for (size_t i = 0; i < clean.size();) {
    // A character is not cut in two.
    const size_t length =
        std::max<size_t>(core::utf8_sequence_length(std::string_view(clean).substr(i)), 1);
    std::string piece;
    for (const char c : clean.substr(i, length)) {
      if (c == ' ') {
        piece += '_';
      } else if (is_printable(c) && c != '=' && c != '?' && c != '_' && c != '"' && c != '(' &&
                 c != ')' && c != '<' && c != '>' && c != '@' && c != ',') {
        piece += c;
      } else {
        piece += fmt::format("={:02X}", static_cast<uint8_t>(c));
      }
    }
    if (word.size() + piece.size() > kEncodedWordMax) flush();
    word += piece;
    i += length;
  }
  flush();
  return out;
}

std::string encode_mailboxes(const std::vector<Mailbox>& boxes) {
  std::string out;
  for (const Mailbox& box : boxes) {
    if (!out.empty()) out += ", ";
    if (box.name.empty()) {
      out += box.address;
      continue;
    }
    std::string name = encode_header(box.name);
    const bool encoded = name.starts_with("=?");
    if (!encoded && name.find_first_of("()<>[]:;@\\,.\"") != std::string::npos) {
      std::string quoted = "\"";
      for (const char c : name)
        quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
      name = quoted + "\"";
    }
    out += fmt::format("{} <{}>", name, box.address);
  }
  return out;
}

std::string header_line(std::string_view name, std::string_view encoded) {
  std::string out = fmt::format("{}:", name);
  size_t column = out.size();
  while (!encoded.empty()) {
    const size_t blank = encoded.find(' ');
    const std::string_view word = encoded.substr(0, blank);
    encoded.remove_prefix(blank == std::string_view::npos ? encoded.size() : blank + 1);
    const bool first = column == name.size() + 1;
    if (!first && !word.empty() && column + 1 + word.size() > kHeaderLineMax) {
      out += "\r\n";
      column = 0;
    }
    out += ' ';
    out += word;
    column += 1 + word.size();
  }
  return out + "\r\n";
}

std::string quoted_printable(std::string_view text) {
  std::string out;
  size_t column = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n')) {
      if (c == '\r') ++i;
      out += "\r\n";
      column = 0;
      continue;
    }
    const bool at_end = i + 1 == text.size() || text[i + 1] == '\n' || text[i + 1] == '\r';
    const bool blank = c == ' ' || c == '\t';
    const bool plain = (is_printable(c) && c != '=' && c != ' ') || (blank && !at_end);
    const std::string piece =
        plain ? std::string(1, c) : fmt::format("={:02X}", static_cast<uint8_t>(c));
    // One column is kept for the "=" of a soft break.
    if (column + piece.size() > kLineMax - 1) {
      out += "=\r\n";
      column = 0;
    }
    out += piece;
    column += piece.size();
  }
  if (column > 0) out += "\r\n";
  return out;
}

std::string mail_date(int64_t time_ms) {
  return templates::format_time(time_ms, {}, "Mon, 02 Jan 2006 15:04:05 -0700");
}

}  // namespace alerting
