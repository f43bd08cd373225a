// simdjson does the reading. What it lacks is done by the scanner below, which runs only
// after simdjson has refused a text: to say where the error is and what was expected, and
// to find the integers beyond 64 bits, which are valid JSON but which simdjson refuses.

#include "core/json.h"

#include "core/utf8.h"

#include <charconv>
#include <simdjson.h>
#include <unordered_map>

namespace core {

namespace {

constexpr size_t kDepthMax = 256;  // deeper texts are attacks on the stack
// Objects up to this size look for repeated keys pairwise; larger ones through a map.
constexpr size_t kPairwiseMembersMax = 16;

// Finds the first error of a text by RFC 8259, or none.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  Result<void> document() {
    TRY(value(0));
    skip_blanks();
    if (at_ < text_.size()) return wrong("the end of the text after the value");
    return {};
  }

  // Where integers end that do not fit 64 bits.
  const std::vector<size_t>& large_integer_ends() const { return large_integer_ends_; }

 private:
  Result<void> value(size_t depth) {
    if (depth > kDepthMax) {
      return fail(ErrorCode::InvalidArgument, "nested deeper than {} at byte {}", kDepthMax, at_);
    }
    skip_blanks();
    switch (peek()) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return string();
      case 't':
        return literal("true");
      case 'f':
        return literal("false");
      case 'n':
        return literal("null");
      default:
        return number();
    }
  }

  Result<void> object(size_t depth) {
    ++at_;
    skip_blanks();
    if (take('}')) return {};
    while (true) {
      skip_blanks();
      if (peek() != '"') return wrong("a member name in quotes");
      TRY(string());
      skip_blanks();
      if (!take(':')) return wrong("':' after the member name");
      TRY(value(depth + 1));
      skip_blanks();
      if (take('}')) return {};
      if (!take(',')) return wrong("',' or '}' after a member");
    }
  }

  Result<void> array(size_t depth) {
    ++at_;
    skip_blanks();
    if (take(']')) return {};
    while (true) {
      TRY(value(depth + 1));
      skip_blanks();
      if (take(']')) return {};
      if (!take(',')) return wrong("',' or ']' after an element");
    }
  }

  Result<void> string() {
    const size_t start = at_++;
    while (at_ < text_.size()) {
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '"') {
        ++at_;
        return {};
      }
      if (byte < 0x20) return wrong("no raw control character in a string");
      if (byte == '\\') {
        TRY(escape());
      } else {
        TRY(utf8());
      }
    }
    return fail(ErrorCode::InvalidArgument, "the string from byte {} on is not closed", start);
  }

  Result<void> escape() {
    ++at_;
    if (peek() != 'u') {
      if (std::string_view("\"\\/bfnrt").find(peek()) == std::string_view::npos || at_end()) {
        return wrong("one of \"\\/bfnrtu after a backslash");
      }
      ++at_;
      return {};
    }
    const unsigned first = TRY(hex4());
    if (first >= 0xdc00 && first < 0xe000) return wrong("a high surrogate before the low one");
    if (first < 0xd800 || first >= 0xdc00) return {};
    if (text_.substr(at_, 2) != "\\u") return wrong("a low surrogate after the high one");
    ++at_;
    const unsigned second = TRY(hex4());
    if (second < 0xdc00 || second >= 0xe000) return wrong("a low surrogate after the high one");
    return {};
  }

  // The four digits after "\u"; at_ is on the u.
  Result<unsigned> hex4() {
    ++at_;
    unsigned code = 0;
    const std::string_view digits = text_.substr(at_, 4);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (error != std::errc() || end != digits.data() + 4) {
      return wrong("four hexadecimal digits after \\u");
    }
    at_ += 4;
    return code;
  }

  Result<void> utf8() {
    const size_t size = utf8_sequence_length(text_.substr(at_));
    if (size == 0) return wrong("UTF-8");
    at_ += size;
    return {};
  }

  Result<void> literal(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return wrong("a value");
    at_ += word.size();
    return {};
  }

  Result<void> number() {
    const size_t start = at_;
    if (!take('-') && !is_digit()) return wrong("a value");
    if (!is_digit()) return wrong("a digit after '-'");
    if (take('0')) {
      if (is_digit()) return wrong("no digit after a leading 0");
    } else {
      skip_digits();
    }
    bool is_integer = true;
    if (take('.')) {
      is_integer = false;
      if (!is_digit()) return wrong("a digit after the decimal point");
      skip_digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      is_integer = false;
      ++at_;
      if (!take('+')) take('-');
      if (!is_digit()) return wrong("a digit in the exponent");
      skip_digits();
    }
    const std::string_view digits = text_.substr(start, at_ - start);
    if (is_integer) {
      int64_t value = 0;
      const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
      if (result.ec == std::errc::result_out_of_range) large_integer_ends_.push_back(at_);
    }
    double value = 0;
    const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool tiny = digits.find("e-") != digits.npos || digits.find("E-") != digits.npos;
    if (result.ec == std::errc::result_out_of_range && !tiny) {
      return fail(ErrorCode::InvalidArgument, "the number at byte {} is beyond a double's range",
                  start);
    }
    return {};
  }

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool is_digit() const { return peek() >= '0' && peek() <= '9'; }
  bool take(char wanted) {
    if (at_end() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void skip_digits() {
    while (is_digit()) ++at_;
  }
  void skip_blanks() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
  }

  tl::unexpected<Error> wrong(std::string_view expected) const {
    if (at_end()) {
      return fail(ErrorCode::InvalidArgument, "the text ends at byte {}, expected {}", at_,
                  expected);
    }
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte > 0x20 && byte < 0x7f) {
      return fail(ErrorCode::InvalidArgument, "'{}' at byte {}, expected {}", text_[at_], at_,
                  expected);
    }
    return fail(ErrorCode::InvalidArgument, "0x{:02x} at byte {}, expected {}", byte, at_,
                expected);
  }

  std::string_view text_;
  size_t at_ = 0;
  std::vector<size_t> large_integer_ends_;
};

