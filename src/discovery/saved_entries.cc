#include "discovery/saved_entries.h"

#include "core/crc32c.h"
#include "core/json.h"
#include "core/json_writer.h"
#include "net/http.h"

namespace discovery {

using core::ErrorCode;
using core::fail;
using core::Json;
using core::Result;

namespace {

constexpr int64_t kVersion = 1;
// {"crc32c":"01234567","payload":{...}}\n; the sum is over the bytes of the payload.
constexpr std::string_view kHead = R"({"crc32c":")";
constexpr std::string_view kMiddle = R"(","payload":)";
constexpr std::string_view kTail = "}\n";
constexpr size_t kSumSize = 8;
constexpr size_t kNameMax = 200;  // file systems take 255

template <typename T>
Result<T> member(const Json& object, std::string_view name, const T* (Json::*as)() const) {
  const Json* const value = object.find(name);
  const T* const found = value == nullptr ? nullptr : (value->*as)();
  if (found == nullptr) {
    return fail(ErrorCode::Corruption, "\"{}\" is absent or of another type", name);
  }
  return *found;
}

}  // namespace

std::string format_saved_entries(const SavedEntries& saved) {
  std::string payload;
  core::JsonWriter json(payload);
  json.object().key("v").value(kVersion).key("kind").value(saved.kind);
  json.key("prefix").value(saved.prefix).key("saved_ms").value(saved.saved_ms);
  json.key("entries").array();
  for (const auto& [path, value] : saved.entries) {
    json.object().key("path").value(path).key("value").value(value).end();
  }
  json.end().end();
  const std::string sum = fmt::format("{:08x}", core::crc32c(payload));
  return std::string(kHead) + sum + std::string(kMiddle) + payload + std::string(kTail);
}

Result<SavedEntries> parse_saved_entries(std::string_view text) {
  constexpr size_t kPayloadAt = kHead.size() + kSumSize + kMiddle.size();
  if (!text.starts_with(kHead) || text.size() < kPayloadAt + kTail.size() ||
      text.substr(kHead.size() + kSumSize, kMiddle.size()) != kMiddle || !text.ends_with(kTail)) {
    return fail(ErrorCode::Corruption, "not a file of known targets, or cut");
  }
  const std::string_view payload = text.substr(kPayloadAt, text.size() - kPayloadAt - kTail.size());
  const std::string sum = fmt::format("{:08x}", core::crc32c(payload));
  if (text.substr(kHead.size(), kSumSize) != sum) {
    return fail(ErrorCode::Corruption, "checksum {}: the content has {}",
                text.substr(kHead.size(), kSumSize), sum);
  }
  const Json json = TRY(core::parse_json(payload));
  const int64_t version = TRY(member(json, "v", &Json::as_int));
  if (version != kVersion) {
    return fail(ErrorCode::Corruption, "version {}: expected {}", version, kVersion);
  }
  SavedEntries out;
  out.kind = TRY(member(json, "kind", &Json::as_string));
  out.prefix = TRY(member(json, "prefix", &Json::as_string));
  out.saved_ms = TRY(member(json, "saved_ms", &Json::as_int));
  for (const Json& entry : TRY(member(json, "entries", &Json::as_array))) {
    std::string path = TRY(member(entry, "path", &Json::as_string));
    out.entries.emplace_back(std::move(path), TRY(member(entry, "value", &Json::as_string)));
  }
  return out;
}

std::string saved_entries_file(std::string_view name) {
  std::string encoded = net::percent_encode(name);
  if (encoded.size() > kNameMax) {
    encoded = fmt::format("{}%{:08x}", encoded.substr(0, kNameMax), core::crc32c(name));
  }
  return encoded + ".json";
}

}  // namespace discovery
