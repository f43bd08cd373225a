// What imports have done, in the data directory: a second run of the same import goes on where
// the first one ended. Text, written anew as a whole, atomically:
//
//   petrel import journal 2
//   begun SINCE KEY                          an import that is not complete
//   done BYTES SAMPLES KEY                   a range of it, or all
//   deleted NUMBER TENANT START END SELECTOR while an import was not complete
//   crc CHECKSUM
//
// What is deleted between two runs of an import is deleted from all that it brings: else a range
// that the second run looks at again would bring it back. An import that is begun later brings
// what its source has, as samples that arrive later do.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "model/tenant.h"
#include "model/time_range.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace app {

class ImportJournal {
 public:
  // All of them are looked at for every series of an import.
  static constexpr size_t kDeletionsMax = 10'000;

  struct Entry {
    uint64_t bytes = 0;    // read for it, for the progress of a second run
    uint64_t samples = 0;  // written
  };
  struct Deletion {
    uint64_t number = 0;  // rising
    model::TenantId tenant;
    std::string selector;
    model::Matchers matchers;  // of the selector
    model::TimeRange range;
  };

  // Fails when the file is there and cannot be read: the deletions in it would be forgotten.
  static core::Result<ImportJournal> load(core::FileSystem& files, const std::string& data_dir);

  // The others change the file; durable when they return. `import` and `key` say all that the
  // import, or the range, depends on: tenant, sources, filter. They have no line breaks.
  core::Result<void> begin(core::FileSystem& files, const std::string& import);
  core::Result<void> add(core::FileSystem& files, const std::string& key, Entry entry);
  core::Result<void> complete(core::FileSystem& files, const std::string& import);
  // Does nothing unless an import is unfinished. After the deletion itself.
  core::Result<void> note_deletion(core::FileSystem& files, const model::TenantId& tenant,
                                   const std::vector<model::Matchers>& selectors,
                                   model::TimeRange range);

  const Entry* find(std::string_view key) const;
  bool has_unfinished() const { return !begun_.empty(); }
  // What was deleted of the tenant since the import was begun.
  std::vector<Deletion> deletions(std::string_view import, const model::TenantId& tenant) const;

 private:
  std::string encode() const;
  bool decode(std::string_view text);
  bool decode_line(std::string_view line);
  core::Result<void> store(core::FileSystem& files) const;
  void forget_deletions();

  std::string path_;
  uint64_t next_number_ = 1;
  std::map<std::string, uint64_t, std::less<>> begun_;  // the number of the first deletion after
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<Deletion> deletions_;
};

}  // namespace app
