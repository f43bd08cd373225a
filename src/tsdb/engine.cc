#include "tsdb/engine.h"

#include "core/log.h"
#include "tsdb/block.h"
#include "tsdb/engine_impl.h"

#include <algorithm>
#include <set>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::Labels;
using model::TimeRange;
using storage::AppendSummary;
using storage::LabelsRequest;
using storage::LogPosition;

namespace {

// A tenant costs memory even without series; the id comes from a request header.
constexpr size_t kTenantsMax = 100'000;

}  // namespace

Result<std::unique_ptr<core::FileLock>> lock_data_dir(core::FileSystem& files,
                                                      const std::string& data_dir) {
  TRY(files.create_dirs(data_dir).context("data directory {}", data_dir));
  return files.lock(data_dir + "/lock").context("data directory {}", data_dir);
}

void Tenant::set_stored(Blocks blocks, Tombstones tombstones) {
  std::sort(blocks.begin(), blocks.end(), [](const auto& a, const auto& b) {
    return std::pair(a->meta().start_ms, a->meta().order) <
           std::pair(b->meta().start_ms, b->meta().order);
  });
  Stored next{.blocks = std::make_shared<const Blocks>(std::move(blocks)),
              .tombstones = std::make_shared<const Tombstones>(std::move(tombstones))};
  const std::lock_guard lock(stored_mutex_);
  stored_ = std::move(next);
}

void Tenant::set_blocks(Blocks blocks) {
  set_stored(std::move(blocks), *tombstones());
}

void Tenant::set_tombstones(Tombstones tombstones) {
  set_stored(*blocks(), std::move(tombstones));
}

Engine::Impl::Impl(EngineOptions given_options, EngineDeps given_deps,
                   std::unique_ptr<core::FileLock> given_lock)
    : options(std::move(given_options)),
      files(given_deps.files),
      clock(given_deps.clock),
      log(given_deps.log),
      limits(given_deps.limits == nullptr ? default_limits : *given_deps.limits),
      lock(std::move(given_lock)),
      hasher(given_deps.rng),
      block_cache(std::make_unique<BlockCache>(options.block_index_cache_bytes)),
      empty_tenant("", options, hasher, share),
      trusted_clock(given_deps.clock) {
  const auto sum = [this](const std::function<double(Tenant&)>& of) {
    return [this, of] {
      double total = 0;
      for (Tenant* tenant : all_tenants()) total += of(*tenant);
      return total;
    };
  };
  const auto gauge = [&](std::string_view name, std::string_view help,
                         const std::function<double(Tenant&)>& of) {
    callbacks.push_back(core::callback_metric(core::MetricKind::Gauge, name, help, {}, sum(of)));
  };
  gauge("petrel_tsdb_head_series", "Series in the head.",
        [](Tenant& one) { return static_cast<double>(one.head.series_count()); });
  gauge("petrel_tsdb_head_chunks", "Sealed chunks in the head.",
        [](Tenant& one) { return static_cast<double>(one.head.chunk_count()); });
  gauge("petrel_tsdb_late_samples", "Late samples in memory; a histogram counts as 16.",
        [](Tenant& one) {
          const Head::LateUse use = one.head.late_use();
          return static_cast<double>(use.late + use.patches);
        });
  gauge("petrel_tsdb_tombstones", "Deletions that blocks or the log still need.",
        [](Tenant& one) { return static_cast<double>(one.tombstones()->size()); });
  gauge("petrel_tsdb_blocks", "Blocks on disk.",
        [](Tenant& one) { return static_cast<double>(one.blocks()->size()); });
  gauge("petrel_tsdb_blocks_bytes", "Size of the blocks on disk.", [](Tenant& one) {
    double bytes = 0;
    for (const auto& block : *one.blocks()) bytes += static_cast<double>(block->meta().size_bytes);
    return bytes;
  });
  gauge("petrel_tsdb_blocks_quarantined", "Blocks set aside because they are damaged.",
        [](Tenant& one) {
          const auto blocks = one.blocks();
          return static_cast<double>(
              std::count_if(blocks->begin(), blocks->end(),
                            [](const auto& block) { return !block->damage().empty(); }));
        });
}

Engine::Impl::~Impl() = default;

Tenant* Engine::Impl::find_tenant(const model::TenantId& id) const {
  const std::shared_lock shared(tenants_mutex);
  const auto found = tenants.find(id);
  return found == tenants.end() ? nullptr : found->second.get();
}

