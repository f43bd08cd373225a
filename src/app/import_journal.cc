#include "app/import_journal.h"

#include "core/crc32c.h"
#include "promql/parser.h"
#include "tsdb/read_again.h"

#include <algorithm>
#include <charconv>

namespace app {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kHeaderV1 =
    "petrel import journal 1\n";  // "done" lines without the word
constexpr std::string_view kHeader = "petrel import journal 2\n";
constexpr std::string_view kChecksumWord = "crc ";

std::string_view take_word(std::string_view& line) {
  const size_t end = line.find(' ');
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  return word;
}

template <typename Number>
bool take_number(std::string_view& line, Number& number) {
  const std::string_view word = take_word(line);
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && end == word.data() + word.size();
}

std::string selector_of(const model::Matchers& matchers) {
  std::string text = "{";
  for (const model::Matcher& matcher : matchers) {
    if (text.size() > 1) text += ',';
    text += matcher.to_string();
  }
  return text + "}";
}

}  // namespace

std::string ImportJournal::encode() const {
  std::string text(kHeader);
  for (const auto& [import, since] : begun_) text += fmt::format("begun {} {}\n", since, import);
  for (const auto& [key, entry] : entries_) {
    text += fmt::format("done {} {} {}\n", entry.bytes, entry.samples, key);
  }
  for (const Deletion& one : deletions_) {
    text += fmt::format("deleted {} {} {} {} {}\n", one.number, one.tenant, one.range.start_ms,
                        one.range.end_ms, one.selector);
  }
  return text + fmt::format("{}{:08x}\n", kChecksumWord, core::crc32c(text));
}

bool ImportJournal::decode_line(std::string_view line) {
  const std::string_view what = take_word(line);
  if (what == "begun") {
    uint64_t since = 0;
    if (!take_number(line, since)) return false;
    next_number_ = std::max(next_number_, since);
    return begun_.emplace(line, since).second;
  }
  if (what == "done") {
    Entry entry;
    if (!take_number(line, entry.bytes) || !take_number(line, entry.samples)) return false;
    return entries_.emplace(line, entry).second;
  }
  Deletion one;
  if (what != "deleted" || !take_number(line, one.number)) return false;
  one.tenant = take_word(line);
  if (!take_number(line, one.range.start_ms) || !take_number(line, one.range.end_ms)) return false;
  one.selector = line;
  auto matchers = promql::parse_selector(one.selector);
  if (!matchers) return false;
  one.matchers = *std::move(matchers);
  next_number_ = std::max(next_number_, one.number + 1);
  deletions_.push_back(std::move(one));
  return true;
}

bool ImportJournal::decode(std::string_view text) {
  const bool is_v1 = text.starts_with(kHeaderV1);
  if (!is_v1 && !text.starts_with(kHeader)) return false;
  const size_t checksum_at = text.rfind(kChecksumWord);
  if (checksum_at == std::string_view::npos) return false;
  const std::string_view checked = text.substr(0, checksum_at);
  if (text.substr(checksum_at) != fmt::format("{}{:08x}\n", kChecksumWord, core::crc32c(checked))) {
    return false;
  }
  text = checked.substr(kHeader.size());
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return false;
    const std::string line = (is_v1 ? "done " : "") + std::string(text.substr(0, end));
    if (!decode_line(line)) return false;
    text.remove_prefix(end + 1);
  }
  return true;
}

Result<ImportJournal> ImportJournal::load(core::FileSystem& files, const std::string& data_dir) {
  ImportJournal journal;
  journal.path_ = data_dir + "/import_journal";
  // Fails when the disk refuses to read it: it may be whole, and is not begun anew.
  const Result<std::string> stored =
      tsdb::read_again([&] { return files.read_file(journal.path_); });
  if (!stored && stored.error().code == ErrorCode::NotFound) return journal;
  if (!stored) return tl::unexpected(stored.error());
  const std::string& text = *stored;
  if (journal.decode(text)) return journal;
  return core::fail(ErrorCode::Corruption,
                    "{}: damaged: its {} bytes do not have the checksum at their end. It says what "
                    "imports have done, and what was deleted since. Remove it to begin anew: "
                    "samples that are there are recognised, deleted ones come back",
                    journal.path_, text.size());
}

Result<void> ImportJournal::store(core::FileSystem& files) const {
  return files.write_file_atomically(path_, encode());
}

Result<void> ImportJournal::begin(core::FileSystem& files, const std::string& import) {
  if (!begun_.emplace(import, next_number_).second) return {};
  return store(files);
}

Result<void> ImportJournal::add(core::FileSystem& files, const std::string& key, Entry entry) {
  entries_[key] = entry;
  return store(files);
}

Result<void> ImportJournal::complete(core::FileSystem& files, const std::string& import) {
  begun_.erase(import);
  entries_[import] = {};
  forget_deletions();
  return store(files);
}

// Those that no unfinished import has to know.
void ImportJournal::forget_deletions() {
  uint64_t first = next_number_;
  for (const auto& [import, since] : begun_) first = std::min(first, since);
  std::erase_if(deletions_, [&](const Deletion& one) { return one.number < first; });
}

Result<void> ImportJournal::note_deletion(core::FileSystem& files, const model::TenantId& tenant,
                                          const std::vector<model::Matchers>& selectors,
                                          model::TimeRange range) {
  if (begun_.empty()) return {};
  for (const model::Matchers& matchers : selectors) {
    std::string selector = selector_of(matchers);
    // One that deletes all that an earlier one does stands for it. An import that was begun
    // between the two has to see the later one only, so its number counts.
    std::erase_if(deletions_, [&](const Deletion& one) {
      return one.tenant == tenant && one.selector == selector &&
             range.start_ms <= one.range.start_ms && range.end_ms >= one.range.end_ms;
    });
    deletions_.push_back({.number = next_number_++,
                          .tenant = tenant,
                          .selector = std::move(selector),
                          .matchers = matchers,
                          .range = range});
  }
  if (deletions_.size() > kDeletionsMax) {
    return core::fail(ErrorCode::LimitExceeded,
                      "{}: {} deletions since an import that is not complete, at most {} fit: run "
                      "the import to its end, or remove the file if that is not wanted any more",
                      path_, deletions_.size(), kDeletionsMax);
  }
  return store(files);
}

const ImportJournal::Entry* ImportJournal::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

std::vector<ImportJournal::Deletion> ImportJournal::deletions(std::string_view import,
                                                              const model::TenantId& tenant) const {
  std::vector<Deletion> found;
  const auto begun = begun_.find(import);
  if (begun == begun_.end()) return found;
  std::ranges::copy_if(deletions_, std::back_inserter(found), [&](const Deletion& one) {
    return one.number >= begun->second && one.tenant == tenant;
  });
  return found;
}

}  // namespace app
