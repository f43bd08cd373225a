// What an import has finished, in the data directory: a second run of the same import goes
// on where the first one ended. Written anew as a whole, atomically; losing it costs time,
// not data: samples that are there already are recognised one by one.

#pragma once

#include "core/file_system.h"
#include "core/result.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace app {

class ImportJournal {
 public:
  struct Entry {
    uint64_t bytes = 0;    // read for it, for the progress of a second run
    uint64_t samples = 0;  // written
  };

  // A file that cannot be read counts as none.
  static ImportJournal load(core::FileSystem& files, const std::string& data_dir);

  // `key` says all that the work depends on: tenant, range, sources, filter.
  const Entry* find(std::string_view key) const;
  // Durable when it returns.
  core::Result<void> add(core::FileSystem& files, const std::string& key, Entry entry);

 private:
  std::string encode() const;

  std::string path_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace app
