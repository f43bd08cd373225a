// Reading: the head and the blocks of one moment as one set of series.

#include "core/log.h"
#include "core/time.h"
#include "tsdb/block.h"
#include "tsdb/engine_impl.h"
#include "tsdb/series_groups.h"

#include <algorithm>
#include <numeric>

namespace tsdb {

using core::Result;
using model::Labels;
using model::LabelsView;
using model::TimeRange;
using storage::SelectRequest;
using storage::SeriesBatch;

namespace {

// Series per batch: enough to spread the fixed costs, small enough for the caches, together
// with their samples.
constexpr size_t kBatchSeries = 256;
constexpr size_t kBatchSeriesMin = 32;
constexpr size_t kBatchSamples = 32 << 10U;
// A read of neighbouring regions goes over gaps up to this size, and is never larger
// than the second figure.
constexpr uint64_t kReadGapMax = 16 << 10U;
constexpr uint64_t kReadSizeMax = 4 << 20U;
constexpr SeriesRef kNoRef = UINT32_MAX;
// Slots of the table that joins the same series of head and blocks.
constexpr uint32_t kNoEntry = UINT32_MAX;

struct BlockSource {
  std::shared_ptr<Block> block;
  std::shared_ptr<const BlockIndex> index;
  std::shared_ptr<const BlockMask> mask;
};

// Where one series stands in one block.
struct Place {
  uint32_t source = 0;
  uint32_t ordinal = 0;
};

// What a block has of one series of the slice that is read.
struct StoredRegion {
  Place place;
  std::string bytes;
};

// The regions of some series of one block, read in few large reads.
class RegionReader {
 public:
  // `ordinals` sorted.
  Result<void> read(const BlockSource& source, std::span<const uint32_t> ordinals) {
    buffers_.clear();
    regions_.clear();
    size_t begin = 0;
    while (begin < ordinals.size()) {
      const BlockIndex::Region first = source.index->region_of(ordinals[begin]);
      uint64_t end_offset = first.offset + first.size;
      size_t end = begin + 1;
      for (; end < ordinals.size(); ++end) {
        const BlockIndex::Region next = source.index->region_of(ordinals[end]);
        if (next.offset > end_offset + kReadGapMax) break;
        if (next.offset + next.size - first.offset > kReadSizeMax) break;
        end_offset = next.offset + next.size;
      }
      buffers_.push_back(TRY(source.block->read(first.offset, end_offset - first.offset)));
      const std::string_view bytes = buffers_.back();
      for (size_t i = begin; i < end; ++i) {
        const BlockIndex::Region region = source.index->region_of(ordinals[i]);
        const uint64_t at = std::min<uint64_t>(region.offset - first.offset, bytes.size());
        regions_.push_back(bytes.substr(at, region.size));
      }
      begin = end;
    }
    return {};
  }
  std::string_view region(size_t i) const { return regions_[i]; }

 private:
  std::deque<std::string> buffers_;
  std::vector<std::string_view> regions_;
};

// Whether a series has chunks and open floats only, which append_samples() gives in rising time.
bool is_in_order(const HeadCapture& capture, size_t i) {
  const HeadCapture::Ends begin = capture.begin_of(i);
  const HeadCapture::Ends& end = capture.ends[i];
  return begin.late == end.late && begin.patches == end.patches &&
         begin.histogram_chunks == end.histogram_chunks && begin.histograms == end.histograms &&
         begin.histogram_patches == end.histogram_patches;
}

// Confined to one thread, as its interface says.
class MergedSet final : public storage::SeriesSet {
 public:
  MergedSet(const IdentityHasher& hasher, ReadView view, const SelectRequest& request)
      : hasher_(hasher), view_(std::move(view)), range_(request.range) {
    if (request.grouping) groups_.emplace(*request.grouping);
    how_ = {.groups = groups_ ? &*groups_ : nullptr, .newest_only = request.newest_only};
  }

  void open(const SelectRequest& request);
  Result<bool> next(SeriesBatch& batch) override;
  const Labels& group_labels(uint32_t group) const override { return groups_->labels(group); }
  std::vector<std::string> warnings() const override { return warnings_; }

