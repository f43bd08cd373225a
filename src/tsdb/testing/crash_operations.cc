// What a run does to the engine.

#include "tsdb/testing/crash_run.h"

#include <algorithm>
#include <bit>
#include <set>

namespace tsdb::testing {

using core::Result;
using storage::AppendSummary;
using storage::RefusalReason;

namespace {

constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 60 * kMinute;
constexpr size_t kResendsMax = 6;
constexpr const char* kTenants[] = {"default", "default", "default", "other", "third"};

double make_value(core::Rng& rng) {
  switch (rng.below(10)) {
    case 0:
      return model::stale_nan();
    case 1:
      return std::bit_cast<double>(0x7ff8000000000000ULL | rng.below(1ULL << 40U));
    case 2:
      return -0.0;
    case 3:
      return rng.below(2) == 0 ? std::numeric_limits<double>::infinity() : 5e-324;
    case 4:
      return std::bit_cast<double>(rng.next());
    case 5:
      return static_cast<double>(rng.next() >> 12U);
    case 6:
    case 7:
      return static_cast<double>(rng.below(100'000)) / 100;
    default:
      return static_cast<double>(rng.below(1000));
  }
}

model::Histogram make_histogram(core::Rng& rng) {
  model::Histogram one;
  one.integer_counts = true;
  const uint32_t buckets = 1 + static_cast<uint32_t>(rng.below(4));
  if (rng.below(4) == 0) {
    one.schema = model::kCustomBucketsSchema;
    for (uint32_t i = 0; i < buckets; ++i) one.custom_bounds.push_back(0.5 * (i + 1));
  } else {
    one.schema = static_cast<int32_t>(rng.below(4));
    one.zero_count = static_cast<double>(rng.below(5));
    one.zero_threshold = 1e-3;
  }
  one.positive_spans.push_back({.offset = static_cast<int32_t>(rng.below(3)), .length = buckets});
  if (one.schema == model::kCustomBucketsSchema) one.positive_spans[0].offset = 0;
  one.count = one.zero_count;
  for (uint32_t i = 0; i < buckets; ++i) {
    one.positive_counts.push_back(static_cast<double>(rng.below(50)));
    one.count += one.positive_counts.back();
  }
  one.sum = rng.below(6) == 0 ? model::stale_nan() : static_cast<double>(rng.below(1000)) / 8;
  return one;
}

}  // namespace

model::Labels CrashRun::labels_of(const std::string& tenant, uint64_t number) const {
  return model::Labels::of({{"__name__", number % 3 == 0 ? "requests" : "load"},
                            {"tenant", tenant},
                            {"s", fmt::format("{}", number)},
                            {"job", number % 2 == 0 ? "node" : ""}});
}

std::string CrashRun::random_tenant() {
  return kTenants[rng_.below(std::size(kTenants))];
}

model::Matchers CrashRun::random_matchers() {
  using model::Matcher;
  using model::MatchType;
  model::Matchers matchers;
  const auto add = [&](MatchType type, std::string name, std::string value) {
    matchers.push_back(*Matcher::create(type, std::move(name), std::move(value)));
  };
  switch (rng_.below(8)) {
    case 0:
      add(MatchType::Equal, "s", fmt::format("{}", rng_.below(series_count_)));
      break;
    case 1:
      add(MatchType::Regex, "s", fmt::format("{}.*", rng_.below(10)));
      break;
    case 2:
      add(MatchType::Equal, "__name__", "load");
      add(MatchType::NotEqual, "s", fmt::format("{}", rng_.below(series_count_)));
      break;
    case 3:
      add(MatchType::Regex, "__name__", "requests|load");
      add(MatchType::NotRegex, "s", "[0-4]");
      break;
    case 4:
      add(MatchType::Equal, "job", "");
      add(MatchType::Equal, "__name__", one_in(2) ? "load" : "requests");
      break;
    case 5:
      add(MatchType::Equal, "job", "node");
      break;
    default:
      add(MatchType::Regex, "__name__", ".+");
  }
  return matchers;
}

model::TimeRange CrashRun::random_range() {
  if (one_in(4)) return kAllTime;
  const int64_t now = clock_.now_ms();
  const auto ago = [&](int64_t within) {
    return now - static_cast<int64_t>(rng_.below(static_cast<uint64_t>(within)));
  };
  const int64_t start = ago(one_in(2) ? kHour : 12 * kHour);
  switch (rng_.below(4)) {
    case 0:
      return {start, start + 1 + static_cast<int64_t>(rng_.below(3 * kHour))};
    case 1:
      return {kAllTime.start_ms, start};
    case 2: {  // whole ranges of blocks
      const int64_t aligned = start - start % engine_options_.block_range_ms;
      return {aligned, aligned + engine_options_.block_range_ms};
    }
    default:
      return {start, now + kHour};
  }
}

CrashRun::Item CrashRun::make_item(const std::string& tenant) {
  const int64_t now = clock_.now_ms();
  const auto below_ms = [&](int64_t bound) {
    return static_cast<int64_t>(rng_.below(static_cast<uint64_t>(bound)));
  };
  uint64_t number = rng_.below(series_count_);
  if (one_in(10)) {  // one that comes and goes
    if (one_in(3)) ++visitor_;
    number = visitor_;
  }
  Item item;
  item.series = model_.series_of(tenant, labels_of(tenant, number));
  item.kind = number % 5 == 4 ? SampleKind::Histogram : SampleKind::Float;
  item.value = make_value(rng_);
  const auto& known = model_.series()[item.series].samples[static_cast<size_t>(item.kind)];
  // What comes late while a flush closes the time is what it must not forget.
  switch (is_within_flush_ && one_in(2) ? 0 : rng_.below(12)) {
    case 0:
      item.time_ms = now - below_ms(engine_options_.out_of_order_window_ms + kMinute);
      break;
    case 1:
      item.time_ms = now - below_ms(engine_options_.out_of_order_window_ms + 10 * kHour);
      break;
    case 2:
      item.time_ms = now + below_ms(engine_options_.ahead_max_ms + kMinute);
      break;
    case 3:
    case 4:  // the same time again, with the same value or another one
      item.time_ms = now;
      if (known.empty()) break;
      item.time_ms =
          std::next(known.begin(), static_cast<ptrdiff_t>(rng_.below(known.size())))->first;
      if (one_in(2) && item.kind == SampleKind::Float) {
        item.value = std::bit_cast<double>(known.at(item.time_ms).versions.front().bits);
      }
      break;
    case 5:  // where something was deleted
      item.time_ms = now - below_ms(kHour);
      if (deleted_ && deleted_->range.start_ms > kAllTime.start_ms) {
        item.time_ms = deleted_->range.start_ms + below_ms(kHour);
      }
      break;
    default:
      item.time_ms = now - below_ms(3) * kMinute;
      if (is_dense_ && last_times_[item.series] < now + kMinute) {
        item.time_ms = std::max(last_times_[item.series] + 1000, now - kMinute);
      }
  }
  // Floats and histograms of a series never meet at one time.
  item.time_ms = item.time_ms / 2 * 2 + (item.kind == SampleKind::Histogram ? 1 : 0);
  if (item.kind == SampleKind::Histogram) item.histogram = make_histogram(rng_);
  item.bits = item.kind == SampleKind::Histogram ? bits_of(item.histogram) : bits_of(item.value);
  return item;
}

CrashRun::Request CrashRun::make_request() {
  Request request;
  request.tenant = random_tenant();
  const uint64_t count = 1 + rng_.below(6);
  std::set<std::pair<uint32_t, int64_t>> used;
  for (uint64_t i = 0; i < count; ++i) {
    Item item = make_item(request.tenant);
    if (!used.emplace(item.series, item.time_ms).second) continue;
    constexpr int64_t kStepMs = 200;
    const bool is_run = is_dense_ && item.kind == SampleKind::Float && one_in(2);
    const uint64_t run = is_run ? 1 + rng_.below(60) : 1;
    for (uint64_t j = 0; j < run; ++j) {
      if (j > 0) {
        item.time_ms += kStepMs;
        item.value = make_value(rng_);
        item.bits = bits_of(item.value);
        if (!used.emplace(item.series, item.time_ms).second) continue;
      }
      request.items.push_back(item);
    }
    int64_t& last = last_times_[item.series];
    if (item.time_ms < clock_.now_ms() + kHour) last = std::max(last, item.time_ms);
  }
  if (one_in(8) && !request.items.empty()) {
    const uint32_t series = request.items.front().series;
    int64_t& time = exemplar_times_[series];
    time = std::max(time + 1, clock_.now_ms());
    const uint64_t number = next_number_++;
    const model::Exemplar exemplar{.labels = model::Labels::of({{"id", fmt::format("{}", number)}}),
                                   .value = static_cast<double>(number),
                                   .timestamp_ms = time};
    model_.send_exemplar(series, number, exemplar);
    request.exemplars.emplace_back(series, number);
  }
  if (one_in(10)) {
    request.metadata.push_back({.metric = one_in(2) ? "requests" : "load",
                                .type = model::MetricType::Counter,
                                .unit = "",
                                .help = fmt::format("text {}", next_number_++)});
  }
  return request;
}

void CrashRun::append() {
  Request request = make_request();
  send(request);
  request.exemplars.clear();  // a second one is refused as out of order
  sent_.push_back(std::move(request));
  if (sent_.size() > kResendsMax) sent_.pop_front();
}

// A request without samples, of up to a few segments of the log.
void CrashRun::describe() {
  Request request;
  request.tenant = random_tenant();
  const uint64_t count = 1 + rng_.below(4);
  for (uint64_t i = 0; i < count; ++i) {
    request.metadata.push_back(
        {.metric = fmt::format("described_{}", rng_.below(4)),
         .type = model::MetricType::Gauge,
         .unit = "",
         .help = fmt::format("{:0{}}", next_number_++, 1 + rng_.below(400))});
  }
  send(request);
}

void CrashRun::resend() {
  if (sent_.empty()) return append();
  send(Request(sent_[rng_.below(sent_.size())]));
}

void CrashRun::send(const Request& request) {
  storage::WriteBatch batch;
  batch.tenant = request.tenant;
  batch.metadata = request.metadata;
  const std::vector<ModelSeries>& series = model_.series();
  std::optional<uint32_t> begun;
  size_t exemplar = 0;
  const bool has_notes = one_in(2);
  for (const Item& item : request.items) {
    if (begun != item.series) {
      storage::SeriesNote* const series_note = has_notes ? &notes_[item.series] : nullptr;
      batch.begin_series(batch.keep(series[item.series].labels.bytes()), series_note);
      begun = item.series;
      for (; exemplar < request.exemplars.size(); ++exemplar) {
        const auto& [of, number] = request.exemplars[exemplar];
        if (of != item.series) break;
        batch.add_exemplar(series[of].exemplars.at(number).exemplar);
      }
    }
    if (item.kind == SampleKind::Float) {
      batch.add_sample(item.time_ms, item.value);
    } else {
      batch.add_histogram(item.time_ms, item.histogram);
    }
    model_.send(item.series, item.kind, item.time_ms, item.bits);
  }
  for (const model::Metadata& one : request.metadata) model_.send_metadata(request.tenant, one);
  if (options_.trace) {
    trace("append for {}", request.tenant);
    for (const Item& item : request.items) {
      trace("       {} at {} = {:016x}{}", series[item.series].labels.to_string(), item.time_ms,
            item.bits, item.kind == SampleKind::Histogram ? " (histogram)" : "");
    }
  }
  newest_ms_ = model_.newest_ms(request.tenant);
  judge(request, engine_->append(batch));
}

// Which samples of a request were taken: those that no refusal names.
void CrashRun::judge(const Request& request, const Result<AppendSummary>& result) {
  if (!result) {
    trace("     failed: {}", result.error().message);
    coverage_.count("appends failed");
    for (const Item& item : request.items) model_.may_have_stored(request.tenant, item.time_ms);
    if (is_sound()) fail("append failed without a fault: " + result.error().message);
    return;
  }
  const AppendSummary& summary = *result;
  coverage_.count("appends");
  const uint64_t given = request.items.size();
  const uint64_t judged = summary.stored + summary.duplicates + summary.refused_total();
  // Refused exemplars are counted as well.
  if (judged < given || judged > given + request.exemplars.size()) {
    return fail(fmt::format("{} samples sent, {} stored, {} duplicates, {} refused", given,
                            summary.stored, summary.duplicates, summary.refused_total()));
  }
  coverage_.count("samples stored", summary.stored);
  coverage_.count("samples known already", summary.duplicates);
  coverage_.count("samples refused", summary.refused_total());
  const bool names_all = summary.refused_total() <= summary.examples.size();
  const auto refusal_of = [&](const Item& item) -> const std::string* {
    const std::string prefix =
        fmt::format("{} at {}", model_.series()[item.series].labels.to_string(), item.time_ms);
    for (const std::string& example : summary.examples) {
      if (example.starts_with(prefix)) return &example;
    }
    return nullptr;
  };
  // What the head still knows as stored, retention by size may have taken with its block.
  const bool may_be_gone = engine_options_.retention_bytes != 0 && summary.duplicates != 0;
  for (const Item& item : request.items) {
    if (may_be_gone) {
      model_.may_have_stored(request.tenant, item.time_ms);
      continue;
    }
    if (summary.refused_total() == 0) {
      model_.acknowledge(item.series, item.kind, item.time_ms, item.bits);
      continue;
    }
    const std::string* const refusal = refusal_of(item);
    if (refusal != nullptr) {
      trace("     refused: {}", *refusal);
      model_.refuse(item.series, item.kind, item.time_ms, item.bits);
      const bool conflicts = refusal->find("another value is stored") != std::string::npos;
      if (conflicts && !model_.was_sent(item.series, item.kind, item.time_ms)) {
        fail("refused as another value where there was none: " + *refusal);
      }
      if (!conflicts) check_refusal(item, request.tenant, *refusal);
    } else if (names_all) {
      model_.acknowledge(item.series, item.kind, item.time_ms, item.bits);
    } else {
      model_.may_have_stored(request.tenant, item.time_ms);
    }
  }
  for (const auto& [series, number] : request.exemplars) {
    if (summary.refused_total() == 0) model_.acknowledge_exemplar(series, number);
  }
  for (const model::Metadata& one : request.metadata) {
    model_.acknowledge_metadata(request.tenant, one);
  }
}

template <typename Report>
void CrashRun::note(std::string_view what, const Result<Report>& result) {
  if (result) {
    trace("{}", what);
    coverage_.count(std::string(what));
    if constexpr (std::is_same_v<Report, MaintainReport>) {
      coverage_.count("blocks written", result->blocks_written);
      coverage_.count("blocks deleted by retention", result->blocks_deleted);
      coverage_.count("series evicted", result->series_evicted);
      has_evicted_ |= result->series_evicted != 0;
    } else {
      coverage_.count("merges", result->merges);
      coverage_.count("samples dropped in merges", result->samples_dropped);
    }
    return;
  }
  trace("{} failed: {}", what, result.error().message);
  if (result.error().code == core::ErrorCode::Unsupported) return;
  coverage_.count(std::string(what) + ", failed");
  if (is_sound()) fail(fmt::format("{} failed without a fault: {}", what, result.error().message));
}
template void CrashRun::note(std::string_view, const Result<MaintainReport>&);
template void CrashRun::note(std::string_view, const Result<CompactReport>&);

void CrashRun::delete_series() {
  DeleteRequest request;
  request.tenant = random_tenant();
  request.selectors.push_back(random_matchers());
  if (one_in(4)) request.selectors.push_back(random_matchers());
  request.range = random_range();
  tried_deletion_ = true;
  const Result<void> done = engine_->delete_series(request);
  if (options_.trace) {
    std::string text;
    for (const auto& matchers : request.selectors) {
      for (const auto& one : matchers) text += one.to_string() + " ";
      text += "; ";
    }
    trace("delete {} from {} to {} of {}: {}", text, request.range.start_ms, request.range.end_ms,
          request.tenant, done ? "done" : done.error().message);
  }
  if (!done && done.error().code == core::ErrorCode::Unsupported) return;
  coverage_.count(done ? "deletions" : "deletions failed");
  if (!done && is_sound()) fail("a deletion failed without a fault: " + done.error().message);
  // Nobody is told without power.
  const bool is_certain = done && files_.has_power();
  model_.erase(request.tenant, request.selectors, request.range, is_certain);
  if (done) deleted_ = std::move(request);
  // What is sent again while nobody knows whether it is deleted must not be taken for stored.
  if (!done && files_.has_power() && !is_broken()) resend();
}

void CrashRun::snapshot() {
  const bool has_head = one_in(2);
  const BlocksByTenant before = blocks_now();
  const Result<std::string> name = engine_->snapshot(!has_head);
  if (has_head) note_retention(before, std::nullopt);
  if (!name && name.error().code == core::ErrorCode::Unsupported) return;
  trace("copy {}: {}", has_head ? "with the head" : "of the blocks",
        name ? *name : name.error().message);
  coverage_.count(name ? "copies" : "copies failed");
  if (!name) {
    if (is_sound()) fail("a copy failed without a fault: " + name.error().message);
    copy_failed_ = true;
    return;
  }
  copies_.push_back({.name = *name, .moment = model_.moment(), .has_head = has_head});
  if (one_in(2)) check_copy(copies_.back());
  if (copies_.size() > 2) {
    // This is not the engine: it happens for sure. Without power it happens later.
    if (!files_.has_power()) return;
    files_.suspend_faults(true);
    ENSURE(files_.remove_all("data/snapshots/" + copies_.front().name).has_value());
    ENSURE(files_.sync_dir("data/snapshots").has_value());
    files_.suspend_faults(false);
    copies_.erase(copies_.begin());
  }
}

void CrashRun::read() {
  const CrashModel::Query query{
      .tenant = random_tenant(), .matchers = random_matchers(), .range = random_range()};
  storage::SelectRequest request{
      .tenant = query.tenant, .matchers = query.matchers, .range = query.range};
  request.sorted = one_in(2);
  Reading reading;
  auto set = engine_->select(request);
  if (set) {
    reading = read_all(**set);
  } else {
    reading.error = set.error().message;
  }
  trace("reads {} series of {}", reading.series.size(), query.tenant);
  coverage_.count("reads");
  check_reading("read", query, reading);
}

void CrashRun::open_read() {
  if (held_.size() > 2) return finish_read();
  HeldRead held{.set = nullptr,
                .query = {.tenant = random_tenant(), .matchers = {}, .range = random_range()},
                .opened = {}};
  auto set =
      engine_->select({.tenant = held.query.tenant, .matchers = {}, .range = held.query.range});
  if (!set) return;
  held.set = std::move(*set);
  held.opened = model_.moment();
  held_.push_back(std::move(held));
}

void CrashRun::finish_read() {
  if (held_.empty()) return;
  HeldRead held = std::move(held_.front());
  held_.erase(held_.begin());
  const Reading reading = read_all(*held.set);
  trace("reads to the end what it began to read");
  coverage_.count("reads held open");
  check_reading("read held open", held.query, reading, &held.opened);
}

void CrashRun::clock_jump() {
  const int64_t jump = (static_cast<int64_t>(rng_.below(600)) - 300) * kMinute;
  clock_.jump_to_ms(clock_.now_ms() + jump);
  clock_jumped_ = true;
  trace("the clock jumps by {} min", jump / kMinute);
  coverage_.count("clock jumps");
}

// A wall clock that ran ahead for a moment: samples that no block can take for weeks.
void CrashRun::future() {
  const int64_t present = clock_.now_ms();
  clock_.jump_to_ms(present + 100'000 * kMinute);
  append();
  clock_.jump_to_ms(present);
  coverage_.count("samples of the future");
}

// Once there is space again, the engine takes samples without a restart.
void CrashRun::lift_capacity() {
  if (!is_small_) return;
  files_.set_capacity(UINT64_MAX);
  clock_.advance_ms(10'000);
  const Result<MaintainReport> maintained = maintain("maintain", false);
  clock_.advance_ms(10'000);
  if (hard_faults_ > 0) return;
  trace("the disk has space again");
  coverage_.count("full disks made free");
  if (!maintained) return fail("maintain failed with space again: " + maintained.error().message);
  faults_ = 0;
  is_small_ = false;
  append();
}

}  // namespace tsdb::testing
