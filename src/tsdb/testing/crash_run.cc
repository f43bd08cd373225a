// The lives of a run: opening, faults, deaths.

#include "tsdb/testing/crash_run.h"

#include "tsdb/embedded_log_segment.h"
#include "tsdb/testing/crash_log.h"

#include <algorithm>

namespace tsdb::testing {

using core::Result;
using core::testing::SimFault;
using core::testing::SimOperation;

namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;

template <typename Value, size_t kSize>
Value pick(core::Rng& rng, const Value (&values)[kSize]) {
  return values[rng.below(kSize)];
}

}  // namespace

CrashOutcome run_crash_seed(const CrashOptions& options, CrashCoverage& coverage) {
  CrashOutcome outcome = CrashRun(options, coverage).run();
  if (!outcome.broken && !options.ignore_sync && !options.ignore_sync_dir) {
    outcome.broken =
        run_crash_log(options.seed, coverage, options.trace ? &outcome.trace : nullptr);
  }
  return outcome;
}

CrashRun::CrashRun(const CrashOptions& options, CrashCoverage& coverage)
    : options_(options),
      coverage_(coverage),
      rng_(options.seed * 3 + 1),
      engine_rng_(options.seed * 3 + 2),
      files_({.seed = options.seed * 3 + 3,
              .ignore_sync = options.ignore_sync,
              .ignore_sync_dir = options.ignore_sync_dir}) {
  files_.on_operation([this](SimOperation operation, const std::string& path) {
    coverage_.count_operation(operation, path);
  });
  files_.on_fault([this](SimOperation operation, const std::string& path, SimFault fault) {
    coverage_.count_fault(operation, path, fault);
    ++faults_;
    if (!is_small_ || fault != SimFault::NoSpace) ++hard_faults_;
    is_manifest_unread_ |= operation == SimOperation::Read && path.starts_with("data/manifest");
    is_in_doubt_ |= operation == SimOperation::SyncDir && path == "data";
    trace("     ! {} at {} of {}", sim_fault_name(fault), sim_operation_name(operation), path);
  });
  engine_options_.data_dir = "data";
  engine_options_.block_range_ms = 2 * kHour;
  engine_options_.block_range_max_ms = pick(rng_, {4 * kHour, 8 * kHour, 24 * kHour});
  engine_options_.out_of_order_window_ms =
      pick(rng_, {10 * kMinute, kHour, kHour, 6 * kHour, 30 * kHour});
  engine_options_.retention_ms = pick(rng_, {int64_t{0}, int64_t{0}, 7 * kHour, 30 * kHour});
  engine_options_.block_index_cache_bytes = pick(rng_, {size_t{1}, size_t{4096}, size_t{1} << 20U});
  engine_options_.retention_bytes =
      pick(rng_, {uint64_t{0}, uint64_t{0}, uint64_t{0}, uint64_t{0}, uint64_t{0},
                  uint64_t{8} << 10U, uint64_t{32} << 10U});
  static constexpr int64_t kStaleAfter[] = {0, 15 * kMinute, kHour};
  engine_options_.stale_after_ms = kStaleAfter[options.seed % std::size(kStaleAfter)];
  engine_options_.stale_series_min = 1;
  static constexpr uint64_t kReplayWindows[] = {0, 2 << 10U, 6 << 10U, 64 << 20U};
  engine_options_.replay_window_bytes =
      kReplayWindows[options.seed / 3 % std::size(kReplayWindows)];
  model_.set_retention({.time_ms = engine_options_.retention_ms});
  log_options_.dir = "data/wal";
  log_options_.segment_bytes = 512ULL << rng_.below(6);
  log_options_.pending_bytes_max = 512ULL << rng_.below(8);
  log_lags_ = one_in(3);
  series_count_ = 2 + rng_.below(14);
  is_dense_ = one_in(4);
  if (is_dense_) series_count_ = 1 + rng_.below(3);

  // Not every run does everything: what is left out lets the rest go further.
  static constexpr std::pair<Step, uint64_t> kUsual[] = {
      {Step::Append, 48},        {Step::Resend, 6}, {Step::Maintain, 8},  {Step::FlushAll, 3},
      {Step::Compact, 5},        {Step::Delete, 4}, {Step::Read, 5},      {Step::OpenRead, 2},
      {Step::FinishRead, 2},     {Step::Labels, 2}, {Step::ClockJump, 1}, {Step::Future, 1},
      {Step::Capacity, 1},       {Step::Reopen, 1}, {Step::Fault, 2},     {Step::Snapshot, 2},
      {Step::CleanTombstones, 2}};
  for (const auto& [step, weight] : kUsual) {
    static constexpr uint64_t kFactors[] = {0, 1, 2, 2, 4};
    const bool is_needed = step == Step::Append || step == Step::Read || step == Step::Maintain;
    const uint64_t factor = is_needed ? 2 : pick(rng_, kFactors);
    weights_[static_cast<size_t>(step)] = weight * factor;
  }
}

