// The ObjectStore seam: immutable objects under keys such as
// "blocks/default/01J.../index". Embedded form: a local directory.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace objstore {

struct ObjectInfo {
  std::string key;
  uint64_t size = 0;
};

// Thread-safe. Keys are 1..1024 bytes of [A-Za-z0-9._/-] without "..", empty parts or
// a leading slash.
class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  // Durable and visible as a whole when it returns; replaces an object of that key.
  virtual core::Result<void> put(const std::string& key, std::string_view bytes) = 0;
  virtual core::Result<std::string> get(const std::string& key) const = 0;
  // [offset, offset + size), cut at the object's end.
  virtual core::Result<std::string> get_range(const std::string& key, uint64_t offset,
                                              uint64_t size) const = 0;
  virtual core::Result<void> remove(const std::string& key) = 0;  // absent is fine
  virtual core::Result<std::vector<ObjectInfo>> list(const std::string& prefix) const = 0;
};

// InvalidArgument, with the key and what is wrong, unless `key` follows the rules above.
core::Result<void> check_key(std::string_view key);

}  // namespace objstore
