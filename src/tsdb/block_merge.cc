#include "tsdb/block_merge.h"

#include "core/mutation.h"
#include "tsdb/block_writer.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;
using model::LabelsView;
using model::TimeRange;

namespace {

constexpr TimeRange kAllTime{std::numeric_limits<int64_t>::min(),
                             std::numeric_limits<int64_t>::max()};

// One input, read front to back.
class Cursor {
 public:
  Cursor(std::shared_ptr<Block> block, std::shared_ptr<const BlockIndex> index,
         const Tombstones& tombstones)
      : block_(std::move(block)),
        index_(std::move(index)),
        mask_(*index_, block_->meta(), tombstones) {}

  const BlockIndex& index() const { return *index_; }
  // ranks[p]: the place of this block's pair p among the pairs of all inputs.
  void set_ranks(std::vector<uint32_t> ranks) { ranks_ = std::move(ranks); }
  bool at_end() const { return next_ > index_->series_count(); }
  // The pairs of the current series, as ranks.
  const std::vector<uint32_t>& pairs() const { return pairs_; }

  // To the next series; the first call goes to the first one.
  Result<void> advance() {
    if (next_++ >= index_->series_count()) return {};
    std::swap(pairs_, before_);
    pairs_.clear();
    for (const uint32_t pair : index_->pairs_of(next_ - 1)) pairs_.push_back(ranks_[pair]);
    if (next_ > 1 && !(before_ < pairs_)) {
      return core::fail(ErrorCode::Corruption, "{}: series {} is not in order", block_->path(),
                        next_ - 1);
    }
    return {};
  }

  // Appends the samples of the current series that are not deleted.
  Result<void> append_samples(storage::SeriesBatch& batch, uint64_t& deleted) {
    const uint32_t ordinal = next_ - 1;
    const BlockIndex::Region region = index_->region_of(ordinal);
    const ColumnMark begin = ColumnMark::end_of(batch);
    const std::string_view bytes = TRY(read(region));
    TRY(block_->append_region(*index_, bytes, kAllTime, batch)
            .context("{}: series {} at offset {}", block_->path(), ordinal, region.offset));
    deleted += drop_ranges(batch, begin, mask_.ranges_of(ordinal));
    return {};
  }
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  Result<std::string_view> read(BlockIndex::Region region) {
    const uint64_t end = region.offset + region.size;
    if (region.offset < buffer_at_ || end > buffer_at_ + buffer_.size()) {
      const uint64_t left = index_->regions_end() - region.offset;
      const uint64_t size = std::min<uint64_t>(left, std::max<uint64_t>(region.size, kMergeBuffer));
      buffer_.clear();
      buffer_at_ = region.offset;
      buffer_ = TRY(block_->read(region.offset, size));
      bytes_read_ += buffer_.size();
      if (buffer_.size() < region.size) {
        return core::fail(ErrorCode::Corruption, "{}: ends at {}, expected a region up to {}",
                          block_->path(), buffer_at_ + buffer_.size(), end);
      }
    }
    return std::string_view(buffer_).substr(region.offset - buffer_at_, region.size);
  }

  std::shared_ptr<Block> block_;
  std::shared_ptr<const BlockIndex> index_;
  BlockMask mask_;
  std::vector<uint32_t> ranks_;
  std::vector<uint32_t> pairs_;
  std::vector<uint32_t> before_;
  uint32_t next_ = 0;  // ordinal of the current series, plus 1
  std::string buffer_;
  uint64_t buffer_at_ = 0;
  uint64_t bytes_read_ = 0;
};

// The pairs of all inputs, sorted; tells each cursor where its own stand among them.
std::vector<std::string> merge_pairs(std::vector<Cursor>& cursors) {
  std::vector<std::string> all;
  std::vector<uint32_t> at(cursors.size());
  std::vector<std::vector<uint32_t>> ranks(cursors.size());
  while (true) {
    std::optional<model::Label> least;
    std::string_view bytes;
    for (size_t i = 0; i < cursors.size(); ++i) {
      if (at[i] >= cursors[i].index().pair_count()) continue;
      const model::Label label = cursors[i].index().label(at[i]);
      if (least && !(label < *least)) continue;
      least = label;
      bytes = cursors[i].index().pair_bytes(at[i]);
    }
    if (!least) break;
    for (size_t i = 0; i < cursors.size(); ++i) {
      const BlockIndex& index = cursors[i].index();
      if (at[i] >= index.pair_count() || index.label(at[i]) != *least) continue;
      ranks[i].push_back(static_cast<uint32_t>(all.size()));
      ++at[i];
    }
    all.emplace_back(bytes);
  }
  for (size_t i = 0; i < cursors.size(); ++i) cursors[i].set_ranks(std::move(ranks[i]));
  return all;
}

class Merger {
 public:
  Merger(const MergeRequest& request, std::optional<size_t>& damaged)
      : request_(request), damaged_(damaged) {}