 private:
  size_t size() const { return head_refs_.size(); }
  void open_blocks(const model::Matchers& matchers);
  void join_blocks(const std::vector<std::vector<uint32_t>>& ordinals);
  void sort();
  void load_labels();
  std::span<const Place> places_of(size_t entry) const {
    if (place_ends_.empty()) return {};
    const uint32_t begin = entry == 0 ? 0 : place_ends_[entry - 1];
    return std::span(places_).subspan(begin, place_ends_[entry] - begin);
  }
  void read_regions(std::span<const uint32_t> entries);
  void append_stored(const StoredRegion& region, SeriesBatch& batch);

  const IdentityHasher& hasher_;
  ReadView view_;
  const TimeRange range_;
  size_t batch_series_ = kBatchSeriesMin;
  std::optional<SeriesGroups> groups_;
  Head::CaptureHow how_;
  std::vector<BlockSource> sources_;  // lowest order first: its samples count
  // Per entry, that is per series.
  std::vector<SeriesRef> head_refs_;  // kNoRef: only in blocks
  std::vector<Place> places_;
  std::vector<uint32_t> place_ends_;
  std::vector<std::string> labels_;  // only when sorted
  std::vector<uint32_t> order_;
  size_t at_ = 0;

  HeadCapture capture_;
  std::vector<SeriesRef> slice_refs_;
  std::vector<std::vector<StoredRegion>> slice_regions_;  // per entry of the slice
  std::vector<std::string> warnings_;
};

std::string missing_samples(const Block& block, const core::Error& error) {
  return fmt::format("samples between {} and {} are missing: {}: {}",
                     core::format_rfc3339(block.meta().min_time_ms),
                     core::format_rfc3339(block.meta().max_time_ms), block.path(), error.message);
}

void MergedSet::open(const SelectRequest& request) {
  head_refs_ = view_.tenant->head.find(request.matchers, view_.head_range(range_).samples);
  open_blocks(request.matchers);
  if (request.sorted) sort();
  if (order_.empty()) {
    order_.resize(size());
    std::iota(order_.begin(), order_.end(), 0);
  }
  if (request.limit != 0 && order_.size() > request.limit) order_.resize(request.limit);
}

void MergedSet::open_blocks(const model::Matchers& matchers) {
  std::vector<std::vector<uint32_t>> ordinals;
  Blocks blocks = *view_.blocks;
  std::sort(blocks.begin(), blocks.end(), [](const auto& a, const auto& b) {
    return std::pair(a->meta().order, a->meta().number) <
           std::pair(b->meta().order, b->meta().number);
  });
  for (const std::shared_ptr<Block>& block : blocks) {
    if (!block->range().overlaps(range_)) continue;
    Result<std::shared_ptr<const BlockIndex>> index = block->index();
    if (!index) {
      add_warning(warnings_, std::move(index.error().message));
      continue;
    }
    std::vector<uint32_t> found = find_series(**index, matchers);
    if (found.empty()) continue;
    sources_.push_back({block, *index, block->mask(**index, view_.tombstones)});
    ordinals.push_back(std::move(found));
  }
  if (!sources_.empty()) join_blocks(ordinals);
}

// One entry per distinct label set: an open-addressing table from identity to entry.
void MergedSet::join_blocks(const std::vector<std::vector<uint32_t>>& ordinals) {
  size_t most = head_refs_.size();
  for (const auto& one : ordinals) most += one.size();
  struct Slot {
    Identity id;
    uint32_t entry = kNoEntry;
  };
  std::vector<Slot> table(std::bit_ceil(most * 2 + 2));
  const auto slot_of = [&](const Identity& id) -> Slot& {
    size_t at = id.low & (table.size() - 1);
    while (table[at].entry != kNoEntry && !(table[at].id == id)) at = (at + 1) & (table.size() - 1);
    return table[at];
  };
  const std::vector<Identity> head_ids = view_.tenant->head.identities(head_refs_);
  for (size_t i = 0; i < head_ids.size(); ++i) {
    slot_of(head_ids[i]) = {head_ids[i], static_cast<uint32_t>(i)};
  }
  struct Found {
    uint32_t entry;
    Place place;
  };
  std::vector<Found> found;
  std::string labels;
  for (uint32_t source = 0; source < sources_.size(); ++source) {
    for (const uint32_t ordinal : ordinals[source]) {
      labels.clear();
      sources_[source].index->append_labels(ordinal, labels);
      const Identity id = hasher_(labels);
      Slot& slot = slot_of(id);
      if (slot.entry == kNoEntry) {
        slot = {id, static_cast<uint32_t>(head_refs_.size())};
        head_refs_.push_back(kNoRef);
      }
      found.push_back({slot.entry, {source, ordinal}});
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Found& a, const Found& b) { return a.entry < b.entry; });
  place_ends_.assign(head_refs_.size(), 0);
  for (const Found& one : found) {
    places_.push_back(one.place);
    place_ends_[one.entry] = static_cast<uint32_t>(places_.size());
  }
  for (size_t i = 1; i < place_ends_.size(); ++i) {
    place_ends_[i] = std::max(place_ends_[i], place_ends_[i - 1]);
  }
}

void MergedSet::load_labels() {
  labels_.resize(size());
  constexpr TimeRange kNever{std::numeric_limits<int64_t>::max(),
                             std::numeric_limits<int64_t>::max()};
  constexpr HeadRange kNothing{.samples = kNever, .patches = kNever};
  for (size_t begin = 0; begin < size(); begin += kBatchSeries) {
    const size_t end = std::min(begin + kBatchSeries, size());
    slice_refs_.clear();
    for (size_t i = begin; i < end; ++i) {
      if (head_refs_[i] != kNoRef) slice_refs_.push_back(head_refs_[i]);
    }
    view_.tenant->head.capture(slice_refs_, kNothing, capture_);
    size_t in_head = 0;
    for (size_t i = begin; i < end; ++i) {
      if (head_refs_[i] != kNoRef) labels_[i] = capture_.labels_of(in_head++);
      const std::span<const Place> places = places_of(i);
      if (!labels_[i].empty() || places.empty()) continue;
      sources_[places[0].source].index->append_labels(places[0].ordinal, labels_[i]);
    }
  }
}

void MergedSet::sort() {
  load_labels();
  order_.resize(size());
  std::iota(order_.begin(), order_.end(), 0);
  std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
    return model::compare(LabelsView(labels_[a]), LabelsView(labels_[b])) < 0;
  });
}

