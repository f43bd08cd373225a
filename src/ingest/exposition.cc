#include "ingest/exposition.h"

#include "core/text.h"
#include "ingest/exposition_text.h"

#include <map>

namespace ingest {
namespace {

bool is_token_char(char c) {
  constexpr std::string_view kSpecials = "()<>@,;:\\\"/[]?=";
  return c > ' ' && c < '\x7f' && kSpecials.find(c) == std::string_view::npos;
}

// Takes a token off the front; empty when there is none.
std::string_view take_token(std::string_view& text) {
  size_t size = 0;
  while (size < text.size() && is_token_char(text[size])) ++size;
  const std::string_view token = text.substr(0, size);
  text.remove_prefix(size);
  return token;
}

// A token or a quoted string. False when there is neither.
bool take_value(std::string_view& text, std::string& value) {
  value.clear();
  if (!text.starts_with('"')) {
    value = take_token(text);
    return !value.empty();
  }
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return true;
    }
    if (text[i] == '\r' || text[i] == '\n') return false;
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    value += text[i];
  }
  return false;
}

struct MediaType {
  std::string name;  // lower case
  std::map<std::string, std::string> parameters;
};

// RFC 2045, as Go's mime.ParseMediaType judges it.
std::optional<MediaType> parse_media_type(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  MediaType type;
  const size_t semicolon = text.find(';');
  type.name = core::lower(core::trim(text.substr(0, semicolon), kBlanks));
  std::string_view name = type.name;
  if (take_token(name).empty()) return std::nullopt;
  if (!name.empty()) {
    if (name[0] != '/') return std::nullopt;
    name.remove_prefix(1);
    if (take_token(name).empty() || !name.empty()) return std::nullopt;
  }
  std::string_view rest = semicolon == std::string_view::npos ? "" : text.substr(semicolon);
  for (;;) {
    rest = core::trim(rest, kBlanks);
    if (rest.empty() || rest == ";") return type;
    if (rest[0] != ';') return std::nullopt;
    rest = core::trim(rest.substr(1), kBlanks);
    std::string key = core::lower(take_token(rest));
    rest = core::trim(rest, kBlanks);
    if (key.empty() || !rest.starts_with('=')) return std::nullopt;
    rest = core::trim(rest.substr(1), kBlanks);
    std::string value;
    if (!take_value(rest, value)) return std::nullopt;
    const auto [known, is_new] = type.parameters.try_emplace(std::move(key), value);
    if (!is_new && known->second != value) return std::nullopt;
  }
}

std::optional<ExpositionFormat> format_of(const MediaType& type) {
  const auto found = type.parameters.find("version");
  const std::string_view version =
      found == type.parameters.end() ? "" : std::string_view(found->second);
  if (type.name == "text/plain") {
    return version == "1.0.0" ? ExpositionFormat::Text100 : ExpositionFormat::Text004;
  }
  if (type.name == "application/openmetrics-text") {
    return version == "0.0.1" ? ExpositionFormat::OpenMetrics001 : ExpositionFormat::OpenMetrics100;
  }
  if (type.name == "application/vnd.google.protobuf") return ExpositionFormat::Protobuf;
  return std::nullopt;
}

}  // namespace

std::unique_ptr<ExpositionParser> make_exposition_parser(ExpositionFormat format,
                                                         std::string_view body,
                                                         const ExpositionOptions& options) {
  switch (format) {
    case ExpositionFormat::Text004:
    case ExpositionFormat::Text100:
      return make_prometheus_text_parser(body, options);
    case ExpositionFormat::OpenMetrics001:
    case ExpositionFormat::OpenMetrics100:
      return make_openmetrics_parser(body, options);
    case ExpositionFormat::Protobuf:
      return make_protobuf_parser(body, options);
  }
  ENSURE(false);
  return nullptr;
}

core::Result<ExpositionFormat> exposition_format(std::string_view content_type,
                                                 std::optional<ExpositionFormat> fallback) {
  const std::optional<MediaType> type = parse_media_type(content_type);
  const std::optional<ExpositionFormat> format = type ? format_of(*type) : std::nullopt;
  if (format) return *format;
  if (fallback) return *fallback;
  if (content_type.empty()) {
    return core::fail(core::ErrorCode::InvalidArgument,
                      "the target sent no Content-Type, and there is no fallback_scrape_protocol");
  }
  return core::fail(core::ErrorCode::InvalidArgument,
                    "Content-Type \"{}\" is none of text/plain, application/openmetrics-text and "
                    "application/vnd.google.protobuf, and there is no fallback_scrape_protocol",
                    content_type);
}

}  // namespace ingest
