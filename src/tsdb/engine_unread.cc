// What a start cannot read because the disk refuses it. It is not lost: a later start may read
// it. So the start goes on and serves the rest, and until the next one nothing is done that
// would be wrong with it: no sample is taken, no manifest stored, no log cut, no file removed.
// docs/decisions/0010-unread-files.md.

#include "core/log.h"
#include "tsdb/engine_impl.h"
#include "tsdb/read_only_gauge.h"

#include <algorithm>

namespace tsdb {

using core::Result;

namespace {

core::Gauge& unread_gauge() {
  static core::Gauge& gauge =
      core::gauge("petrel_tsdb_unread_files",
                  "Files that could not be read at the start: nothing is written until the next.");
  return gauge;
}

constexpr std::string_view kWayOut =
    "a start at which the disk can be read goes on with everything, petrel tsdb repair gives up "
    "what cannot be read";

}  // namespace

// Before `ready`.
void Engine::Impl::hold_for(const UnreadFile& file) {
  const bool is_known = std::any_of(
      unread_files.begin(), unread_files.end(),
      [&](const UnreadFile& one) { return one.file == file.file && one.what == file.what; });
  if (is_known) return;
  core::log_error("tsdb", "a file cannot be read: nothing is written until the next start",
                  {{"file", file.file}, {"err", file.what}});
  unread_files.push_back(file);
  unread_gauge().set(static_cast<double>(unread_files.size()));
  is_held = true;
  read_only_gauge("unread").set(1);
  stop_writes(fmt::format("{} cannot be read ({}): {}", file.file, file.what, kWayOut),
              Stop::UntilRestart);
}

void Engine::Impl::begin_unread() {
  unread_gauge().set(0);
  read_only_gauge("unread").set(0);
  note_unread_log();
}

// What open() of the log met, and after the replay the rest.
void Engine::Impl::note_unread_log() {
  for (const storage::LogDamage& one : log.damage()) {
    if (!one.is_unread) continue;
    hold_for({.file = one.file, .what = fmt::format("from byte {}: {}", one.offset, one.what)});
  }
}

Result<void> Engine::Impl::check_not_held() const {
  return is_held ? check_writable() : Result<void>();
}

bool Engine::has_unread_files() const {
  return impl_->is_held;
}

}  // namespace tsdb