void CrashRun::fail(std::string what) {
  if (!broken_) broken_ = std::move(what);
}

CrashOutcome CrashRun::run() {
  const int lives = 3 + static_cast<int>(rng_.below(4));
  for (int life = 0; life < lives && !is_broken(); ++life) {
    live(life);
    if (!is_broken()) end_life();
  }
  // The last life meets no fault: what it finds, it has to find again.
  if (!is_broken()) {
    trace("last life");
    files_.clear_fault();
    if (open()) check_everything(true);
  }
  if (!is_broken() && one_in(2)) final_damage();
  close();
  return {.broken = std::move(broken_), .trace = std::move(trace_)};
}

void CrashRun::close() {
  held_.clear();
  engine_.reset();
  lagging_log_.reset();
  log_.reset();
}

// False when a fault kept it from opening.
bool CrashRun::open() {
  close();
  not_opened_.reset();
  has_evicted_ = false;
  notes_.clear();
  auto log = EmbeddedLog::open(log_options_, files_, clock_, engine_rng_);
  if (!log) {
    not_opened_ = log.error();
    trace("the log does not open: {}", log.error().message);
    if (must_read_all()) fail("the log does not open: " + log.error().message);
    return false;
  }
  log_ = std::move(*log);
  lagging_log_ = std::make_unique<LaggingLog>(*log_, rng_, log_lags_);
  auto engine = Engine::open(engine_options_, {files_, clock_, engine_rng_, *lagging_log_});
  if (!engine) {
    not_opened_ = engine.error();
    trace("does not open: {}", engine.error().message);
    if (must_read_all()) fail("does not open: " + engine.error().message);
    close();
    return false;
  }
  engine_ = std::move(*engine);
  if (!files_.has_power()) {
    close();
    return false;
  }
  trace("open, log from {} to {}, {} samples replayed", log_->low(), log_->high(),
        engine_->progress().samples);
  if (is_sound() && engine_->progress().dropped_samples != 0) {
    fail("the log has samples of unknown series");
  }
  if (is_sound()) check_left_overs();
  return !is_broken();
}

void CrashRun::live(int life) {
  trace("life {}", life);
  faults_ = 0;
  hard_faults_ = 0;
  is_manifest_unread_ = false;
  is_small_ = false;
  is_read_only_ = false;
  is_in_doubt_ = false;
  copy_failed_ = false;
  const bool has_early_fault = one_in(4);
  // There is something to be read.
  const bool is_read_only =
      life > 0 && files_.exists("data/wal") && files_.exists("data/blocks") && one_in(24);
  if (is_read_only) {
    make_read_only();
  } else if (was_left_in_doubt_ && one_in(2)) {
    make_full();
  } else if (one_in(24)) {
    trace("no manifest can be stored");
    files_.fail_when({.fault = SimFault::Io,
                      .operation = SimOperation::Create,
                      .path_contains = "data/manifest.tmp",
                      .lasts = true});
  } else if (has_early_fault) {
    arm_fault();
  }
  if (!open()) {
    coverage_.count("lives that did not begin, under a fault");
    return;
  }
  if (is_sound()) {
    check_everything(true);
    if (!is_broken() && one_in(2)) check_open_files();
  } else if (is_read_only_ && !is_broken()) {
    check_everything(false);
  }
  if (!has_early_fault && !is_read_only_ && !is_small_ && !one_in(5)) arm_fault();
  const bool is_short = one_in(was_left_in_doubt_ ? 2 : 8);
  const uint64_t steps = is_short ? rng_.below(4) : 10 + rng_.below(60);
  for (uint64_t i = 0; i < steps && !is_broken() && engine_ != nullptr; ++i) {
    do_step();
    // Nobody sees what a program does without power.
    if (!files_.has_power()) break;
    // What a fault left in doubt shows when the end comes soon.
    if (hard_faults_ > 0 && !is_read_only_ && one_in(copy_failed_ ? 2 : 8)) break;
  }
}

