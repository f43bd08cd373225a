// Blocks, snapshots and manifests come from disk. Whatever the bytes: an error or a
// value, never a read out of bounds.

#include "core/bytes.h"
#include "core/crc32c.h"
#include "tsdb/block.h"
#include "tsdb/manifest.h"
#include "tsdb/series_snapshot.h"

#include <cstdint>

namespace {

void read_index(std::string_view input) {
  constexpr uint64_t kRegionsEnd = 39;  // as in the corpus
  const auto index =
      tsdb::BlockIndex::decode(std::string(input), tsdb::kBlockHeaderSize, kRegionsEnd);
  if (!index) return;
  const tsdb::BlockIndex& one = **index;
  std::string labels;
  for (uint32_t ordinal = 0; ordinal < one.series_count(); ++ordinal) {
    const auto region = one.region_of(ordinal);
    if (region.offset + region.size > kRegionsEnd) __builtin_trap();
    one.append_labels(ordinal, labels);
    (void)one.value_of(ordinal, "a");
  }
  for (uint32_t name = 0; name < one.name_count(); ++name) {
    one.for_each_value(one.name(name), [&](std::string_view value, tsdb::Postings) {
      (void)one.postings(one.name(name), value);
    });
  }
  const auto some = model::Matcher::create(model::MatchType::NotRegex, "a", "b.*");
  (void)tsdb::find_series(one, {*some});
}

void read_region(std::string_view input) {
  std::string region;
  core::append_le<uint32_t>(region, core::crc32c(input));
  region.append(input);
  storage::SeriesBatch batch;
  (void)tsdb::append_region(region, {0, int64_t{1} << 60U}, batch).has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
      read_index(input);
      break;
    case 1:
      read_region(input);
      break;
    case 2: {
      const auto footer = tsdb::decode_block_footer(input.substr(0, tsdb::kBlockFooterSize), size);
      if (footer) (void)tsdb::decode_block_index(input, *footer).has_value();
      break;
    }
    case 3: {
      tsdb::SeriesSnapshotVisitor visitor;
      visitor.series = [](std::string_view, uint64_t, std::string_view) {};
      visitor.metadata = [](std::string_view, const model::Metadata&) {};
      visitor.exemplar = [](std::string_view, std::string_view, const model::Exemplar&) {};
      (void)tsdb::read_snapshot_entries(input, visitor).has_value();
      break;
    }
    default: {
      std::string text(input);
      text += fmt::format("crc {:08x}\n", core::crc32c(text));
      (void)tsdb::Manifest::decode(text).has_value();
    }
  }
  return 0;
}