// Block by block over the slice, so that neighbours in a file are read together.
void MergedSet::read_regions(std::span<const uint32_t> entries) {
  slice_regions_.assign(entries.size(), {});
  if (place_ends_.empty()) return;
  struct Wanted {
    uint32_t ordinal;
    uint32_t slice_index;
  };
  std::vector<std::vector<Wanted>> wanted(sources_.size());
  for (uint32_t i = 0; i < entries.size(); ++i) {
    for (const Place& place : places_of(entries[i])) {
      wanted[place.source].push_back({place.ordinal, i});
    }
  }
  RegionReader reader;
  std::vector<uint32_t> ordinals;
  for (size_t source = 0; source < sources_.size(); ++source) {
    auto& list = wanted[source];
    if (list.empty()) continue;
    std::sort(list.begin(), list.end(),
              [](const Wanted& a, const Wanted& b) { return a.ordinal < b.ordinal; });
    ordinals.clear();
    for (const Wanted& one : list) ordinals.push_back(one.ordinal);
    if (Result<void> read = reader.read(sources_[source], ordinals); !read) {
      add_warning(warnings_, missing_samples(*sources_[source].block, read.error()));
      continue;
    }
    for (size_t i = 0; i < list.size(); ++i) {
      slice_regions_[list[i].slice_index].push_back(
          {{static_cast<uint32_t>(source), list[i].ordinal}, std::string(reader.region(i))});
    }
  }
}

void MergedSet::append_stored(const StoredRegion& region, SeriesBatch& batch) {
  const BlockSource& source = sources_[region.place.source];
  const ColumnMark begin = ColumnMark::end_of(batch);
  if (Result<void> read = source.block->append_region(*source.index, region.bytes, range_, batch);
      !read) {
    const uint64_t offset = source.index->region_of(region.place.ordinal).offset;
    core::Error error = std::move(read).context("series at offset {}", offset).error();
    add_warning(warnings_, missing_samples(*source.block, error));
    source.block->exclude_from_merges(error);
  }
  drop_ranges(batch, begin, source.mask->ranges_of(region.place.ordinal));
}

