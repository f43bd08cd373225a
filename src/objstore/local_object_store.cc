#include "objstore/local_object_store.h"

#include <algorithm>
#include <utility>

namespace objstore {

using core::ErrorCode;
using core::fail;
using core::OpenMode;
using core::Result;

namespace {

constexpr size_t kKeySizeMax = 1024;
constexpr std::string_view kUnfinished = ".tmp";  // of FileSystem::write_file_atomically

bool is_key_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '/' || c == '-';
}

Result<void> check_local_key(std::string_view key) {
  TRY(check_key(key));
  if (key.ends_with(kUnfinished)) {
    return fail(ErrorCode::InvalidArgument,
                "object key \"{}\": ends in \"{}\", the mark of unfinished files", key,
                kUnfinished);
  }
  return {};
}

}  // namespace

Result<void> check_key(std::string_view key) {
  const auto bad = [&](std::string_view what) {
    return fail(ErrorCode::InvalidArgument, "object key \"{}\": {}", key.substr(0, kKeySizeMax),
                what);
  };
  if (key.empty()) return bad("is empty");
  if (key.size() > kKeySizeMax) return bad("has more than 1024 bytes");
  if (!std::all_of(key.begin(), key.end(), is_key_byte)) {
    return bad("has bytes other than [A-Za-z0-9._/-]");
  }
  for (std::string_view rest = key;;) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty()) return bad("has an empty part");
    if (part == "." || part == "..") return bad("has a part \".\" or \"..\"");
    if (slash == std::string_view::npos) return {};
    rest.remove_prefix(slash + 1);
  }
}

LocalObjectStore::LocalObjectStore(core::FileSystem& files, std::string dir)
    : files_(files), dir_(std::move(dir)) {}

std::string LocalObjectStore::parent_of(const std::string& key) const {
  const size_t slash = key.rfind('/');
  return slash == std::string::npos ? dir_ : path_of(key.substr(0, slash));
}

Result<void> LocalObjectStore::put(const std::string& key, std::string_view bytes) {
  TRY(check_local_key(key));
  TRY(files_.create_dirs(parent_of(key)).context("put object \"{}\"", key));
  return files_.write_file_atomically(path_of(key), bytes).context("put object \"{}\"", key);
}

Result<std::string> LocalObjectStore::get(const std::string& key) const {
  TRY(check_local_key(key));
  return files_.read_file(path_of(key)).context("get object \"{}\"", key);
}

Result<std::string> LocalObjectStore::get_range(const std::string& key, uint64_t offset,
                                                uint64_t size) const {
  TRY(check_local_key(key));
  const auto read = [&]() -> Result<std::string> {
    const auto file = TRY(files_.open(path_of(key), OpenMode::Read));
    const uint64_t end = TRY(file->size());
    if (offset >= end) return std::string();
    return file->read_at(offset, static_cast<size_t>(std::min(size, end - offset)));
  };
  return read().context("get object \"{}\" from byte {}", key, offset);
}

Result<void> LocalObjectStore::remove(const std::string& key) {
  TRY(check_local_key(key));
  Result<void> removed = files_.remove(path_of(key));
  if (!removed) {
    if (removed.error().code == ErrorCode::NotFound) return {};
    return std::move(removed).context("remove object \"{}\"", key);
  }
  return files_.sync_dir(parent_of(key)).context("remove object \"{}\"", key);
}

Result<std::vector<ObjectInfo>> LocalObjectStore::list(const std::string& prefix) const {
  std::vector<ObjectInfo> found;
  if (!files_.exists(dir_)) return found;
  // Only the folder that the prefix names can hold matches.
  const size_t last_slash = prefix.rfind('/');
  const std::string below = last_slash == std::string::npos ? "" : prefix.substr(0, last_slash);
  if (!below.empty()) {
    TRY(check_key(below));
    if (!files_.exists(path_of(below))) return found;
  }
  TRY(list_below(below, prefix, found).context("list objects \"{}\"", prefix));
  std::sort(found.begin(), found.end(),
            [](const ObjectInfo& a, const ObjectInfo& b) { return a.key < b.key; });
  return found;
}

// `key` is a folder ("" for the root), or an object, whose name no other can have.
Result<void> LocalObjectStore::list_below(const std::string& key, const std::string& prefix,
                                          std::vector<ObjectInfo>& found) const {
  for (const std::string& name : TRY(files_.list(key.empty() ? dir_ : path_of(key)))) {
    const std::string child = key.empty() ? name : key + "/" + name;
    if (child.ends_with(kUnfinished)) continue;
    const bool may_match = child.starts_with(prefix) || prefix.starts_with(child + "/");
    if (!may_match) continue;
    if (files_.list(path_of(child))) {
      TRY(list_below(child, prefix, found));
      continue;
    }
    const auto file = files_.open(path_of(child), OpenMode::Read);
    // Removed since the folder was read.
    if (!file && file.error().code == ErrorCode::NotFound) continue;
    if (!file) return tl::unexpected(file.error());
    found.push_back({.key = child, .size = TRY((*file)->size())});
  }
  return {};
}

}  // namespace objstore
