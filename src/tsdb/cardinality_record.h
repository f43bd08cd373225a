// What was counted at some times of the last day, per tenant: what a report is compared with.
// In a file, so that a restart does not forget yesterday (docs/formats/cardinality.md).

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "model/tenant.h"
#include "storage/cardinality.h"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb {

// The largest counts of one kind at one time.
struct CountList {
  std::vector<storage::NamedCount> counts;
  // What is not in the list had at most so many; 0: nothing else was there.
  uint64_t floor = 0;

  bool operator==(const CountList&) const = default;
};

struct CardinalityRecord {
  enum Kind : size_t { Metrics, Labels, Pairs, Targets, kKinds };

  int64_t time_ms = 0;
  uint64_t series = 0;
  std::array<CountList, kKinds> lists;

  bool operator==(const CardinalityRecord&) const = default;
};

// Three a day and one more: the newest that is a day old is never older than 32 hours.
inline constexpr int64_t kRecordEveryMs = 8LL * 3'600'000;
inline constexpr size_t kRecordsMax = 4;
inline constexpr size_t kRecordCountsMax = 200;     // of a list
inline constexpr size_t kRecordNameBytesMax = 512;  // of a name; longer ones are shortened
// With more of them those with the most series are stored.
inline constexpr size_t kRecordTenantsMax = 2'000;

// The name under which a count is stored: itself unless it is long.
std::string record_name(std::string_view name);

// The records of each tenant, oldest first, at most kRecordsMax.
using CardinalityRecords = std::map<model::TenantId, std::vector<CardinalityRecord>, std::less<>>;

std::string encode_cardinality_records(const CardinalityRecords& records);
core::Result<CardinalityRecords> decode_cardinality_records(std::string_view bytes);

// Nothing when there is no file. Corruption when it is damaged or of another version.
core::Result<CardinalityRecords> load_cardinality_records(core::FileSystem& files,
                                                          const std::string& path);
core::Result<void> store_cardinality_records(core::FileSystem& files, const std::string& path,
                                             const CardinalityRecords& records);

}  // namespace tsdb
