#include "tsdb/give_up.h"

#include "tsdb/read_again.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr uint64_t kPieceBytes = 4096;
constexpr uint64_t kBlockBytes = 1 << 20;

bool overlaps(const UnreadPart& part, uint64_t begin, uint64_t end) {
  return part.begin < end && part.end > begin;
}

// Neighbours become one.
void add_part(std::vector<UnreadPart>& parts, UnreadPart part) {
  if (!parts.empty() && parts.back().end == part.begin) {
    parts.back().end = part.end;
  } else {
    parts.push_back(std::move(part));
  }
}

Result<void> copy_readable(core::FileSystem& files, const std::string& from, const std::string& to,
                           const std::vector<UnreadPart>& parts) {
  const std::unique_ptr<core::File> source = TRY(files.open(from, core::OpenMode::Read));
  const std::unique_ptr<core::File> copy = TRY(files.open(to, core::OpenMode::CreateOrTruncate));
  const uint64_t size = TRY(source->size());
  for (uint64_t at = 0; at < size; at += kPieceBytes) {
    const uint64_t bytes = std::min(kPieceBytes, size - at);
    const bool is_given_up = std::ranges::any_of(
        parts, [&](const UnreadPart& one) { return overlaps(one, at, at + bytes); });
    if (is_given_up) {
      TRY(copy->write_at(at, std::string(bytes, '\0')));
      continue;
    }
    const std::string read = TRY(read_again([&] { return source->read_at(at, bytes); }));
    TRY(copy->write_at(at, read));
  }
  return copy->sync();
}

}  // namespace

Result<std::vector<UnreadPart>> find_unread_parts(core::FileSystem& files,
                                                  const std::string& path) {
  std::vector<UnreadPart> parts;
  const Result<std::unique_ptr<core::File>> file =
      read_again([&] { return files.open(path, core::OpenMode::Read); });
  if (!file && !is_unread(file.error())) return tl::unexpected(file.error());
  if (!file) return std::vector<UnreadPart>{{.why = file.error().message}};
  const Result<uint64_t> size = read_again([&] { return (*file)->size(); });
  if (!size) return std::vector<UnreadPart>{{.why = size.error().message}};
  for (uint64_t at = 0; at < *size; at += kBlockBytes) {
    if (read_again([&] { return (*file)->read_at(at, kBlockBytes); })) continue;
    const uint64_t end = std::min(at + kBlockBytes, *size);
    for (uint64_t piece = at; piece < end; piece += kPieceBytes) {
      const Result<std::string> read = (*file)->read_at(piece, kPieceBytes);
      if (read) continue;
      add_part(
          parts,
          {.begin = piece, .end = std::min(piece + kPieceBytes, end), .why = read.error().message});
    }
  }
  return parts;
}

Result<void> give_up_parts(core::FileSystem& files, const std::string& dir, const std::string& path,
                           const std::vector<UnreadPart>& parts) {
  const std::string aside = path + std::string(kUnreadableSuffix);
  const bool has_size =
      std::ranges::none_of(parts, [](const UnreadPart& one) { return one.end == UINT64_MAX; });
  if (has_size) {
    const std::string temporary = dir + "/next.tmp";
    TRY(copy_readable(files, path, temporary, parts).context("copy {}", path));
    // The name never means nothing.
    const Result<void> linked = files.link(path, aside);
    if (!linked && linked.error().code != ErrorCode::Conflict) return linked;
    TRY(files.rename(temporary, path));
  } else {
    TRY(files.rename(path, aside));
  }
  return files.sync_dir(dir);
}

}  // namespace tsdb
