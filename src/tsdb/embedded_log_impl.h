// What embedded_log*.cc share.

#pragma once

#include "core/metrics.h"
#include "core/result.h"
#include "tsdb/embedded_log.h"
#include "tsdb/embedded_log_record.h"
#include "tsdb/embedded_log_run.h"
#include "tsdb/embedded_log_segment.h"

#include <cstdint>
#include <fmt/core.h>
#include <string>
#include <string_view>

namespace tsdb {

inline constexpr std::string_view kSegmentSuffix = ".log";
inline constexpr std::string_view kSparePrefix = "spare-";
inline constexpr std::string_view kTemporary = "next.tmp";
inline constexpr std::string_view kLogDamagedSuffix = ".damaged";
inline constexpr size_t kPositionDigits = 20;  // of 2^64, so that names sort by position
inline constexpr size_t kMarkBytesMax = kRecordHeaderBytes + 1 + 10;
// A full disk is asked again this often, not with every request.
inline constexpr int64_t kLogRetryNs = 1'000'000'000;

inline std::string segment_name(storage::LogPosition first) {
  return fmt::format("{:0{}}{}", first, kPositionDigits, kSegmentSuffix);
}

inline tl::unexpected<core::Error> log_unavailable(const core::Error& cause) {
  return core::fail(core::ErrorCode::Unavailable, "the log takes no writes: {}", cause.message);
}

// Metrics.
core::Counter& log_write_failures();
core::Counter& log_corruptions();
core::Gauge& log_lost_records();
core::Gauge& log_unread_records();
core::Gauge& log_damaged_files();

}  // namespace tsdb
