#include "tsdb/cardinality_record.h"

#include "core/bytes.h"
#include "core/crc32c.h"
#include "core/varint.h"

#include <algorithm>

namespace tsdb {

using core::ErrorCode;
using core::Result;

namespace {

constexpr std::string_view kMagic = "PTLCARD";
constexpr char kVersion = 1;

void append_record(std::string& out, const CardinalityRecord& record) {
  core::append_zigzag(out, record.time_ms);
  core::append_varint(out, record.series);
  for (const CountList& list : record.lists) {
    core::append_varint(out, list.floor);
    core::append_varint(out, list.counts.size());
    for (const auto& [name, count] : list.counts) {
      core::append_string(out, name);
      core::append_varint(out, count);
    }
  }
}

bool take_record(std::string_view& bytes, CardinalityRecord& record) {
  if (!core::take_zigzag(bytes, record.time_ms)) return false;
  if (!core::take_varint(bytes, record.series)) return false;
  for (CountList& list : record.lists) {
    uint64_t size = 0;
    if (!core::take_varint(bytes, list.floor) || !core::take_varint(bytes, size)) return false;
    if (size > kRecordCountsMax) return false;
    for (uint64_t i = 0; i < size; ++i) {
      storage::NamedCount one;
      if (!core::take_string(bytes, one.name) || one.name.size() > kRecordNameBytesMax ||
          !core::take_varint(bytes, one.count)) {
        return false;
      }
      list.counts.push_back(std::move(one));
    }
  }
  return true;
}

bool take_tenant(std::string_view& bytes, CardinalityRecords& records) {
  std::string tenant;
  uint64_t size = 0;
  if (!core::take_string(bytes, tenant) || !model::is_valid_tenant(tenant)) return false;
  if (!core::take_varint(bytes, size) || size == 0 || size > kRecordsMax) return false;
  std::vector<CardinalityRecord>& of_tenant = records[tenant];
  if (!of_tenant.empty()) return false;
  for (uint64_t i = 0; i < size; ++i) {
    if (!take_record(bytes, of_tenant.emplace_back())) return false;
  }
  return true;
}

// Those that are stored: all, or the ones with the most series.
std::vector<CardinalityRecords::const_iterator> stored_tenants(const CardinalityRecords& records) {
  std::vector<CardinalityRecords::const_iterator> tenants;
  for (auto at = records.begin(); at != records.end(); ++at) {
    if (!at->second.empty()) tenants.push_back(at);
  }
  if (tenants.size() <= kRecordTenantsMax) return tenants;
  std::stable_sort(tenants.begin(), tenants.end(), [](const auto& a, const auto& b) {
    return a->second.back().series > b->second.back().series;
  });
  tenants.resize(kRecordTenantsMax);
  return tenants;
}

}  // namespace

std::string record_name(std::string_view name) {
  if (name.size() <= kRecordNameBytesMax) return std::string(name);
  const std::string hash = fmt::format("...{:08x}", core::crc32c(name));
  return std::string(name.substr(0, kRecordNameBytesMax - hash.size())) + hash;
}

std::string encode_cardinality_records(const CardinalityRecords& records) {
  std::string out(kMagic);
  out.push_back(kVersion);
  const auto tenants = stored_tenants(records);
  core::append_varint(out, tenants.size());
  for (const auto& at : tenants) {
    core::append_string(out, at->first);
    core::append_varint(out, at->second.size());
    for (const CardinalityRecord& record : at->second) append_record(out, record);
  }
  core::append_le(out, core::crc32c(out));
  return out;
}

Result<CardinalityRecords> decode_cardinality_records(std::string_view bytes) {
  const auto damaged = [&](std::string_view what) {
    return core::fail(ErrorCode::Corruption, "{} bytes: {}", bytes.size(), what);
  };
  if (!bytes.starts_with(kMagic) || bytes.size() < kMagic.size() + 1 + sizeof(uint32_t)) {
    return damaged("no record of cardinality");
  }
  if (bytes[kMagic.size()] != kVersion) {
    return core::fail(ErrorCode::Corruption, "version {}, known is {}",
                      static_cast<int>(bytes[kMagic.size()]), static_cast<int>(kVersion));
  }
  const size_t body_size = bytes.size() - sizeof(uint32_t);
  if (core::crc32c(bytes.substr(0, body_size)) !=
      core::load_le<uint32_t>(bytes.substr(body_size))) {
    return damaged("bad checksum");
  }
  std::string_view rest = bytes.substr(0, body_size).substr(kMagic.size() + 1);
  uint64_t tenants = 0;
  if (!core::take_varint(rest, tenants) || tenants > kRecordTenantsMax) {
    return damaged("bad number of tenants");
  }
  CardinalityRecords records;
  for (uint64_t i = 0; i < tenants; ++i) {
    if (!take_tenant(rest, records)) return damaged(fmt::format("tenant {} is malformed", i));
  }
  if (!rest.empty()) return damaged("more than its tenants");
  return records;
}

Result<CardinalityRecords> load_cardinality_records(core::FileSystem& files,
                                                    const std::string& path) {
  Result<std::string> bytes = files.read_file(path);
  if (!bytes) {
    if (bytes.error().code == ErrorCode::NotFound) return CardinalityRecords{};
    return tl::unexpected(std::move(bytes).error());
  }
  return decode_cardinality_records(*bytes).context("{}", path);
}

Result<void> store_cardinality_records(core::FileSystem& files, const std::string& path,
                                       const CardinalityRecords& records) {
  return files.write_file_atomically(path, encode_cardinality_records(records));
}

}  // namespace tsdb
