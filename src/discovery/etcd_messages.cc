#include "discovery/etcd_messages.h"

#include "core/base64.h"
#include "core/json.h"
#include "core/json_writer.h"

#include <charconv>

namespace discovery::etcd {

using core::ErrorCode;
using core::fail;
using core::Json;
using core::JsonWriter;
using core::Result;

namespace {

// The first key behind all that begin with `prefix`; "\0" stands for the end of all keys.
std::string range_end(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (end.empty()) return std::string(1, '\0');
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

tl::unexpected<core::Error> unexpected_answer(std::string_view what) {
  return fail(ErrorCode::InvalidArgument, "not an answer of etcd: {}", what);
}

// Absent is 0.
Result<int64_t> read_number(const Json& object, std::string_view name) {
  const Json* const value = object.find(name);
  if (value == nullptr) return 0;
  if (const int64_t* number = value->as_int()) return *number;
  const std::string* const text = value->as_string();
  int64_t number = 0;
  if (text != nullptr) {
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error == std::errc() && end == text->data() + text->size()) return number;
  }
  return unexpected_answer(fmt::format("\"{}\" is no number", name));
}

Result<bool> read_flag(const Json& object, std::string_view name) {
  const Json* const value = object.find(name);
  if (value == nullptr) return false;
  if (const bool* flag = value->as_bool()) return *flag;
  return unexpected_answer(fmt::format("\"{}\" is no boolean", name));
}

Result<std::string> read_text(const Json& object, std::string_view name) {
  const Json* const value = object.find(name);
  if (value == nullptr) return "";
  if (const std::string* text = value->as_string()) return *text;
  return unexpected_answer(fmt::format("\"{}\" is no string", name));
}

Result<std::string> read_base64(const Json& object, std::string_view name) {
  const std::string text = TRY(read_text(object, name));
  std::optional<std::string> bytes = core::base64_decode(text);
  if (!bytes) return unexpected_answer(fmt::format("\"{}\" is not base64", name));
  return *std::move(bytes);
}

Result<KeyValue> read_key_value(const Json& object) {
  if (object.as_object() == nullptr) return unexpected_answer("\"kv\" is no object");
  std::string key = TRY(read_base64(object, "key"));
  return KeyValue{std::move(key), TRY(read_base64(object, "value"))};
}

// {"error":"text","code":16,"message":"text"} of a call;
// {"error":{"grpc_code":11,"message":"text",...}} of a stream.
Result<void> refuse_error(const Json& document) {
  if (document.as_object() == nullptr) return unexpected_answer("expected an object");
  const Json* const error = document.find("error");
  if (error == nullptr) return {};
  std::string text;
  if (const std::string* plain = error->as_string()) {
    text = *plain;
  } else if (error->as_object() != nullptr) {
    text = TRY(read_text(*error, "message"));
  }
  return fail(ErrorCode::Unavailable, "etcd: {}", text.empty() ? "error without a text" : text);
}

Result<Json> parse(std::string_view json) {
  Json document = TRY(core::parse_json(json).context("not an answer of etcd"));
  TRY(refuse_error(document));
  return document;
}

// What streams wrap every message in.
Result<Json> parse_result(std::string_view json) {
  const Json document = TRY(parse(json));
  const Json* const result = document.find("result");
  if (result == nullptr || result->as_object() == nullptr) {
    return unexpected_answer("\"result\" is absent");
  }
  return *result;
}

Result<int64_t> read_revision(const Json& object) {
  const Json* const header = object.find("header");
  if (header == nullptr || header->as_object() == nullptr) {
    return unexpected_answer("\"header\" is absent");
  }
  return read_number(*header, "revision");
}

}  // namespace

std::string authenticate_body(std::string_view user, std::string_view password) {
  std::string out;
  JsonWriter(out).object().key("name").value(user).key("password").value(password).end();
  return out;
}

std::string range_body(std::string_view prefix, std::string_view from_key, int64_t revision,
                       int64_t limit) {
  std::string out;
  JsonWriter json(out);
  json.object().key("key").value(core::base64_encode(from_key));
  json.key("range_end").value(core::base64_encode(range_end(prefix)));
  json.key("limit").value(std::to_string(limit));
  if (revision > 0) json.key("revision").value(std::to_string(revision));
  json.end();
  return out;
}

std::string watch_body(std::string_view prefix, int64_t start_revision) {
  std::string out;
  JsonWriter json(out);
  json.object().key("create_request").object().key("key").value(core::base64_encode(prefix));
  json.key("range_end").value(core::base64_encode(range_end(prefix)));
  json.key("start_revision").value(std::to_string(start_revision)).end().end();
  return out;
}

std::string put_body(std::string_view key, std::string_view value, int64_t lease) {
  std::string out;
  JsonWriter json(out);
  json.object()
      .key("key")
      .value(core::base64_encode(key))
      .key("value")
      .value(core::base64_encode(value));
  if (lease != 0) json.key("lease").value(std::to_string(lease));
  json.end();
  return out;
}

std::string delete_body(std::string_view key) {
  std::string out;
  JsonWriter(out).object().key("key").value(core::base64_encode(key)).end();
  return out;
}

std::string grant_body(int64_t ttl_s) {
  std::string out;
  JsonWriter(out).object().key("TTL").value(std::to_string(ttl_s)).end();
  return out;
}

std::string lease_body(int64_t lease) {
  std::string out;
  JsonWriter(out).object().key("ID").value(std::to_string(lease)).end();
  return out;
}

Result<std::string> parse_authenticate(std::string_view json) {
  const Json document = TRY(parse(json));
  std::string token = TRY(read_text(document, "token"));
  if (token.empty()) return unexpected_answer("\"token\" is absent");
  return token;
}

Result<RangeAnswer> parse_range(std::string_view json) {
  const Json document = TRY(parse(json));
  RangeAnswer out;
  out.revision = TRY(read_revision(document));
  out.has_more = TRY(read_flag(document, "more"));
  const Json* const entries = document.find("kvs");
  if (entries == nullptr) return out;
  if (entries->as_array() == nullptr) return unexpected_answer("\"kvs\" is no list");
  for (const Json& entry : *entries->as_array()) out.entries.push_back(TRY(read_key_value(entry)));
  return out;
}

Result<WatchAnswer> parse_watch(std::string_view json) {
  const Json result = TRY(parse_result(json));
  WatchAnswer out;
  out.is_created = TRY(read_flag(result, "created"));
  out.is_canceled = TRY(read_flag(result, "canceled"));
  out.cancel_reason = TRY(read_text(result, "cancel_reason"));
  out.compact_revision = TRY(read_number(result, "compact_revision"));
  const Json* const events = result.find("events");
  if (events == nullptr) return out;
  if (events->as_array() == nullptr) return unexpected_answer("\"events\" is no list");
  for (const Json& event : *events->as_array()) {
    const Json* const entry = event.find("kv");
    if (entry == nullptr) return unexpected_answer("an event without \"kv\"");
    const std::string type = TRY(read_text(event, "type"));
    out.events.push_back({type == "DELETE", TRY(read_key_value(*entry))});
  }
  return out;
}

Result<int64_t> parse_grant(std::string_view json) {
  const Json document = TRY(parse(json));
  const int64_t lease = TRY(read_number(document, "ID"));
  if (lease == 0) return unexpected_answer("\"ID\" is absent");
  return lease;
}

Result<int64_t> parse_keep_alive(std::string_view json) {
  const Json result = TRY(parse_result(json));
  return read_number(result, "TTL");
}

Result<void> parse_done(std::string_view json) {
  TRY(parse(json));
  return {};
}

}  // namespace discovery::etcd
