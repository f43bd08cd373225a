// Blocks of samples that come from outside, sorted by series: they go into blocks at once,
// not through the log. What the engine has already of the same series and time stays.

#include "core/log.h"
#include "tsdb/block.h"
#include "tsdb/block_writer.h"
#include "tsdb/engine_impl.h"
#include "tsdb/import_series.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::TimeRange;
using storage::SeriesBatch;

namespace {

constexpr uint32_t kImportedLevel = 2;  // as blocks that were merged: not from this head

// The samples that are there already, series by series beside those that come.
class Existing {
 public:
  // Null when nothing of the tenant lies in the range.
  static Result<std::unique_ptr<Existing>> open(const IdentityHasher& hasher, const Tenant& tenant,
                                                const std::string& id, TimeRange range) {
    ReadView view(tenant);
    const bool in_blocks = std::ranges::any_of(*view.blocks, [&](const auto& block) {
      return block->range().overlaps(range) ||
             TimeRange{block->meta().min_time_ms, block->meta().max_time_ms + 1}.overlaps(range);
    });
    if (!in_blocks && tenant.head.find({}, view.head_range(range).samples).empty()) return nullptr;
    storage::SelectRequest request;
    request.tenant = id;
    request.range = range;
    request.sorted = true;
    auto existing = std::make_unique<Existing>();
    existing->set_ = TRY(select_series(hasher, std::move(view), request));
    return existing;
  }

  // Erases from `samples` what is there. Series come in the order of labels.
  Result<void> erase_known(model::LabelsView labels, SeriesBatch& samples, ImportedBlock& counts) {
    for (;;) {
      if (at_ == batch_.size()) {
        at_ = 0;
        at_end_ = at_end_ || !TRY(set_->next(batch_));  // the batch is empty at the end
        if (at_end_) return {};
      }
      const int order = model::compare(batch_.labels[at_], labels);
      if (order > 0) return {};
      if (order == 0) break;
      ++at_;
    }
    erase(samples, counts);
    return {};
  }
  std::vector<std::string> warnings() const { return set_->warnings(); }

 private:
  void erase(SeriesBatch& samples, ImportedBlock& counts) const {
    const auto times = batch_.timestamps_of(at_);
    const auto values = batch_.values_of(at_);
    const auto histograms = batch_.histograms_of(at_);
    const auto float_at = [&](int64_t time_ms) -> const double* {
      const auto found = std::ranges::lower_bound(times, time_ms);
      return found == times.end() || *found != time_ms ? nullptr : &values[found - times.begin()];
    };
    const auto histogram_at = [&](int64_t time_ms) -> const model::HistogramSample* {
      const auto found =
          std::ranges::lower_bound(histograms, time_ms, {}, &model::HistogramSample::timestamp_ms);
      return found == histograms.end() || found->timestamp_ms != time_ms ? nullptr : &*found;
    };
    size_t kept = 0;
    for (size_t i = 0; i < samples.timestamps_ms.size(); ++i) {
      const int64_t time_ms = samples.timestamps_ms[i];
      if (const double* there = float_at(time_ms)) {
        ++(model::same_bits(*there, samples.values[i]) ? counts.same : counts.conflicting);
      } else if (histogram_at(time_ms) != nullptr) {
        ++counts.conflicting;
      } else {
        samples.timestamps_ms[kept] = time_ms;
        samples.values[kept++] = samples.values[i];
      }
    }
    samples.timestamps_ms.resize(kept);
    samples.values.resize(kept);
    std::erase_if(samples.histograms, [&](const model::HistogramSample& one) {
      const model::HistogramSample* const there = histogram_at(one.timestamp_ms);
      if (there == nullptr && float_at(one.timestamp_ms) == nullptr) return false;
      const bool same = there != nullptr && there->histogram.count == one.histogram.count &&
                        model::same_bits(there->histogram.sum, one.histogram.sum);
      ++(same ? counts.same : counts.conflicting);
      return true;
    });
  }

