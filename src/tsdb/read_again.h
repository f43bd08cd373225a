// Reading from a disk that fails. An i/o error is not damage: the bytes may be there at the
// next try or at the next start. It is tried again at once, as nothing here may wait. What
// then still fails is *unread*: not lost, and nothing is done that would make it so
// (docs/decisions/0010-unread-files.md).

#pragma once

#include "core/metrics.h"
#include "core/mutation.h"
#include "core/result.h"

#include <string>

namespace tsdb {

inline constexpr int kReadAttempts = 3;

struct UnreadFile {
  std::string file;
  std::string what;  // names the byte, if it is known
};

// Against bytes that were read and are wrong, and names that are not there.
inline bool is_unread(const core::Error& error) {
  if (PETREL_MUTATED("unread-is-damage")) return false;
  return error.code == core::ErrorCode::Io || error.code == core::ErrorCode::PermissionDenied;
}

// `read` gives a Result.
template <typename Read>
auto read_again(const Read& read) -> decltype(read()) {
  static core::Counter& errors =
      core::counter("petrel_tsdb_read_errors_total",
                    "Reads of the data directory that the disk refused; each is tried again.");
  auto done = read();
  for (int attempt = 1; !done && is_unread(done.error()); ++attempt) {
    errors.add();
    if (attempt == kReadAttempts) break;
    done = read();
  }
  return done;
}

}  // namespace tsdb
