// Blocks, snapshots and manifests come from disk. Whatever the bytes: an error or a
// value, never a read out of bounds.

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/testing/sim_file_system.h"
#include "tsdb/block.h"
#include "tsdb/block_verify.h"
#include "tsdb/manifest.h"
#include "tsdb/series_snapshot.h"

#include <algorithm>
#include <cstdint>

namespace {

constexpr uint64_t kRegionsEnd = 39;  // as in the corpus

void use_index(const core::Result<std::shared_ptr<const tsdb::BlockIndex>>& index) {
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

void read_index(std::string_view input) {
  use_index(tsdb::BlockIndex::decode(std::string(input), tsdb::kBlockHeaderSize, kRegionsEnd));
}

// Without compression, which would hide the rest from the fuzzer.
void read_packed_index(std::string_view input) {
  std::string stored;
  core::append_le<uint64_t>(stored, input.size());
  stored.append(input);
  core::Result<std::string> raw = tsdb::unpack_index(stored, tsdb::kBlockHeaderSize);
  if (!raw) return;
  use_index(tsdb::BlockIndex::decode(*std::move(raw), tsdb::kBlockHeaderSize, kRegionsEnd));
}

void read_times(std::string_view input) {
  const auto times = tsdb::TimeColumns::decode(std::string(input));
  if (!times) return;
  std::vector<int64_t> out(100);
  for (uint64_t column = 0; column <= times->size(); ++column) {
    (void)times->read(column, times->base_ms(), out);
  }
}

// The first byte says how much of the input are the columns that the region refers to.
void read_region(std::string_view input) {
  if (input.empty()) return;
  const size_t columns_size =
      std::min<size_t>(static_cast<uint8_t>(input.front()), input.size() - 1);
  input.remove_prefix(1);
  const auto columns = tsdb::TimeColumns::decode(std::string(input.substr(0, columns_size)));
  input.remove_prefix(columns_size);
  std::string region;
  core::append_le<uint32_t>(region, core::crc32c(input));
  region.append(input);
  for (const uint8_t version : {uint8_t{1}, tsdb::kBlockVersion}) {
    storage::SeriesBatch batch;
    (void)tsdb::append_region(region, {version, columns ? &*columns : nullptr},
                              {0, int64_t{1} << 60U}, batch)
        .has_value();
    if (batch.timestamps_ms.size() != batch.values.size()) __builtin_trap();
  }
}

// Whole files, with checksums that are right.
void read_file(std::string_view input) {
  core::testing::SimFileSystem files;
  if (!files.write_file_atomically("b", input)) return;
  const auto check = tsdb::verify_block(files, "b");
  if (!check) __builtin_trap();
  if (check->damage_count != 0) return;
  if (!tsdb::visit_block(
          files, "b", {0, int64_t{1} << 60U},
          [](std::string_view, const storage::SeriesBatch&) -> core::Result<void> { return {}; })) {
    __builtin_trap();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 9) {
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
    case 5:
      read_packed_index(input);
      break;
    case 6:
      read_times(input);
      break;
    case 7:
      read_file(input);
      break;
    case 8:
      (void)tsdb::decode_block_self(input).has_value();
      break;
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