// Too full for a segment of the log.
void CrashRun::make_full() {
  trace("the disk is full");
  is_small_ = true;
  files_.set_capacity(files_.used_bytes() + rng_.below(512));
}

// What is renamed and not yet synced is the moment that leaves most in doubt.
void CrashRun::fail_within(Step step) {
  if (!is_sound()) return;
  if (step == Step::Append) {
    if (!one_in(300)) return;
    return files_.fail_when(
        {.fault = SimFault::Io, .operation = SimOperation::Sync, .path_contains = ".log"});
  }
  const bool is_copy = step == Step::Snapshot;
  if (!one_in(is_copy ? 2 : 8)) return;
  const SimFault fault = one_in(is_copy ? 2 : 3) ? SimFault::Io : SimFault::PowerLoss;
  if (one_in(is_copy ? 4 : 2)) {
    files_.fail_at(files_.fault_points() + rng_.below(24), fault);
    return;
  }
  files_.fail_when({.fault = fault,
                    .operation = SimOperation::SyncDir,
                    .path_contains = is_copy ? "data/snapshots/" : "data",
                    .is_whole_path = !is_copy,
                    .skip = is_copy ? rng_.below(4) : 0});
}

// A file system that an error has made read-only, or one that was mounted so.
void CrashRun::make_read_only() {
  trace("the disk takes no writes any more");
  coverage_.count("disks made read-only");
  is_read_only_ = true;
  files_.clear_fault();
  files_.set_read_only(true);
}

void CrashRun::arm_fault() {
  if (one_in(24) && files_.exists("data/wal") && files_.exists("data/blocks")) {
    return make_read_only();
  }
  switch (rng_.below(6)) {
    case 0:
    case 1:
    case 2: {
      const core::testing::SimFaultRule rule = random_fault(rng_);
      trace("fault to come: {} at {} of *{}* after {}{}", sim_fault_name(rule.fault),
            sim_operation_name(*rule.operation), rule.path_contains, rule.skip,
            rule.lasts ? ", lasting" : "");
      files_.fail_when(rule);
      break;
    }
    case 3:
    case 4: {
      const uint64_t at = files_.fault_points() + rng_.below(one_in(2) ? 20 : 300);
      const auto fault = static_cast<SimFault>(rng_.below(core::testing::kSimFaultCount));
      trace("fault to come: {} at point {}", sim_fault_name(fault), at);
      files_.fail_at(at, fault);
      break;
    }
    default:
      // Where the disk is full at once, nothing else is learned.
      is_small_ = true;
      files_.clear_fault();
      files_.set_capacity(files_.used_bytes() + 2048 + rng_.below(48) * 1024);
      trace("the disk has {} bytes left", files_.disk_space("data")->available_bytes);
  }
}

void CrashRun::end_life() {
  // A process that is killed does not close its files; one that ends does.
  const bool is_clean = one_in(4);
  if (!is_clean) {
    files_.clear_fault();
    files_.fail_at(files_.fault_points(), SimFault::PowerLoss);
  }
  held_.clear();
  close();
  if (one_in(is_in_doubt_ ? 2 : 3)) {
    trace("{}", is_clean ? "closed" : "killed");
    was_left_in_doubt_ = is_in_doubt_;
    coverage_.count(is_clean ? "lives closed" : "lives killed");
    files_.kill();
  } else {
    was_left_in_doubt_ = false;
    trace("{}", is_clean ? "closed, then the power fails" : "the power fails");
    coverage_.count("power losses");
    files_.crash();
  }
  files_.set_capacity(UINT64_MAX);
  faults_ = 0;
  hard_faults_ = 0;
  is_manifest_unread_ = false;
  is_small_ = false;
  is_read_only_ = false;
}