Tenant& Engine::Impl::tenant_for(const model::TenantId& id) {
  if (Tenant* found = find_tenant(id)) return *found;
  const std::unique_lock unique(tenants_mutex);
  std::unique_ptr<Tenant>& slot = tenants[id];
  if (slot == nullptr) slot = std::make_unique<Tenant>(id, options, hasher, share);
  return *slot;
}

std::vector<Tenant*> Engine::Impl::all_tenants() const {
  const std::shared_lock shared(tenants_mutex);
  std::vector<Tenant*> all;
  for (const auto& [id, tenant] : tenants) all.push_back(tenant.get());
  return all;
}

std::vector<std::string> Engine::Impl::warnings_of(const LabelsRequest& request) const {
  if (incomplete == nullptr) return {};
  return warnings_for(*incomplete, request.tenant, request.range);
}

Result<void> Engine::Impl::check_ready() const {
  if (ready) return {};
  return core::fail(ErrorCode::Unavailable, "the log is being replayed");
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::create(EngineOptions options, EngineDeps deps,
                                               std::unique_ptr<core::FileLock> lock) {
  if (options.block_range_ms <= 0 || options.out_of_order_window_ms < 0) {
    return core::fail(ErrorCode::InvalidArgument,
                      "block range is {} ms and out-of-order window {} ms, expected > 0 and >= 0",
                      options.block_range_ms, options.out_of_order_window_ms);
  }
  if (lock == nullptr) lock = TRY(lock_data_dir(deps.files, options.data_dir));
  auto impl = std::make_unique<Impl>(std::move(options), deps, std::move(lock));
  impl->begin_unread();
  TRY(impl->load_manifest_file());
  TRY(impl->files.create_dirs(impl->blocks_dir()));
  if (!impl->is_held) {
    if (const Result<void> cleaned = impl->clean_up(); !cleaned) {
      core::log_warn("tsdb", "cannot clean up", {{"err", cleaned.error().message}});
    }
    // Failing refuses writes; what is there can be read.
    (void)impl->settle_positions();
  }
  TRY(impl->open_blocks());
  impl->progress.end = impl->log.high();
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Result<std::unique_ptr<Engine>> Engine::open(EngineOptions options, EngineDeps deps,
                                             std::unique_ptr<core::FileLock> lock) {
  std::unique_ptr<Engine> engine = TRY(create(std::move(options), deps, std::move(lock)));
  TRY(engine->recover());
  return engine;
}

Result<void> Engine::recover() {
  Impl& impl = *impl_;
  const std::lock_guard step(impl.maintain_mutex);
  const int64_t started_ns = impl.clock.monotonic_ns();
  impl.share.next_series_id = impl.manifest.next_series_id;
  TRY(impl.load_snapshot());
  {
    const std::lock_guard lock(impl.progress_mutex);
    impl.progress.position = impl.log.low();
    impl.progress.end = impl.log.high();
  }
  core::log_info("tsdb", "replaying the log", {{"from", impl.log.low()}, {"to", impl.log.high()}});
  constexpr int64_t kReportEveryNs = 5'000'000'000;
  int64_t reported_ns = started_ns;
  uint64_t next_id = impl.share.next_series_id;
  uint64_t waiting_bytes = 0;
  const auto visit = [&](LogPosition position, const storage::LogBatch& batch) -> Result<void> {
    Head& head = impl.tenant_for(std::string(batch.tenant)).head;
    const size_t waiting_before = head.waiting_bytes();
    const Head::Replayed replayed = head.replay(position, batch);
    impl.note_dropped(impl.dropped, batch, replayed.lost);
    impl.note_dropped(impl.perhaps_dropped, batch, replayed.perhaps_gone);
    next_id = std::max(next_id, replayed.id_max + 1);
    waiting_bytes += head.waiting_bytes() - waiting_before;
    if (waiting_bytes > impl.waiting_bytes_max()) {
      for (Tenant* one : impl.all_tenants()) one->head.apply_waiting();
      waiting_bytes = 0;
    }
    const std::lock_guard lock(impl.progress_mutex);
    ReplayProgress& progress = impl.progress;
    progress.position = position + 1;
    ++progress.records;
    progress.samples += batch.samples.size() + batch.histograms.size();
    progress.dropped_samples += replayed.lost;
    if (impl.clock.monotonic_ns() - reported_ns > kReportEveryNs) {
      reported_ns = impl.clock.monotonic_ns();
      core::log_info(
          "tsdb", "replaying the log",
          {{"position", position}, {"end", progress.end}, {"samples", progress.samples}});
    }
    return {};
  };
  TRY(impl.log.replay(impl.log.low(), visit).context("replay the log"));
  impl.share.next_series_id =
      impl.unused_series_id(std::max(next_id, impl.share.next_series_id.load()));
  impl.note_unread_log();
  for (Tenant* tenant : impl.all_tenants()) {
    tenant->head.finish_replay();
    tenant->head.note_append(impl.clock.monotonic_ns());
  }

  const std::lock_guard lock(impl.progress_mutex);
  impl.progress.done = true;
  impl.progress.position = impl.progress.end;
  const double seconds = static_cast<double>(impl.clock.monotonic_ns() - started_ns) / 1e9;
  core::gauge("petrel_tsdb_replay_duration_seconds", "How long the last replay of the log took.")
      .set(seconds);
  core::log_info("tsdb", "replayed the log",
                 {{"records", impl.progress.records},
                  {"samples", impl.progress.samples},
                  {"seconds", seconds}});
  if (impl.progress.dropped_samples != 0) {
    core::counter("petrel_tsdb_replay_dropped_samples_total",
                  "Samples of the log whose series nothing introduces.")
        .add(static_cast<double>(impl.progress.dropped_samples));
  }
  impl.note_incomplete();
  impl.ready = true;
  return {};
}

ReplayProgress Engine::progress() const {
  const std::lock_guard lock(impl_->progress_mutex);
  return impl_->progress;
}

Result<void> Engine::writable() const {
  return impl_->check_writable();
}

Result<AppendSummary> Engine::append(const storage::WriteBatch& batch) {
  Impl& impl = *impl_;
  TRY(impl.check_ready());
  TRY(impl.check_writable());
  AppendSummary summary;
  if (batch.empty()) return summary;
  Tenant* tenant = impl.find_tenant(batch.tenant);
  if (tenant == nullptr) {
    if (!model::is_valid_tenant(batch.tenant)) {
      return core::fail(ErrorCode::InvalidArgument, "tenant \"{}\" is no valid tenant id",
                        batch.tenant);
    }
    {
      const std::shared_lock shared(impl.tenants_mutex);
      if (impl.tenants.size() >= kTenantsMax) {
        return core::fail(ErrorCode::LimitExceeded, "there are {} tenants, no more fit",
                          impl.tenants.size());
      }
    }
    tenant = &impl.tenant_for(batch.tenant);
  }
  // Before it applies anything: the flush of tenants that stopped must not close the range
  // that a returning one begins.
  tenant->head.note_append(impl.clock.monotonic_ns());
  const auto limits = impl.limits.of(batch.tenant);
  const AppendContext context{.now_ms = impl.clock.now_ms(),
                              .monotonic_ns = impl.clock.monotonic_ns(),
                              .limits = *limits,
                              .instance_series_max = impl.limits.instance().series_max};
  const std::optional<LogPosition> position =
      TRY(tenant->head.append(batch, context, impl.log, summary));
  if (position) {
    Result<void> durable = impl.log.wait_durable(*position);
    if (!durable) {
      durable.error().code = ErrorCode::Unavailable;
      return tl::unexpected(std::move(durable).context("make the batch durable").error());
    }
  }
  // A deletion that failed halfway meanwhile: what was taken for a duplicate may be gone.
  TRY(impl.check_writable());
  storage::count_refused(batch.tenant, summary);
  if (summary.dropped != 0) storage::count_dropped(batch.tenant, summary.dropped);
  return summary;
}

Result<std::unique_ptr<storage::SeriesSet>> Engine::select(
    const storage::SelectRequest& request) const {
  TRY(impl_->check_ready());
  const Tenant* tenant = impl_->find_tenant(request.tenant);
  if (tenant == nullptr) tenant = &impl_->empty_tenant;
  std::unique_ptr<storage::SeriesSet> set =
      TRY(select_series(impl_->hasher, ReadView(*tenant), request));
  if (impl_->incomplete == nullptr) return set;
  return with_warnings(std::move(set),
                       warnings_for(*impl_->incomplete, request.tenant, request.range));
}

namespace {

std::vector<model::Matchers> selectors_of(const LabelsRequest& request) {
  if (!request.matchers.empty()) return request.matchers;
  return {model::Matchers{}};
}

void visit_head_labels(const ReadView& view, const LabelsRequest& request,
                       const std::function<void(const model::Label&)>& visit) {
  const Head& head = view.tenant->head;
  const HeadRange range = view.head_range(request.range);
  const auto visit_pair = [&](const LabelIndex& index, PairId pair) { visit(index.label(pair)); };
  for (const model::Matchers& matchers : selectors_of(request)) {
    if (matchers.empty()) return head.for_each_pair(range, visit_pair);
    head.for_each_label(head.find(matchers, range.samples), visit_pair);
  }
}

std::string missing_labels(const Block& block, const core::Error& error) {
  return fmt::format("series may be missing: {}: {}", block.path(), error.message);
}

void visit_block_labels(const ReadView& view, const LabelsRequest& request,
                        const std::function<void(const model::Label&)>& visit,
                        std::vector<std::string>& warnings) {
  for (const std::shared_ptr<Block>& block : *view.blocks) {
    if (!block->range().overlaps(request.range)) continue;
    // What the others know is still worth showing.
    const Result<std::shared_ptr<const BlockIndex>> loaded = block->index();
    if (!loaded) {
      add_warning(warnings, loaded.error().message);
      continue;
    }
    const BlockIndex& index = **loaded;
    const bool all_visible = block->mask(index, view.tombstones)->empty();
    std::vector<bool> seen(index.pair_count());
    for (const model::Matchers& matchers : selectors_of(request)) {
      if (matchers.empty() && all_visible) {
        seen.assign(seen.size(), true);
        break;
      }
      const auto visible = visible_series(*block, *loaded, view.tombstones, matchers);
      if (!visible) {
        add_warning(warnings, missing_labels(*block, visible.error()));
        break;
      }
      for (const uint32_t ordinal : *visible) {
        for (const uint32_t pair : index.pairs_of(ordinal)) seen[pair] = true;
      }
    }
    for (uint32_t pair = 0; pair < seen.size(); ++pair) {
      if (seen[pair]) visit(index.label(pair));
    }
  }
}

storage::Listed<std::string> limited(std::set<std::string, std::less<>> values, uint64_t limit) {
  storage::Listed<std::string> result;
  for (auto& value : values) {
    if (limit != 0 && result.size() >= limit) break;
    result.push_back(value);
  }
  return result;
}

}  // namespace

Result<storage::Listed<std::string>> Engine::label_names(const LabelsRequest& request) const {
  TRY(impl_->check_ready());
  const Tenant* tenant = impl_->find_tenant(request.tenant);
  if (tenant == nullptr) tenant = &impl_->empty_tenant;
  const ReadView view(*tenant);
  std::vector<std::string> warnings = impl_->warnings_of(request);
  std::set<std::string, std::less<>> names;
  const auto visit = [&](const model::Label& label) {
    if (names.find(label.name) == names.end()) names.emplace(label.name);
  };
  visit_head_labels(view, request, visit);
  visit_block_labels(view, request, visit, warnings);
  storage::Listed<std::string> result = limited(std::move(names), request.limit);
  result.warnings = std::move(warnings);
  return result;
}

Result<storage::Listed<std::string>> Engine::label_values(const std::string& name,
                                                          const LabelsRequest& request) const {
  TRY(impl_->check_ready());
  const Tenant* tenant = impl_->find_tenant(request.tenant);
  if (tenant == nullptr) tenant = &impl_->empty_tenant;
  const ReadView view(*tenant);
  storage::Listed<std::string> values;
  values.warnings = impl_->warnings_of(request);
  for (const model::Matchers& matchers : selectors_of(request)) {
    view.tenant->head.append_label_values(name, matchers, view.head_range(request.range), values);
  }
  const auto visit = [&](const model::Label& label) {
    if (label.name == name) values.emplace_back(label.value);
  };
  visit_block_labels(view, request, visit, values.warnings);
  // The head gives them in order.
  if (!std::is_sorted(values.begin(), values.end())) std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  if (request.limit != 0 && values.size() > request.limit) values.resize(request.limit);
  return values;
}

Result<storage::Listed<Labels>> Engine::series(const LabelsRequest& request) const {
  TRY(impl_->check_ready());
  const Tenant* tenant = impl_->find_tenant(request.tenant);
  if (tenant == nullptr) tenant = &impl_->empty_tenant;
  const ReadView view(*tenant);
  storage::Listed<Labels> all;
  all.warnings = impl_->warnings_of(request);
  size_t from_head = 0;
  for (const model::Matchers& matchers : selectors_of(request)) {
    const auto refs = view.tenant->head.find(matchers, view.head_range(request.range).samples);
    for (std::string& labels : view.tenant->head.label_sets(refs)) {
      all.push_back(Labels::from_canonical(std::move(labels)));
      ++from_head;
    }
    for (const std::shared_ptr<Block>& block : *view.blocks) {
      if (!block->range().overlaps(request.range)) continue;
      const Result<std::shared_ptr<const BlockIndex>> index = block->index();
      if (!index) {
        add_warning(all.warnings, index.error().message);
        continue;
      }
      const auto visible = visible_series(*block, *index, view.tombstones, matchers);
      if (!visible) {
        add_warning(all.warnings, missing_labels(*block, visible.error()));
        continue;
      }
      std::string labels;
      for (const uint32_t ordinal : *visible) {
        labels.clear();
        (*index)->append_labels(ordinal, labels);
        all.push_back(Labels::from_canonical(labels));
      }
    }
  }
  // The head alone names a series once.
  if (all.size() > from_head || request.matchers.size() > 1) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
  }
  if (request.limit != 0 && all.size() > request.limit) all.resize(request.limit);
  return all;
}

Result<std::vector<model::Metadata>> Engine::metadata(const model::TenantId& tenant,
                                                      const std::string& metric) const {
  TRY(impl_->check_ready());
  const Tenant* found = impl_->find_tenant(tenant);
  if (found == nullptr) return std::vector<model::Metadata>{};
  return found->head.metadata(metric);
}

Result<std::vector<storage::ExemplarSeries>> Engine::exemplars(const LabelsRequest& request) const {
  TRY(impl_->check_ready());
  const Tenant* tenant = impl_->find_tenant(request.tenant);
  if (tenant == nullptr) return std::vector<storage::ExemplarSeries>{};
  std::map<Labels, std::vector<model::Exemplar>> found;
  const std::vector<model::Matchers> selectors = selectors_of(request);
  for (const auto& [series, exemplar] : tenant->head.exemplars()) {
    if (!request.range.contains(exemplar.timestamp_ms)) continue;
    const model::LabelsView labels(*series);
    const bool wanted = std::any_of(selectors.begin(), selectors.end(), [&](const auto& matchers) {
      return model::matches_all(matchers, labels);
    });
    if (wanted) found[Labels::from_canonical(*series)].push_back(exemplar);
  }
  std::vector<storage::ExemplarSeries> result;
  for (auto& [labels, exemplars] : found) {
    if (request.limit != 0 && result.size() >= request.limit) break;
    std::stable_sort(exemplars.begin(), exemplars.end(),
                     [](const auto& a, const auto& b) { return a.timestamp_ms < b.timestamp_ms; });
    result.push_back({labels, std::move(exemplars)});
  }
  return result;
}

Result<MaintainReport> Engine::maintain() {
  TRY(impl_->check_ready());
  const std::lock_guard step(impl_->maintain_mutex);
  if (impl_->is_held) return MaintainReport{};
  return impl_->maintain(false);
}

Result<MaintainReport> Engine::flush_all() {
  TRY(impl_->check_ready());
  TRY(impl_->check_not_held());
  const std::lock_guard step(impl_->maintain_mutex);
  return impl_->maintain(true);
}

std::vector<model::TenantId> Engine::tenants() const {
  std::vector<model::TenantId> ids;
  for (const Tenant* tenant : impl_->all_tenants()) ids.push_back(tenant->head.tenant());
  return ids;
}

EngineStats Engine::stats(const model::TenantId& tenant) const {
  EngineStats stats;
  const Tenant* found = impl_->find_tenant(tenant);
  if (found == nullptr) return stats;
  const storage::HeadTotals totals = found->head.totals();
  stats.series = totals.series;
  stats.label_pairs = totals.label_pairs;
  stats.chunks = totals.chunks;
  stats.late_samples = found->head.late_use().late;
  stats.min_time_ms = totals.time_min_ms;
  stats.max_time_ms = totals.time_max_ms;
  const auto blocks = found->blocks();
  stats.blocks = blocks->size();
  for (const auto& block : *blocks) {
    stats.block_bytes += block->meta().size_bytes;
    stats.quarantined_blocks += block->damage().empty() ? 0 : 1;
  }
  return stats;
}

}  // namespace tsdb
