#include "json.h"

#include <cstdlib>

namespace {
struct Parser {
  const char *p, *end;
  bool fail = false;

  void ws() {
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r')) p++;
  }
  bool eat(char c) {
    ws();
    if (p < end && *p == c) {
      p++;
      return true;
    }
    return false;
  }
  static void utf8(unsigned c, std::string& o) {
    if (c < 0x80)
      o += static_cast<char>(c);
    else if (c < 0x800) {
      o += static_cast<char>(0xC0 | c >> 6);
      o += static_cast<char>(0x80 | (c & 63));
    } else {
      o += static_cast<char>(0xE0 | c >> 12);
      o += static_cast<char>(0x80 | (c >> 6 & 63));
      o += static_cast<char>(0x80 | (c & 63));
    }
  }
  std::string string() {
    std::string o;
    if (!eat('"')) {
      fail = true;
      return o;
    }
    while (p < end && *p != '"') {
      if (*p != '\\') {
        o += *p++;
        continue;
      }
      if (++p >= end) break;
      switch (char c = *p++) {
        case 'n':
          o += '\n';
          break;
        case 't':
          o += '\t';
          break;
        case 'r':
          o += '\r';
          break;
        case 'b':
          o += '\b';
          break;
        case 'f':
          o += '\f';
          break;
        case 'u':
          if (end - p < 4) {
            fail = true;
            return o;
          }
          utf8(static_cast<unsigned>(std::strtoul(std::string(p, 4).c_str(), nullptr, 16)), o);
          p += 4;
          break;
        default:
          o += c;
      }
    }
    if (p < end)
      p++;
    else
      fail = true;
    return o;
  }
  Json value(int depth) {
    Json j;
    ws();
    if (p >= end || depth > 64) {
      fail = true;
      return j;
    }
    if (*p == '"') {
      j.type = Json::String;
      j.text = string();
      return j;
    }
    if (*p == '[') {
      p++;
      j.type = Json::Array;
      if (eat(']')) return j;
      do j.items.push_back(value(depth + 1));
      while (!fail && eat(','));
      if (!eat(']')) fail = true;
      return j;
    }
    if (*p == '{') {
      p++;
      j.type = Json::Object;
      if (eat('}')) return j;
      do {
        std::string k = string();
        if (!eat(':')) fail = true;
        if (fail) return j;
        j.fields.emplace_back(std::move(k), value(depth + 1));
      } while (!fail && eat(','));
      if (!eat('}')) fail = true;
      return j;
    }
    const char* s = p;
    while (p < end && *p != ',' && *p != ']' && *p != '}' && *p > ' ') p++;
    j.text.assign(s, p);
    j.type = j.text == "null"                          ? Json::Null
             : (j.text == "true" || j.text == "false") ? Json::Bool
                                                       : Json::Number;
    if (j.text.empty()) fail = true;
    return j;
  }
};
}  // namespace

const Json& Json::operator[](std::string_view key) const {
  static const Json none;
  for (auto& f : fields)
    if (f.first == key) return f.second;
  return none;
}
bool Json::parse(std::string_view in, Json& out) {
  Parser ps{in.data(), in.data() + in.size()};
  out = ps.value(0);
  return !ps.fail;
}