void CrashRun::do_step() {
  ++steps_;
  uint64_t total = 0;
  for (const uint64_t weight : weights_) total += weight;
  uint64_t at = rng_.below(total);
  size_t chosen = 0;
  while (at >= weights_[chosen]) at -= weights_[chosen++];
  const auto step = static_cast<Step>(chosen);
  if (step == Step::Maintain || step == Step::FlushAll || step == Step::Compact ||
      step == Step::Append || step == Step::CleanTombstones || step == Step::Delete ||
      step == Step::Snapshot) {
    fail_within(step);
  }
  switch (step) {
    case Step::Append:
      append();
      break;
    case Step::Resend:
      resend();
      break;
    case Step::Maintain:
      arm_interrupt(Within::Flush);
      (void)maintain("maintain", false);
      break;
    case Step::FlushAll:
      arm_interrupt(Within::Flush);
      (void)maintain("flush all", true);
      break;
    case Step::Compact:
      arm_interrupt(Within::Merge);
      note("compact", engine_->compact(1 + static_cast<uint32_t>(rng_.below(4))));
      break;
    case Step::CleanTombstones:
      arm_interrupt(Within::Merge);
      note("clean tombstones", engine_->clean_tombstones());
      break;
    case Step::Delete:
      delete_series();
      break;
    case Step::Snapshot:
      snapshot();
      break;
    case Step::Read:
      read();
      break;
    case Step::OpenRead:
      open_read();
      break;
    case Step::FinishRead:
      finish_read();
      break;
    case Step::Labels:
      check_labels(
          {.tenant = random_tenant(), .matchers = random_matchers(), .range = random_range()});
      break;
    case Step::ClockJump:
      clock_jump();
      break;
    case Step::Future:
      future();
      break;
    case Step::Capacity:
      lift_capacity();
      break;
    case Step::Reopen:
      reopen();
      break;
    case Step::Fault:
      if (faults_ == 0 && !is_small_ && !is_read_only_) arm_fault();
      break;
    case Step::kCount:
      break;
  }
  files_.clear_interrupt();
  if (is_dense_ && !one_in(10)) {
    clock_.advance_ms(static_cast<int64_t>(rng_.below(40)) * 1000);
  } else {
    clock_.advance_ms(static_cast<int64_t>(rng_.below(20)) * kMinute);
  }
}

// What is replayed takes no more memory than what was there before.
void CrashRun::reopen() {
  trace("closes and opens again");
  std::map<std::string, uint64_t> late;
  for (const model::TenantId& tenant : engine_->tenants()) {
    late[tenant] = engine_->stats(tenant).late_samples;
  }
  // Deletions change what is late. Of a series that was evicted nothing is late until a replay
  // brings its samples back.
  const bool is_comparable = !has_evicted_ && !tried_deletion_;
  close();
  if (!open() || !is_sound()) return;
  check_everything(true);
  if (!is_comparable || clock_jumped_ || is_broken()) return;
  for (const auto& [tenant, before] : late) {
    const uint64_t now = engine_->stats(tenant).late_samples;
    const uint64_t added = model_.carried_weight(tenant, clock_.now_ms() + 30 * 24 * kHour);
    if (now > before + added) {
      fail(fmt::format("{} late samples of tenant {} in memory, before the restart {}", now, tenant,
                       before));
    }
  }
}

