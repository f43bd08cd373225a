#include "net/http.h"

#include "core/text.h"

#include <algorithm>

namespace net {

namespace {

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return core::lower(x) == core::lower(y); });
}

enum class Plus { Literal, Space };

// Decodes into `out`. The place of the first malformed escape, or npos.
size_t decode(std::string_view text, Plus plus, std::string& out) {
  size_t malformed = std::string_view::npos;
  out.reserve(out.size() + text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus == Plus::Space) {
      out += ' ';
      continue;
    }
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? core::hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? core::hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      malformed = std::min(malformed, i);
      out += '%';
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return malformed;
}

// Takes what stands before the next `separator` off the front of `rest`.
std::string_view take_until(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view part = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return part;
}

// Calls visit(name, value), still encoded, for each pair; stops when it gives false.
template <typename Visit>
bool for_each_pair(std::string_view query, Visit visit) {
  while (!query.empty()) {
    const std::string_view pair = take_until(query, '&');
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : pair.substr(equals + 1);
    if (!visit(pair.substr(0, equals), value)) return false;
  }
  return true;
}

}  // namespace

std::optional<std::string_view> find_header(const Headers& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (equal_without_case(header.first, name)) return header.second;
  }
  return std::nullopt;
}

Params parse_query(std::string_view query) {
  Params params;
  for_each_pair(query, [&](std::string_view name, std::string_view value) {
    auto& pair = params.emplace_back();
    decode(name, Plus::Space, pair.first);
    decode(value, Plus::Space, pair.second);
    return true;
  });
  return params;
}

core::Result<Params> parse_query_strict(std::string_view query) {
  Params params;
  std::string bad;
  const auto decode_strictly = [&](std::string_view text, std::string& out) {
    const size_t at = decode(text, Plus::Space, out);
    if (at == std::string_view::npos) return true;
    bad = std::string(text.substr(at, 3));
    return false;
  };
  const bool good = for_each_pair(query, [&](std::string_view name, std::string_view value) {
    // As in Go: a semicolon was once a separator and is now refused.
    if (name.find(';') != name.npos || value.find(';') != value.npos) {
      bad = ";";
      return false;
    }
    auto& pair = params.emplace_back();
    return decode_strictly(name, pair.first) && decode_strictly(value, pair.second);
  });
  if (good) return params;
  if (bad == ";") {
    return core::fail(core::ErrorCode::InvalidArgument,
                      "invalid semicolon separator in query: write %3B");
  }
  return core::fail(core::ErrorCode::InvalidArgument, "invalid URL escape \"{}\"", bad);
}

std::string percent_decode(std::string_view text) {
  std::string out;
  decode(text, Plus::Literal, out);
  return out;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kUnreserved = "-._~";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (alphanumeric || kUnreserved.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

bool accepts_encoding(std::string_view accept_encoding, std::string_view coding) {
  std::optional<bool> any;  // what "*" says, if it stands there
  while (!accept_encoding.empty()) {
    std::string_view item = take_until(accept_encoding, ',');
    const std::string_view name = core::trim(take_until(item, ';'));
    bool wanted = true;
    while (!item.empty()) {
      std::string_view parameter = core::trim(take_until(item, ';'));
      if (!equal_without_case(core::trim(take_until(parameter, '=')), "q")) continue;
      // q=0, q=0.0, q=0.00 and q=0.000 refuse; everything else takes it.
      wanted = core::trim(parameter).find_first_of("123456789") != std::string_view::npos;
    }
    if (equal_without_case(name, coding)) return wanted;
    if (name == "*") any = wanted;
  }
  return any.value_or(false);
}

Response Response::text(int status, std::string body) {
  return {.status = status,
          .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
          .body = std::move(body)};
}

Response Response::json(int status, std::string body) {
  return {
      .status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(body)};
}

}  // namespace net
