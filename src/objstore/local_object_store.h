// Objects as files of a local directory: the key is the path below it.

#pragma once

#include "core/file_system.h"
#include "objstore/object_store.h"

#include <string>
#include <string_view>
#include <vector>

namespace objstore {

// Thread-safe for different keys; concurrent put() of one key is the caller's to order.
// Borrows the file system. Beyond the rules of ObjectStore a key may not end in ".tmp"
// (names of unfinished files), and "a" and "a/b" cannot both exist (Conflict).
class LocalObjectStore final : public ObjectStore {
 public:
  LocalObjectStore(core::FileSystem& files, std::string dir);

  core::Result<void> put(const std::string& key, std::string_view bytes) override;
  core::Result<std::string> get(const std::string& key) const override;
  core::Result<std::string> get_range(const std::string& key, uint64_t offset,
                                      uint64_t size) const override;
  core::Result<void> remove(const std::string& key) override;
  core::Result<std::vector<ObjectInfo>> list(const std::string& prefix) const override;

 private:
  std::string path_of(const std::string& key) const { return dir_ + "/" + key; }
  std::string parent_of(const std::string& key) const;
  core::Result<void> list_below(const std::string& key, const std::string& prefix,
                                std::vector<ObjectInfo>& found) const;

  core::FileSystem& files_;
  const std::string dir_;
};

}  // namespace objstore