Result<bool> MergedSet::next(SeriesBatch& batch) {
  batch.clear();
  while (batch.size() == 0 && at_ < order_.size()) {
    const size_t count = std::min(batch_series_, order_.size() - at_);
    const std::span<const uint32_t> entries = std::span(order_).subspan(at_, count);
    at_ += count;
    slice_refs_.clear();
    for (const uint32_t entry : entries) {
      if (head_refs_[entry] != kNoRef) slice_refs_.push_back(head_refs_[entry]);
    }
    const HeadRange head_range = view_.head_range(range_);
    view_.tenant->head.capture(slice_refs_, head_range, how_, capture_);
    read_regions(entries);

    size_t in_head = 0;
    std::string labels;
    for (size_t i = 0; i < entries.size(); ++i) {
      const uint32_t entry = entries[i];
      const size_t samples_before = batch.timestamps_ms.size();
      const size_t histograms_before = batch.histograms.size();
      SourceOrder order(batch);
      for (const StoredRegion& region : slice_regions_[i]) {
        order.begin_source();
        append_stored(region, batch);
        order.end_source();
      }
      const bool is_in_head = head_refs_[entry] != kNoRef;
      const size_t captured = in_head;
      if (is_in_head) {
        order.begin_source();
        append_samples(capture_, captured, head_range.samples, batch);
        order.end_source();
        ++in_head;
      }
      const bool is_rising =
          slice_regions_[i].empty() && is_in_head && is_in_order(capture_, captured);
      if (!is_rising) order.finish();
      if (batch.timestamps_ms.size() == samples_before &&
          batch.histograms.size() == histograms_before) {
        continue;
      }
      labels.clear();
      const bool has_head =
          is_in_head && (groups_ ? capture_.groups[captured] != SeriesGroups::kNone
                                 : !capture_.labels_of(captured).empty());
      if (!has_head) {
        const Place place = places_of(entry).front();
        sources_[place.source].index->append_labels(place.ordinal, labels);
      }
      if (groups_) {
        batch.groups.push_back(has_head ? capture_.groups[captured]
                                        : groups_->group_of(LabelsView(labels)));
      } else {
        batch.labels.push_back(Labels::from_canonical(has_head ? capture_.labels_of(captured)
                                                               : std::string_view(labels)));
      }
      batch.sample_ends.push_back(static_cast<uint32_t>(batch.timestamps_ms.size()));
      batch.histogram_ends.push_back(static_cast<uint32_t>(batch.histograms.size()));
    }
    capture_.pin = {};
    // The next ones are taken to be like these.
    const size_t samples = batch.timestamps_ms.size() / count + 1;
    batch_series_ = std::clamp(kBatchSamples / samples, kBatchSeriesMin, kBatchSeries);
  }
  return batch.size() != 0;
}

}  // namespace

Result<std::vector<uint32_t>> visible_series(Block& block,
                                             const std::shared_ptr<const BlockIndex>& index,
                                             const std::shared_ptr<const Tombstones>& tombstones,
                                             const model::Matchers& matchers) {
  std::vector<uint32_t> found = find_series(*index, matchers);
  const std::shared_ptr<const BlockMask> mask = block.mask(*index, tombstones);
  if (mask->empty()) return found;
  const std::vector<uint32_t> hidden = TRY(block.hidden_series(*index, mask));
  std::vector<uint32_t> left;
  std::set_difference(found.begin(), found.end(), hidden.begin(), hidden.end(),
                      std::back_inserter(left));
  return left;
}

Result<std::unique_ptr<storage::SeriesSet>> select_series(const IdentityHasher& hasher,
                                                          ReadView view,
                                                          const SelectRequest& request) {
  auto set = std::make_unique<MergedSet>(hasher, std::move(view), request);
  set->open(request);
  return std::unique_ptr<storage::SeriesSet>(std::move(set));
}

}  // namespace tsdb
