#include "templates/html_escape.h"

#include "core/text.h"

#include <algorithm>
#include <fmt/format.h>

namespace templates {

namespace {

enum class Where { Text, Attribute, UrlStart, UrlInside, UrlQuery };

// By the tag that is open at the end of the page, if any.
Where end_of(std::string_view page) {
  const size_t open = page.rfind('<');
  if (open == std::string_view::npos) return Where::Text;
  char quote = '\0';
  size_t value_start = 0;
  size_t name_end = 0;
  for (size_t i = open; i < page.size(); ++i) {
    const char c = page[i];
    if (quote != '\0') {
      if (c == quote) quote = '\0';
    } else if (c == '>') {
      return Where::Text;
    } else if ((c == '"' || c == '\'') && page[i - 1] == '=') {
      quote = c;
      value_start = i + 1;
      name_end = i - 1;
    }
  }
  if (quote == '\0') return Where::Attribute;
  size_t name_start = name_end;
  while (name_start > open && page[name_start - 1] != ' ' && page[name_start - 1] != '\n' &&
         page[name_start - 1] != '\t') {
    --name_start;
  }
  const std::string name = core::lower(page.substr(name_start, name_end - name_start));
  static constexpr std::string_view kUrls[] = {"href", "src",        "action", "background",
                                               "cite", "formaction", "poster"};
  if (std::ranges::find(kUrls, name) == std::end(kUrls)) return Where::Attribute;
  const std::string_view value = page.substr(value_start);
  if (value.empty()) return Where::UrlStart;
  return value.find_first_of("?#") == std::string_view::npos ? Where::UrlInside : Where::UrlQuery;
}

bool is_plain_url_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

std::string escape_url(std::string_view text, std::string_view keep) {
  std::string out;
  for (const char c : text) {
    if (is_plain_url_byte(c) || keep.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02x}", static_cast<uint8_t>(c));
    }
  }
  return out;
}

bool has_safe_scheme(std::string_view url) {
  const size_t colon = url.find(':');
  if (colon == std::string_view::npos || url.find('/') < colon) return true;
  const std::string scheme = core::lower(url.substr(0, colon));
  return scheme == "http" || scheme == "https" || scheme == "mailto";
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '+':
        out += "&#43;";
        break;
      case '\0':
        out += "\xef\xbf\xbd";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string escaped_for(std::string_view page, const Value& value) {
  const std::string text = print(value);
  const Where where = end_of(page);
  const bool is_html = value.get<Html>() != nullptr;
  if (where == Where::Text) return is_html ? text : escape_html(text);
  if (where == Where::Attribute) return escape_html(text);
  if (where == Where::UrlStart && !is_html && !has_safe_scheme(text)) return "#blocked";
  if (where == Where::UrlQuery && !is_html) return escape_url(text, "");
  return escape_html(escape_url(text, "!#$%&*+,/:;=?@[]"));
}

}  // namespace templates
