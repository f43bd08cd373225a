// What a run demands of the engine.

#include "tsdb/block.h"
#include "tsdb/manifest.h"
#include "tsdb/series_snapshot.h"
#include "tsdb/testing/crash_run.h"

#include <algorithm>
#include <set>

namespace tsdb::testing {

using core::Result;

namespace {

constexpr const char* kAllTenants[] = {"default", "other", "third"};
constexpr uint64_t kSparesMax = 2;

}  // namespace

void CrashRun::check_reading(std::string_view what, const CrashModel::Query& query,
                             const Reading& reading, const CrashModel::Moment* opened) {
  if (must_read_all()) {
    if (reading.error) fail(fmt::format("{}: {}", what, *reading.error));
    if (!reading.warnings.empty()) fail(fmt::format("{}: {}", what, reading.warnings.front()));
  } else if (reading.error || !reading.warnings.empty()) {
    coverage_.count("reads with a warning or an error");
  }
  Reading judged = reading;
  // When lost records were accepted is known from their neighbours. Where the clock jumped in
  // between, only reads of all times are sure to have the warning.
  const bool is_all =
      query.range.start_ms == kAllTime.start_ms && query.range.end_ms == kAllTime.end_ms;
  if (is_damaged_ && clock_jumped_ && !is_all) judged.warnings.emplace_back("the clock jumped");
  if (is_manifest_unread_ && !reading.warnings.empty()) return;
  if (auto broken = model_.check(query, judged, opened)) {
    fail(fmt::format("{}: {}", what, *broken));
  }
}

void CrashRun::check_everything(bool settles) {
  for (const char* tenant : kAllTenants) {
    const CrashModel::Query query{.tenant = tenant, .matchers = {}};
    Reading reading;
    auto set = engine_->select({.tenant = tenant, .matchers = {}, .range = kAllTime});
    if (set) {
      reading = read_all(**set);
    } else {
      reading.error = set.error().message;
    }
    check_reading("all samples", query, reading);
    auto exemplars = engine_->exemplars({.tenant = tenant, .matchers = {}, .range = kAllTime});
    auto metadata = engine_->metadata(tenant, "");
    if (!exemplars || !metadata) return fail("no answer on exemplars or metadata");
    if (!is_damaged_) {
      if (auto broken = model_.check_exemplars(tenant, *exemplars)) fail(*broken);
      if (auto broken = model_.check_metadata(tenant, *metadata)) fail(*broken);
    }
    if (is_broken()) return;
    if (one_in(4)) check_labels(query);
    if (!settles || !is_sound()) continue;
    if (auto broken = model_.settle(tenant, reading)) fail(*broken);
    model_.settle_exemplars(tenant, *exemplars);
    model_.settle_metadata(tenant, *metadata);
  }
  if (!settles || is_broken()) return;
  for (const Copy& copy : copies_) check_copy(copy);
}

// The answers on labels name every series that has samples, and none that was never sent.
void CrashRun::check_labels(const CrashModel::Query& query) {
  const storage::LabelsRequest request{
      .tenant = query.tenant, .matchers = {query.matchers}, .range = query.range};
  const auto series = engine_->series(request);
  const auto values = engine_->label_values("s", request);
  const auto names = engine_->label_names(request);
  trace("asks for labels of {}", query.tenant);
  coverage_.count("label reads");
  if (!series || !values || !names) {
    if (is_sound()) fail("no answer on labels");
    return;
  }
  std::set<std::string> sent;
  std::set<std::string> sent_values;
  for (const ModelSeries& one : model_.series()) {
    if (one.tenant != query.tenant || !model::matches_all(query.matchers, one.labels.view())) {
      continue;
    }
    sent.insert(one.labels.bytes());
    sent_values.insert(std::string(one.labels.get("s")));
  }
  std::set<std::string> read;
  for (const model::Labels& one : *series) {
    if (!sent.contains(one.bytes())) return fail("series never sent: " + one.to_string());
    if (!read.insert(one.bytes()).second) return fail("series twice: " + one.to_string());
  }
  for (const std::string& value : *values) {
    if (!sent_values.contains(value)) return fail("label value never sent: " + value);
  }
  if (!is_sound()) return;
  for (const ModelSeries* one : model_.expected_series(query)) {
    if (!read.contains(one->labels.bytes())) {
      return fail("series missing in the answer on series: " + one->labels.to_string());
    }
    if (!std::binary_search(values->begin(), values->end(), one->labels.get("s"))) {
      return fail("label value missing: " + one->labels.to_string());
    }
    for (const model::Label& label : one->labels) {
      if (!std::binary_search(names->begin(), names->end(), label.name)) {
        return fail("label name missing: " + one->labels.to_string());
      }
    }
  }
}

// What a start leaves in the data directory: what the manifest names, the log, copies.
void CrashRun::check_left_overs() {
  files_.suspend_faults(true);  // this is not the engine
  const Result<Manifest> manifest = Manifest::load(files_, "data");
  files_.suspend_faults(false);
  if (!manifest) return fail("the manifest cannot be read: " + manifest.error().message);
  std::set<std::string> known{"data/manifest", Manifest::copy_path_in("data"), "data/lock",
                              "data/wal.bounds"};
  for (const BlockMeta& meta : manifest->blocks) known.insert("data/blocks/" + meta.file_name());
  if (manifest->snapshot_number != 0) {
    known.insert(fmt::format("data/series_snapshot-{:010}", manifest->snapshot_number));
  }
  std::set<std::string> copies;
  uint64_t spares = 0;
  uint64_t older_snapshots = 0;
  for (const std::string& path : files_.all_files()) {
    if (known.contains(path)) continue;
    const std::string_view name = std::string_view(path).substr(path.find_last_of('/') + 1);
    if (path.starts_with("data/wal/") && name.starts_with("spare-") && ++spares <= kSparesMax) {
      continue;
    }
    if (path.starts_with("data/wal/") && name.ends_with(".log") && name.size() == 24) continue;
    // The snapshot before the one that counts is kept.
    if (path.starts_with("data/series_snapshot-") && name.size() == 26 && older_snapshots++ == 0) {
      continue;
    }
    // A copy is one once it has a manifest, also when nobody was told.
    const size_t name_end = path.find('/', std::string_view("data/snapshots/").size());
    const bool is_copy = path.starts_with("data/snapshots/") && name_end != std::string::npos &&
                         files_.exists(Manifest::path_in(path.substr(0, name_end)));
    if (is_copy) {
      copies.insert(path.substr(0, name_end));
      continue;
    }
    return fail("a left-over file after a start: " + path);
  }
  if (!log_->damage().empty()) {
    return fail("damage of the log without a fault of the disk: " + log_->damage().front().what);
  }
  check_files("data");
  for (const std::string& dir : copies) check_files(dir);
}

// A crash damages nothing: what a manifest names is there and whole.
void CrashRun::check_files(const std::string& dir) {
  files_.suspend_faults(true);  // this is not the engine
  const auto damage = [&]() -> std::string {
    const Result<Manifest> manifest = Manifest::load(files_, dir);
    if (!manifest) return "the manifest cannot be read: " + manifest.error().message;
    if (!manifest->incomplete.empty()) return manifest->incomplete.front().text;
    BlockCache cache(0);
    for (const BlockMeta& meta : manifest->blocks) {
      const auto block = Block::open(files_, dir + "/blocks/" + meta.file_name(), meta, cache);
      if (const auto index = block->index(); !index) return index.error().message;
    }
    if (manifest->snapshot_number == 0) return {};
    const std::string path = dir + "/" + series_snapshot_name(manifest->snapshot_number);
    const auto file = files_.open(path, core::OpenMode::Read);
    if (!file) return file.error().message;
    const SeriesSnapshotVisitor visitor{
        .series = [](std::string_view, uint64_t, std::string_view) {},
        .metadata = [](std::string_view, const model::Metadata&) {},
        .exemplar = [](std::string_view, std::string_view, const model::Exemplar&) {}};
    const auto found = read_series_snapshot(**file, visitor);
    if (!found) return path + ": " + found.error().message;
    return found->empty() ? std::string() : path + ": " + found->front().what;
  }();
  files_.suspend_faults(false);
  if (!damage.empty()) fail("damage without a fault of the disk: " + damage);
}

// What is in the window and not ahead of the clock is taken.
void CrashRun::check_refusal(const Item& item, const std::string& tenant,
                             const std::string& refusal) {
  if (!is_sound() || item.time_ms > clock_.now_ms() + engine_options_.ahead_max_ms) return;
  const int64_t ahead_ms = clock_.now_ms() + engine_options_.ahead_max_ms;
  const int64_t from_ms = std::min(newest_ms_.value_or(item.time_ms), ahead_ms) -
                          engine_options_.out_of_order_window_ms;
  if (item.time_ms < from_ms) return;
  fail(fmt::format("refused, but in the window of tenant {}: {}", tenant, refusal));
}

// One of the log, one per block.
void CrashRun::check_open_files() {
  if (!held_.empty()) return;
  uint64_t expected = 1;
  for (const model::TenantId& tenant : engine_->tenants()) {
    expected += engine_->stats(tenant).blocks;
  }
  if (files_.open_files() > expected) {
    fail(fmt::format("{} files are open, expected {}", files_.open_files(), expected));
  }
}

void CrashRun::check_copy(const Copy& copy) {
  const std::string dir = "data/snapshots/" + copy.name;
  files_.suspend_faults(true);
  trace("checks copy {}", copy.name);
  EngineOptions options = engine_options_;
  options.data_dir = dir;
  EmbeddedLogOptions log_options = log_options_;
  log_options.dir = dir + "/log";
  auto log = EmbeddedLog::open(log_options, files_, clock_, engine_rng_);
  if (!log) {
    // Without power nothing can be read.
    if (is_sound()) fail("the copy's log does not open: " + log.error().message);
    return files_.suspend_faults(false);
  }
  auto engine = Engine::open(options, {files_, clock_, engine_rng_, **log});
  if (!engine) {
    if (is_sound()) fail("a copy does not open: " + engine.error().message);
    return files_.suspend_faults(false);
  }
  coverage_.count("copies opened");
  for (const char* tenant : kAllTenants) {
    Reading reading;
    auto set = (*engine)->select({.tenant = tenant, .matchers = {}, .range = kAllTime});
    if (!set) return fail("a copy: " + set.error().message);
    reading = read_all(**set);
    if (is_sound() && !reading.warnings.empty()) {
      return fail("a copy: " + reading.warnings.front());
    }
    // Without the head much may be missing.
    if (!copy.has_head) reading.warnings.emplace_back("without the head");
    const CrashModel::Query query{.tenant = tenant, .matchers = {}};
    if (auto broken = model_.check_copy(copy.moment, query, reading)) {
      return fail("a copy: " + *broken);
    }
  }
  files_.suspend_faults(false);
}

}  // namespace tsdb::testing