Json::Object without_repeats(Json::Object members) {
  std::unordered_map<std::string_view, size_t> places;
  Json::Object kept;
  kept.reserve(members.size());
  for (auto& [key, value] : members) {
    size_t place = kept.size();
    if (members.size() <= kPairwiseMembersMax) {
      for (size_t i = 0; i < kept.size(); ++i) {
        if (kept[i].first == key) place = i;
      }
    } else {
      // The keys of `kept` stay where they are: its capacity was reserved.
      const auto found = places.find(key);
      if (found != places.end()) place = found->second;
    }
    if (place < kept.size()) {
      kept[place].second = std::move(value);
      continue;
    }
    kept.emplace_back(std::move(key), std::move(value));
    places.emplace(kept.back().first, place);
  }
  return kept;
}

Json convert(simdjson::dom::element element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::ARRAY: {
      const simdjson::dom::array children = element.get_array().value_unsafe();
      Json::Array array;
      for (const auto child : children) array.push_back(convert(child));
      return Json(std::move(array));
    }
    case element_type::OBJECT: {
      const simdjson::dom::object members = element.get_object().value_unsafe();
      Json::Object object;
      for (const auto member : members) {
        object.emplace_back(std::string(member.key), convert(member.value));
      }
      return Json(without_repeats(std::move(object)));
    }
    case element_type::INT64:
      return Json(element.get_int64().value_unsafe());
    case element_type::UINT64:
      return Json(static_cast<double>(element.get_uint64().value_unsafe()));
    case element_type::DOUBLE:
      return Json(element.get_double().value_unsafe());
    case element_type::STRING:
      return Json(std::string(element.get_string().value_unsafe()));
    case element_type::BOOL:
      return Json(element.get_bool().value_unsafe());
    case element_type::NULL_VALUE:
      break;
  }
  return Json();
}

// simdjson counts the depth of containers only, so scalars may stand one deeper.
simdjson::error_code read_tree(std::string_view text, Json& tree) {
  // Kept per thread: a parser holds about 14 bytes per byte of its capacity, so large
  // texts get a parser of their own.
  constexpr size_t kKeptSizeMax = size_t{1} << 16;
  thread_local simdjson::dom::parser kept_parser(kKeptSizeMax);
  simdjson::dom::parser own_parser;
  const bool is_small = text.size() <= kKeptSizeMax;
  simdjson::dom::parser& parser = is_small ? kept_parser : own_parser;
  const size_t capacity = is_small ? kKeptSizeMax : text.size();
  if (parser.max_depth() != kDepthMax || parser.capacity() < capacity) {
    if (const auto error = parser.allocate(capacity, kDepthMax)) return error;
  }
  simdjson::dom::element root;
  const simdjson::error_code error =
      parser.parse(text.data(), text.size(), /*realloc_if_needed=*/true).get(root);
  if (!error) tree = convert(root);
  return error;
}

}  // namespace

double Json::number() const {
  if (const int64_t* integer = as_int()) return static_cast<double>(*integer);
  const double* value = std::get_if<double>(&value_);
  ENSURE(value != nullptr);
  return *value;
}

const Json* Json::find(std::string_view key) const {
  const Object* object = as_object();
  if (object == nullptr) return nullptr;
  for (const auto& [name, value] : *object) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string_view Json::type_name() const {
  constexpr std::string_view kNames[] = {"null",   "boolean", "number", "number",
                                         "string", "array",   "object"};
  static_assert(std::size(kNames) == std::variant_size_v<Variant>);
  return kNames[value_.index()];
}

Result<Json> parse_json(std::string_view text) {
  Json tree;
  const simdjson::error_code error = read_tree(text, tree);
  if (!error) return tree;

  Scanner scanner(text);
  TRY(scanner.document());
  // "e0" makes a float of an integer.
  std::string floats;
  size_t copied = 0;
  for (const size_t end : scanner.large_integer_ends()) {
    floats.append(text.substr(copied, end - copied)).append("e0");
    copied = end;
  }
  floats.append(text.substr(copied));
  if (copied > 0 && !read_tree(floats, tree)) return tree;
  return fail(ErrorCode::InvalidArgument, "not JSON: {}", simdjson::error_message(error));
}

}  // namespace core
