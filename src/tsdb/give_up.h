// What petrel tsdb repair does when an operator gives up what the disk does not give: the file
// is kept under another name, and a copy of what can be read of it takes its place. Zeros stand
// for the rest, which the next start finds as damage.

#pragma once

#include "core/file_system.h"
#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

inline constexpr std::string_view kUnreadableSuffix = ".unreadable";

struct UnreadPart {
  uint64_t begin = 0;
  uint64_t end = UINT64_MAX;  // the file's size is not known
  std::string why;
};

// None when all of it can be read.
core::Result<std::vector<UnreadPart>> find_unread_parts(core::FileSystem& files,
                                                        const std::string& path);
// `path` is `dir`/NAME. Without a known size there is no copy: the file goes aside as a whole.
core::Result<void> give_up_parts(core::FileSystem& files, const std::string& dir,
                                 const std::string& path, const std::vector<UnreadPart>& parts);

}  // namespace tsdb
