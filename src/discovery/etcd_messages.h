// The JSON of etcd's gRPC gateway, as far as Petrel speaks it
// (https://etcd.io/docs/v3.5/dev-guide/api_grpc_gateway/): 64-bit numbers are strings,
// keys and values base64, and fields that are zero are left out.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace discovery::etcd {

std::string authenticate_body(std::string_view user, std::string_view password);
// All keys that begin with `prefix`, from `from_key` on; `revision` 0: the newest.
std::string range_body(std::string_view prefix, std::string_view from_key, int64_t revision,
                       int64_t limit);
std::string watch_body(std::string_view prefix, int64_t start_revision);
std::string put_body(std::string_view key, std::string_view value, int64_t lease);
std::string delete_body(std::string_view key);
std::string grant_body(int64_t ttl_s);
std::string lease_body(int64_t lease);  // for keep-alive and revoke

struct KeyValue {
  std::string key;
  std::string value;
  bool operator==(const KeyValue&) const = default;
};

struct RangeAnswer {
  int64_t revision = 0;
  bool has_more = false;
  std::vector<KeyValue> entries;
};

struct WatchEvent {
  bool is_delete = false;
  KeyValue entry;
};

struct WatchAnswer {
  bool is_created = false;
  bool is_canceled = false;
  std::string cancel_reason;
  int64_t compact_revision = 0;  // > 0: the asked revision is gone
  std::vector<WatchEvent> events;
};

// Unavailable with etcd's own words when the answer is an error; InvalidArgument when it
// is not one of etcd's.
core::Result<std::string> parse_authenticate(std::string_view json);
core::Result<RangeAnswer> parse_range(std::string_view json);
core::Result<WatchAnswer> parse_watch(std::string_view json);  // one line of the stream
core::Result<int64_t> parse_grant(std::string_view json);
// The remaining seconds; 0 when the lease is gone.
core::Result<int64_t> parse_keep_alive(std::string_view json);
// Of answers that carry nothing else of interest: put, delete, revoke.
core::Result<void> parse_done(std::string_view json);

}  // namespace discovery::etcd