  Result<MergeResult> run(core::FileSystem& files) {
    TRY(open_inputs());
    std::unique_ptr<BlockWriter> writer = TRY(
        BlockWriter::create(files, request_.path, merge_pairs(cursors_)).context("merge blocks"));
    result_.output = request_.output;
    std::vector<uint64_t> replaces;
    for (const auto& input : request_.inputs) replaces.push_back(input->meta().number);
    writer->describe(request_.output, std::move(replaces));
    for (size_t i = 0; i < cursors_.size(); ++i) TRY(advance(i));
    while (!heap_.empty()) {
      if (request_.stop != nullptr && *request_.stop) {
        return core::fail(ErrorCode::Cancelled, "merging was stopped");
      }
      TRY(merge_series(*writer));
    }
    for (const Cursor& cursor : cursors_) result_.bytes_read += cursor.bytes_read();
    result_.output.size_bytes = TRY(writer->finish().context("merge to {}", request_.path));
    result_.output.series = writer->series_count();
    result_.output.samples = writer->sample_count();
    result_.output.min_time_ms = writer->min_time_ms();
    result_.output.max_time_ms = writer->max_time_ms();
    return result_;
  }

 private:
  Result<void> open_inputs() {
    cursors_.reserve(request_.inputs.size());
    for (size_t i = 0; i < request_.inputs.size(); ++i) {
      Result<std::shared_ptr<const BlockIndex>> index = request_.inputs[i]->index_uncached();
      if (!index) damaged_ = i;
      cursors_.emplace_back(request_.inputs[i], TRY(std::move(index)), request_.tombstones);
    }
    return {};
  }

  // The least series first; of the same series the input that counts first.
  bool comes_later(size_t a, size_t b) const {
    const auto order = cursors_[a].pairs() <=> cursors_[b].pairs();
    return order == 0 ? a > b : order > 0;
  }

  Result<void> advance(size_t i) {
    Result<void> advanced = cursors_[i].advance();
    if (!advanced) damaged_ = i;
    TRY(std::move(advanced));
    if (cursors_[i].at_end()) return {};
    heap_.push_back(i);
    std::push_heap(heap_.begin(), heap_.end(),
                   [this](size_t a, size_t b) { return comes_later(a, b); });
    return {};
  }

  size_t pop() {
    std::pop_heap(heap_.begin(), heap_.end(),
                  [this](size_t a, size_t b) { return comes_later(a, b); });
    const size_t least = heap_.back();
    heap_.pop_back();
    return least;
  }

  Result<void> merge_series(BlockWriter& writer) {
    having_.clear();
    having_.push_back(pop());
    const std::vector<uint32_t>& pairs = cursors_[having_.front()].pairs();
    while (!heap_.empty() && cursors_[heap_.front()].pairs() == pairs) having_.push_back(pop());
    samples_.clear();
    SourceOrder order(samples_);
    if (PETREL_MUTATED("merge-order-reversed")) std::reverse(having_.begin(), having_.end());
    for (const size_t i : having_) {
      order.begin_source();
      Result<void> read = cursors_[i].append_samples(samples_, result_.deleted);
      if (!read) damaged_ = i;
      TRY(std::move(read));
      order.end_source();
    }
    result_.duplicates += order.finish();
    if (!samples_.timestamps_ms.empty() || !samples_.histograms.empty()) {
      TRY(writer.add_series(pairs, samples_).context("merge to {}", request_.path));
    }
    for (const size_t i : having_) TRY(advance(i));
    return {};
  }

  const MergeRequest& request_;
  std::optional<size_t>& damaged_;
  std::vector<Cursor> cursors_;
  std::vector<size_t> heap_;    // cursors with a current series
  std::vector<size_t> having_;  // those that have the series being merged
  storage::SeriesBatch samples_;
  MergeResult result_;
};

}  // namespace

Result<MergeResult> merge_blocks(core::FileSystem& files, const MergeRequest& request,
                                 std::optional<size_t>& damaged) {
  ENSURE(!request.inputs.empty());
  return Merger(request, damaged).run(files);
}

}  // namespace tsdb
