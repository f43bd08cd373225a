#include "promtsdb/block_meta.h"

#include "core/json.h"

#include <algorithm>

namespace promtsdb {

using core::ErrorCode;
using core::Json;
using core::Result;

namespace {

constexpr size_t kUlidSize = 26;

Result<int64_t> integer(const Json& object, std::string_view name) {
  const Json* const found = object.find(name);
  if (found == nullptr) return core::fail(ErrorCode::Corruption, "field {} is missing", name);
  if (const int64_t* number = found->as_int()) return *number;
  return core::fail(ErrorCode::Corruption, "field {}: expected an integer, got a {}", name,
                    found->type_name());
}

uint64_t count_of(const Json& stats, std::string_view name) {
  const Json* const found = stats.find(name);
  const int64_t* const number = found == nullptr ? nullptr : found->as_int();
  return number == nullptr || *number < 0 ? 0 : static_cast<uint64_t>(*number);
}

void read_compaction(const Json& compaction, BlockMeta& meta) {
  if (const Json* level = compaction.find("level"); level != nullptr && level->as_int()) {
    meta.level = *level->as_int();
  }
  const Json* const hints = compaction.find("hints");
  if (hints != nullptr && hints->as_array() != nullptr) {
    for (const Json& hint : *hints->as_array()) {
      const std::string* const text = hint.as_string();
      if (text != nullptr && *text == "from-out-of-order") meta.out_of_order = true;
    }
  }
  const Json* const parents = compaction.find("parents");
  if (parents == nullptr || parents->as_array() == nullptr) return;
  for (const Json& parent : *parents->as_array()) {
    const Json* const ulid = parent.find("ulid");
    if (ulid != nullptr && ulid->as_string() != nullptr) meta.parents.push_back(*ulid->as_string());
  }
}

}  // namespace

bool is_ulid(std::string_view name) {
  return name.size() == kUlidSize && std::ranges::all_of(name, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
         });
}

Result<BlockMeta> parse_block_meta(std::string_view json) {
  const Json document = TRY(core::parse_json(json));
  if (document.as_object() == nullptr) {
    return core::fail(ErrorCode::Corruption, "expected an object, got a {}", document.type_name());
  }
  const int64_t version = TRY(integer(document, "version"));
  if (version != 1) {
    return core::fail(ErrorCode::Unsupported, "field version: expected 1, got {}", version);
  }
  BlockMeta meta;
  const Json* const ulid = document.find("ulid");
  if (ulid == nullptr || ulid->as_string() == nullptr || !is_ulid(*ulid->as_string())) {
    return core::fail(ErrorCode::Corruption, "field ulid: expected 26 letters and digits");
  }
  meta.ulid = *ulid->as_string();
  meta.range.start_ms = TRY(integer(document, "minTime"));
  meta.range.end_ms = TRY(integer(document, "maxTime"));
  if (meta.range.start_ms > meta.range.end_ms) {
    return core::fail(ErrorCode::Corruption, "field minTime: {} is after maxTime {}",
                      meta.range.start_ms, meta.range.end_ms);
  }
  if (const Json* stats = document.find("stats")) {
    meta.samples = count_of(*stats, "numSamples");
    meta.series = count_of(*stats, "numSeries");
    meta.chunks = count_of(*stats, "numChunks");
  }
  if (const Json* compaction = document.find("compaction")) read_compaction(*compaction, meta);
  return meta;
}

}  // namespace promtsdb