  std::unique_ptr<storage::SeriesSet> set_;
  SeriesBatch batch_;
  size_t at_ = 0;
  bool at_end_ = false;
};

void widen(BlockMeta& meta, int64_t first_ms, int64_t last_ms) {
  meta.min_time_ms = std::min(meta.min_time_ms, first_ms);
  meta.max_time_ms = std::max(meta.max_time_ms, last_ms);
}

Result<void> write(ImportSeries& series, const std::vector<std::string>& pair_bytes,
                   Existing* existing, BlockWriter& writer, BlockMeta& meta,
                   ImportedBlock& counts) {
  std::vector<uint32_t> pairs;
  SeriesBatch samples;
  std::string labels;
  while (TRY(series.next(pairs, samples))) {
    if (existing != nullptr) {
      labels.clear();
      for (const uint32_t pair : pairs) labels.append(pair_bytes[pair]);
      TRY(existing->erase_known(model::LabelsView(labels), samples, counts));
    }
    const auto& times = samples.timestamps_ms;
    const auto& histograms = samples.histograms;
    if (times.empty() && histograms.empty()) continue;
    if (!times.empty()) widen(meta, times.front(), times.back());
    if (!histograms.empty()) {
      widen(meta, histograms.front().timestamp_ms, histograms.back().timestamp_ms);
    }
    TRY(writer.add_series(pairs, samples));
    counts.histograms += histograms.size();
  }
  return {};
}

}  // namespace

Result<ImportedBlock> Engine::import_block(const model::TenantId& tenant_id, TimeRange range,
                                           ImportSeries& series) {
  Impl& impl = *impl_;
  TRY(impl.check_ready());
  TRY(impl.check_not_held());
  if (!model::is_valid_tenant(tenant_id)) {
    return core::fail(ErrorCode::InvalidArgument, "tenant \"{}\" is no valid tenant id", tenant_id);
  }
  // Held throughout: a background step would take the unfinished file for a leftover.
  const std::lock_guard step(impl.maintain_mutex);
  Tenant& tenant = impl.tenant_for(tenant_id);
  std::vector<std::string> pair_bytes = series.take_pair_bytes();
  if (pair_bytes.empty()) return ImportedBlock{};
  const std::unique_ptr<Existing> existing =
      TRY(Existing::open(impl.hasher, tenant, tenant_id, range));

  BlockMeta meta;
  meta.number = impl.manifest.next_number++;
  meta.tenant = tenant_id;
  meta.level = kImportedLevel;
  meta.order = meta.number;  // the highest: what is there already counts
  meta.start_ms = range.start_ms;
  meta.end_ms = range.end_ms;
  meta.min_time_ms = range.end_ms;
  meta.max_time_ms = range.start_ms;
  const std::string path = impl.blocks_dir() + "/" + meta.file_name();
  ImportedBlock counts;
  const auto write_block = [&]() -> Result<void> {
    const std::unique_ptr<BlockWriter> writer =
        TRY(BlockWriter::create(impl.files, path, pair_bytes));
    TRY(write(series, pair_bytes, existing.get(), *writer, meta, counts));
    if (writer->series_count() == 0) return {};
    writer->describe(meta);
    meta.size_bytes = TRY(writer->finish());
    meta.series = writer->series_count();
    meta.samples = writer->sample_count();
    return {};
  };
  const Result<void> written = write_block();
  if (!written || meta.series == 0) (void)impl.files.remove(path);
  TRY(Result<void>(written).context("{}", path));
  if (meta.series == 0) return counts;

  std::shared_ptr<Block> block = Block::open(impl.files, path, meta, *impl.block_cache);
  if (std::string damage = block->damage(); !damage.empty()) {
    (void)impl.files.remove(path);
    return core::fail(ErrorCode::Io, "{}: reading back what was written: {}", path, damage);
  }
  TRY(impl.files.sync_dir(impl.blocks_dir()));
  Manifest next = impl.manifest;
  next.next_series_id = impl.share.next_series_id;
  next.blocks.push_back(meta);
  bool may_be_stored = false;
  if (Result<void> stored = impl.store_manifest(std::move(next), &may_be_stored); !stored) {
    // Nobody may know which manifest a restart finds: both must find their files.
    may_be_stored ? impl.unsure_files.push_back(path) : impl.drop_file(path);
    return tl::unexpected(std::move(stored).context("publish an imported block").error());
  }
  Blocks blocks = *tenant.blocks();
  blocks.push_back(std::move(block));
  tenant.set_blocks(std::move(blocks));
  tenant.head.set_newest_at_least(meta.max_time_ms);
  counts.number = meta.number;
  counts.series = meta.series;
  counts.samples = meta.samples;
  counts.size_bytes = meta.size_bytes;
  return counts;
}

}  // namespace tsdb
