#include "app/import_journal.h"

#include "core/crc32c.h"
#include "core/log.h"

#include <charconv>

namespace app {

using core::Result;

namespace {

constexpr std::string_view kHeader = "petrel import journal 1\n";
constexpr std::string_view kChecksumWord = "crc ";

bool take_number(std::string_view& line, uint64_t& number) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
  if (error != std::errc()) return false;
  line.remove_prefix(static_cast<size_t>(end - line.data()));
  if (!line.starts_with(' ')) return false;
  line.remove_prefix(1);
  return true;
}

}  // namespace

// One line per piece of work: bytes, samples, key; then the checksum of all of them.
std::string ImportJournal::encode() const {
  std::string text(kHeader);
  for (const auto& [key, entry] : entries_) {
    text += fmt::format("{} {} {}\n", entry.bytes, entry.samples, key);
  }
  return text + fmt::format("{}{:08x}\n", kChecksumWord, core::crc32c(text));
}

ImportJournal ImportJournal::load(core::FileSystem& files, const std::string& data_dir) {
  ImportJournal journal;
  journal.path_ = data_dir + "/import_journal";
  if (!files.exists(journal.path_)) return journal;
  const Result<std::string> text = files.read_file(journal.path_);
  std::map<std::string, Entry, std::less<>> entries;
  const auto read = [&](std::string_view rest) {
    if (!rest.starts_with(kHeader)) return false;
    const size_t checksum_at = rest.rfind(kChecksumWord);
    if (checksum_at == std::string_view::npos) return false;
    const std::string_view checked = rest.substr(0, checksum_at);
    if (rest.substr(checksum_at) !=
        fmt::format("{}{:08x}\n", kChecksumWord, core::crc32c(checked))) {
      return false;
    }
    rest = checked.substr(kHeader.size());
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      if (end == std::string_view::npos) return false;
      std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end + 1);
      Entry entry;
      if (!take_number(line, entry.bytes) || !take_number(line, entry.samples)) return false;
      entries.emplace(line, entry);
    }
    return true;
  };
  if (text && read(*text)) {
    journal.entries_ = std::move(entries);
  } else {
    core::log_warn("import", "the journal of earlier imports cannot be read, it begins anew",
                   {{"file", journal.path_}});
  }
  return journal;
}

const ImportJournal::Entry* ImportJournal::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

Result<void> ImportJournal::add(core::FileSystem& files, const std::string& key, Entry entry) {
  entries_[key] = entry;
  return files.write_file_atomically(path_, encode());
}

}  // namespace app