// Each kind of file as often as the others, how many there may be.
std::string CrashRun::file_to_damage() {
  std::map<FileKind, std::vector<std::string>> by_kind;
  for (const std::string& path : files_.all_files()) {
    const FileKind kind = file_kind_of(SimOperation::Write, path);
    if (kind == FileKind::Copy || path == "data/lock") continue;
    by_kind[kind].push_back(path);
  }
  if (by_kind.empty()) return {};
  const auto chosen =
      std::next(by_kind.begin(), static_cast<ptrdiff_t>(rng_.below(by_kind.size())));
  return chosen->second[rng_.below(chosen->second.size())];
}

// What it did.
std::string CrashRun::damage_file(const std::string& path) {
  if (one_in(8)) {
    files_.suspend_faults(true);
    ENSURE(files_.remove(path).has_value());
    ENSURE(files_.sync_dir(path.substr(0, path.find_last_of('/'))).has_value());
    files_.suspend_faults(false);
    return "removed";
  }
  const bool is_cut = one_in(4);
  const uint64_t place = rng_.next();
  const auto bit = static_cast<char>(1U << rng_.below(8));
  uint64_t at = 0;
  files_.damage(path, [&](std::string& bytes) {
    if (bytes.empty()) return;
    at = place % bytes.size();
    if (is_cut) {
      bytes.resize(at);
    } else {
      bytes[at] = static_cast<char>(bytes[at] ^ bit);
    }
  });
  return fmt::format("{} at byte {}", is_cut ? "cut" : "a bit flipped", at);
}

// A bit of the newest segment in front of its last mark. The log was not closed: only that mark
// says that all before it was durable. Empty when the segment has none.
std::string CrashRun::damage_before_last_mark() {
  for (int i = 0; i < 4; ++i) append();
  files_.fail_at(files_.fault_points(), SimFault::PowerLoss);
  close();
  files_.kill();
  faults_ = 0;
  hard_faults_ = 0;
  std::string path;
  for (const std::string& one : files_.all_files()) {
    if (one.starts_with(log_options_.dir + "/") && one.ends_with(".log")) path = one;
  }
  if (path.empty()) return {};
  const Result<std::string> bytes = files_.read_file(path);
  const auto header = decode_segment_header(bytes.value_or(""));
  if (!header) return {};
  SegmentReader reader(*bytes, *header, std::nullopt, Checksums::Verify);
  uint64_t mark_at = 0;
  while (true) {
    const uint64_t offset = reader.offset();
    const storage::LogPosition proven_end = reader.proven_end();
    const auto record = reader.next();
    if (reader.proven_end() > proven_end) mark_at = offset;
    if (!record || !*record) break;
  }
  if (mark_at <= kSegmentHeaderBytes) return {};
  const uint64_t at = kSegmentHeaderBytes + rng_.below(mark_at - kSegmentHeaderBytes);
  const auto bit = static_cast<char>(1U << rng_.below(8));
  files_.damage(path, [&](std::string& all) { all[at] = static_cast<char>(all[at] ^ bit); });
  trace("killed; a bit flipped in {} at byte {}, in front of the last mark", path, at);
  coverage_.count("log segments damaged in front of their last mark");
  return path;
}

// Files that change by themselves: what is read then is right, or carries a warning.
void CrashRun::final_damage() {
  held_.clear();
  std::string path;
  if (engine_ != nullptr && one_in(4)) {
    path = damage_before_last_mark();
  } else {
    close();
    path = file_to_damage();
    if (!path.empty()) trace("damages {}: {}", path, damage_file(path));
  }
  if (path.empty()) return;
  is_damaged_ = true;
  coverage_.count(
      fmt::format("files damaged: {}", file_kind_name(file_kind_of(SimOperation::Write, path))));
  if (!open()) {
    // A file of a later version is not damaged: the program says so and ends.
    const bool is_version = not_opened_ && not_opened_->code == core::ErrorCode::Unsupported &&
                            not_opened_->message.find(path) != std::string::npos;
    if (is_version) return coverage_.count("files of later versions refused");
    return fail("does not open with a damaged file");
  }
  check_everything(false);
  for (int i = 0; i < 20 && !is_broken() && engine_ != nullptr; ++i) do_step();
  if (!is_broken() && engine_ != nullptr) check_everything(false);
}

}  // namespace tsdb::testing
