#include "tsdb/testing/model_day.h"

#include "tsdb/embedded_log.h"

#include <algorithm>
#include <fmt/core.h>

namespace tsdb::testing {
namespace {

using model::Labels;
using storage::RefusalReason;

constexpr int64_t kSecond = 1'000;
constexpr int64_t kMinute = 60'000;
constexpr int64_t kHour = 3'600'000;
constexpr int64_t kTick = 15 * kSecond;
constexpr int64_t kBegin = 1'700'006'400'000 / (24 * kHour) * (24 * kHour) - kHour;
constexpr size_t kRecentMax = 400;

}  // namespace

std::string ModelDayTotals::to_string() const {
  std::string text = fmt::format(
      "{} samples stored ({} late), {} too old, {} repeats, {} flushes, {} merges, {} deletions of "
      "{} samples, {} cleanings, {} reopens, {} crashes, {} checks with {} questions",
      samples, late, refused, repeats, flushes, merges, deletions, deleted_samples, cleanings,
      reopens, crashes, checks, questions);
  for (const std::string& one : missing) text += fmt::format("; not there yet: {}", one);
  return text;
}

ModelDay::ModelDay(const ModelDayOptions& options)
    : options_(options),
      rng_(options.seed * 31 + 5),
      engine_rng_(options.seed * 31 + 6),
      clock_(kBegin),
      files_({.seed = options.seed}),
      model_(EngineOptions{}.exemplars_max) {
  engine_options_.data_dir = "data";
  engine_options_.retention_ms = 0;
  engine_options_.out_of_order_window_ms = options.window_ms;
  engine_options_.block_range_max_ms = options.block_range_max_ms;
  const std::vector<std::string> jobs = {"node", "api", "db"};
  for (uint32_t i = 0; i < options.targets; ++i) {
    targets_.emplace_back(i, jobs[i % jobs.size()], options.seed);
    Place place;
    place.tenant = i % 3 == 2 ? "other" : std::string(model::kDefaultTenant);
    const uint64_t kind = rng_.below(10);
    place.interval_ms = kind == 0 ? kTick : kind < 3 ? 2 * kTick : kind < 9 ? kMinute : 5 * kMinute;
    place.offset_ms = static_cast<int64_t>(rng_.below(place.interval_ms / kTick)) * kTick;
    place.jitters = rng_.below(4) == 0;
    places_.push_back(place);
  }
  words_.tenants = {std::string(model::kDefaultTenant), "other"};
  words_.metrics = model_metrics();
  words_.labels = {{"job", "node"},
                   {"job", "api"},
                   {"job", "nothing"},
                   {"zone", "z0"},
                   {"zone", "z1"},
                   {"instance", "host-0:9100"},
                   {"instance", "host-3:9100"},
                   {"pod", "node-0"},
                   {"pod", "node-1"},
                   {"pod", "api-1"},
                   {"code", "200"},
                   {"code", "500"},
                   {"mode", "idle"},
                   {"le", "0.5"},
                   {"le", "+Inf"},
                   {"sensor", "in"},
                   {"nowhere", "x"}};
  words_.start_ms = kBegin;
}

ModelDay::~ModelDay() = default;

ModelDay::Problem ModelDay::open() {
  engine_.reset();
  log_.reset();
  auto log = EmbeddedLog::open({.dir = "data/wal", .segment_bytes = 4U << 20U}, files_, clock_,
                               engine_rng_);
  if (!log) return "open the log: " + log.error().message;
  log_ = std::move(*log);
  auto engine = Engine::open(engine_options_, {files_, clock_, engine_rng_, *log_});
  if (!engine) return "open: " + engine.error().message;
  engine_ = std::move(*engine);
  if (engine_->progress().dropped_samples != 0) return "open: samples of unknown series";
  return std::nullopt;
}

ModelDay::Problem ModelDay::run() {
  did_ = "the first start";
  if (Problem problem = open()) return problem;
  next_maintenance_ms_ = kBegin + 30 * kMinute;
  const int64_t end = kBegin + options_.hours * kHour;
  while (clock_.now_ms() < end) {
    if (Problem problem = tick()) {
      return fmt::format("seed {}, {:.2f} hours, after {}: {}", options_.seed,
                         static_cast<double>(clock_.now_ms() - kBegin) / kHour, did_, *problem);
    }
    clock_.advance_ms(kTick);
  }
  for (const auto& last :
       {&ModelDay::flush, &ModelDay::compact, &ModelDay::clean, &ModelDay::reopen}) {
    if (Problem problem = (this->*last)()) {
      return fmt::format("seed {}, at the end, after {}: {}", options_.seed, did_, *problem);
    }
  }
  return std::nullopt;
}

ModelDay::Problem ModelDay::tick() {
  for (size_t i = 0; i < targets_.size(); ++i) {
    if ((clock_.now_ms() - places_[i].offset_ms) % places_[i].interval_ms != 0) continue;
    if (Problem problem = scrape(i)) return problem;
  }
  if (Problem problem = send_late()) return problem;
  if (rng_.below(4) == 0) {
    if (Problem problem = send_repeat()) return problem;
  }
  if (rng_.below(20) == 0) {
    if (Problem problem = send_too_old()) return problem;
  }
  if (clock_.now_ms() < next_maintenance_ms_) return std::nullopt;
  next_maintenance_ms_ += static_cast<int64_t>(20 + rng_.below(20)) * kMinute;
  return maintain();
}

ModelDay::Problem ModelDay::scrape(size_t i) {
  ModelTarget& target = targets_[i];
  Place& place = places_[i];
  const int64_t now_ms = clock_.now_ms();
  const int64_t time_ms = now_ms + (place.jitters ? static_cast<int64_t>(rng_.below(3000)) : 0);
  std::vector<ModelSample> samples;
  if (rng_.below(300) == 0) {
    samples = target.replace(time_ms);
    if (rng_.below(5) == 0) samples.clear();  // nobody noticed
  } else {
    if (rng_.below(200) == 0) target.restart();
    samples = target.scrape(time_ms);
  }
  // Its samples come late for a while.
  if (now_ms >= place.down_until_ms && rng_.below(250) == 0) {
    const int64_t longest = std::min(options_.window_ms / 10 * 7, 20 * kHour);
    place.down_until_ms = now_ms + 1 + static_cast<int64_t>(rng_.below(longest));
  }
  if (now_ms < place.down_until_ms && rng_.below(3) != 0) {
    for (ModelSample& one : samples) one.exemplar.reset();
    const auto wait = static_cast<int64_t>(rng_.below(options_.window_ms / 5));
    withheld_.push_back({place.tenant, std::move(samples), place.down_until_ms + wait});
    return std::nullopt;
  }
  for (const ModelSample& one : samples) {
    if (rng_.below(40) != 0) continue;
    if (recent_.size() < kRecentMax) recent_.emplace_back(place.tenant, one);
    recent_[rng_.below(recent_.size())] = {place.tenant, one};
  }
  return send(place.tenant, samples);
}

ModelDay::Problem ModelDay::send(const model::TenantId& tenant,
                                 const std::vector<ModelSample>& samples) {
  if (samples.empty()) return std::nullopt;
  storage::WriteBatch batch;
  batch.tenant = tenant;
  for (const ModelSample& one : samples) {
    batch.begin_series(one.labels.bytes());
    if (one.histogram) {
      batch.add_histogram(one.time_ms, *one.histogram);
    } else {
      batch.add_sample(one.time_ms, one.value);
    }
    if (one.exemplar) batch.add_exemplar(*one.exemplar);
  }
  if (rng_.below(500) == 0) {
    model::Metadata metadata = model_metadata()[rng_.below(model_metadata().size())];
    if (rng_.below(3) == 0) metadata.help += fmt::format(" {}", rng_.below(5));
    batch.metadata.push_back(metadata);
    model_.add(tenant, metadata);
  }
  const int64_t newest_ms = model_.newest_ms(tenant);
  const int64_t window_ms = newest_ms == INT64_MIN ? INT64_MIN : newest_ms - options_.window_ms;
  const auto summary = engine_->append(batch);
  if (!summary) return "append: " + summary.error().message;

  const bool in_window = std::all_of(samples.begin(), samples.end(),
                                     [&](const auto& one) { return one.time_ms >= window_ms; });
  if (!in_window) {
    // Single ones: the answer says what became of it.
    ENSURE(samples.size() == 1);
    const bool may_be_live = window_ms - samples[0].time_ms < 2 * kHour;
    if (summary->stored == 0) {
      totals_.refused += summary->refused_total();
      return std::nullopt;
    }
    if (!may_be_live) {
      return fmt::format("{} at {} was stored, {} ms before the window",
                         samples[0].labels.to_string(), samples[0].time_ms,
                         window_ms - samples[0].time_ms);
    }
  }
  uint64_t fresh = 0;
  uint64_t conflicts = 0;
  for (const ModelSample& one : samples) {
    const ModelStore::Verdict verdict =
        one.histogram ? model_.add(tenant, one.labels, one.time_ms, *one.histogram)
                      : model_.add(tenant, one.labels, one.time_ms, one.value);
    if (one.exemplar) model_.add(tenant, one.labels, *one.exemplar);
    fresh += verdict == ModelStore::Verdict::New ? 1 : 0;
    // A second value is taken when the head has forgotten the first; then it is the first that
    // is refused when it comes again.
    const auto key = std::tuple(tenant, one.labels.bytes(), one.time_ms);
    if (verdict == ModelStore::Verdict::Conflict) contested_.insert(key);
    conflicts += contested_.contains(key) ? 1 : 0;
    if (verdict == ModelStore::Verdict::New && one.time_ms + kMinute < newest_ms) ++totals_.late;
  }
  totals_.samples += fresh;
  totals_.repeats += samples.size() - fresh;
  // What repeats a sample of a block counts as stored: nobody looks into blocks for it.
  if (summary->stored < fresh || summary->refused_total() > conflicts) {
    return fmt::format("{} of {} new samples stored, {} refused, newest {}: {}", summary->stored,
                       fresh, summary->refused_total(), newest_ms,
                       summary->examples.empty() ? "" : summary->examples.front());
  }
  return std::nullopt;
}

ModelDay::Problem ModelDay::send_late() {
  std::vector<Scraped> due;
  for (size_t i = 0; i < withheld_.size();) {
    if (withheld_[i].due_ms > clock_.now_ms()) {
      ++i;
      continue;
    }
    due.push_back(std::move(withheld_[i]));
    withheld_[i] = std::move(withheld_.back());
    withheld_.pop_back();
  }
  for (const Scraped& one : due) {
    if (Problem problem = send(one.tenant, one.samples)) return problem;
  }
  // Times that no scrape had, in any order.
  if (recent_.empty() || rng_.below(6) != 0) return std::nullopt;
  auto [tenant, sample] = recent_[rng_.below(recent_.size())];
  if (sample.histogram || sample.labels.metric_name() == "switching") return std::nullopt;
  const int64_t oldest = std::max(model_.newest_ms(tenant) - options_.window_ms, kBegin);
  const int64_t span = model_.newest_ms(tenant) - oldest;
  sample.exemplar.reset();
  for (uint64_t count = 1 + rng_.below(4); count > 0 && span > 0; --count) {
    sample.time_ms = oldest + static_cast<int64_t>(rng_.below(span));
    sample.value = static_cast<double>(rng_.below(100'000)) / 100;
    if (Problem problem = send(tenant, {sample})) return problem;
  }
  return std::nullopt;
}

ModelDay::Problem ModelDay::send_repeat() {
  if (recent_.empty()) return std::nullopt;
  auto [tenant, sample] = recent_[rng_.below(recent_.size())];
  sample.exemplar.reset();
  if (rng_.below(2) == 0) {
    if (sample.histogram) {
      sample.histogram->sum += 1;
    } else {
      sample.value = sample.value == 7 ? 8 : 7;
    }
  }
  return send(tenant, {sample});
}

ModelDay::Problem ModelDay::send_too_old() {
  if (recent_.empty()) return std::nullopt;
  auto [tenant, sample] = recent_[rng_.below(recent_.size())];
  sample.exemplar.reset();
  sample.time_ms = model_.newest_ms(tenant) - std::max(options_.window_ms, kHour) - 3 * kHour -
                   static_cast<int64_t>(rng_.below(10 * kHour));
  return send(tenant, {sample});
}

ModelDay::Problem ModelDay::check(const std::string& moment) {
  did_ = moment;
  words_.end_ms = clock_.now_ms() + kMinute;
  // The same questions before and after a step.
  core::SeededRng asks(options_.seed * 1'000'003 + static_cast<uint64_t>(next_maintenance_ms_));
  ++totals_.checks;
  for (uint32_t i = 0; i < options_.questions; ++i) {
    ++totals_.questions;
    if (Problem problem = compare_stored(*engine_, model_, words_, asks)) return problem;
  }
  if (!check_) return std::nullopt;
  return check_(*engine_, model_, words_, asks);
}

bool ModelDay::is_missing(const core::Error& error, const std::string& operation) {
  if (error.code != core::ErrorCode::Unsupported) return false;
  totals_.missing.insert(operation);
  return true;
}

ModelDay::Problem ModelDay::maintain() {
  if (Problem problem = check("appends")) return problem;
  if (Problem problem = flush()) return problem;
  if (Problem problem = compact()) return problem;
  if (rng_.below(options_.delete_every) == 0) {
    if (Problem problem = remove()) return problem;
  }
  if (rng_.below(options_.clean_every) == 0) {
    if (Problem problem = clean()) return problem;
  }
  if (rng_.below(options_.reopen_every) == 0) return reopen();
  return std::nullopt;
}

ModelDay::Problem ModelDay::flush() {
  const bool all = options_.flush_all_every != 0 && rng_.below(options_.flush_all_every) == 0;
  const auto report = all ? engine_->flush_all() : engine_->maintain();
  did_ = all ? "a flush of everything" : "a maintenance step";
  if (!report) return report.error().message;
  if (report->blocks_written == 0) return std::nullopt;
  ++totals_.flushes;
  return check(fmt::format("{} that wrote {} blocks", did_, report->blocks_written));
}

ModelDay::Problem ModelDay::compact() {
  while (true) {
    const auto report = engine_->compact(1);
    did_ = "a merge";
    if (!report) {
      if (is_missing(report.error(), did_)) return std::nullopt;
      return report.error().message;
    }
    if (report->merges == 0) return std::nullopt;
    totals_.merges += report->merges;
    if (Problem problem = check(fmt::format("a merge of {} blocks", report->blocks_read))) {
      return problem;
    }
  }
}

ModelDay::Problem ModelDay::remove() {
  DeleteRequest request;
  request.tenant = words_.tenants[rng_.below(words_.tenants.size())];
  for (uint64_t count = 1 + rng_.below(2); count > 0; --count) {
    request.selectors.push_back(random_matchers(words_, rng_));
  }
  request.range = random_range(words_, rng_);
  const auto done = engine_->delete_series(request);
  did_ = "a deletion";
  if (!done) {
    if (is_missing(done.error(), did_)) return std::nullopt;
    return done.error().message;
  }
  ++totals_.deletions;
  totals_.deleted_samples += model_.remove(request);
  std::string text =
      fmt::format("a deletion of [{}, {}) of", request.range.start_ms, request.range.end_ms);
  for (const model::Matchers& matchers : request.selectors) {
    text += " {";
    for (const model::Matcher& one : matchers) text += one.to_string() + ",";
    text += "}";
  }
  return check(text);
}

ModelDay::Problem ModelDay::clean() {
  const auto report = engine_->clean_tombstones();
  did_ = "cleaning tombstones";
  if (!report) {
    if (is_missing(report.error(), did_)) return std::nullopt;
    return report.error().message;
  }
  ++totals_.cleanings;
  return check(fmt::format("cleaning tombstones, {} merges", report->merges));
}

ModelDay::Problem ModelDay::reopen() {
  const uint64_t kind = rng_.below(3);
  engine_.reset();
  log_.reset();
  if (kind == 1) files_.kill();
  if (kind == 2) files_.crash();
  const std::string how = kind == 0   ? "a restart"
                          : kind == 1 ? "a kill and a restart"
                                      : "a power loss and a restart";
  ++(kind == 0 ? totals_.reopens : totals_.crashes);
  did_ = how;
  if (Problem problem = open()) return problem;
  if (Problem problem = compare_all(*engine_, model_, words_)) return problem;
  return check(how);
}

}  // namespace tsdb::testing
