#include "tsdb/testing/crash_coverage.h"

#include <fmt/core.h>

namespace tsdb::testing {

using core::testing::SimFault;
using core::testing::SimFaultRule;
using core::testing::SimOperation;

namespace {

bool may_fail_so(SimOperation operation, SimFault fault) {
  if (fault != SimFault::NoSpace) return operation != SimOperation::Read || fault == SimFault::Io;
  return operation == SimOperation::Create || operation == SimOperation::Write ||
         operation == SimOperation::Resize || operation == SimOperation::Rename ||
         operation == SimOperation::Link;
}

struct Place {
  SimOperation operation;
  FileKind kind;
  std::string_view path_contains;
  bool is_whole_path = false;
};

// Each of them has to be met with every fault that can happen there.
constexpr Place kPlaces[] = {
    {SimOperation::Write, FileKind::LogSegment, ".log"},
    {SimOperation::Sync, FileKind::LogSegment, ".log"},
    {SimOperation::Create, FileKind::LogSpare, "next.tmp"},
    {SimOperation::Resize, FileKind::LogSpare, "wal/"},
    {SimOperation::Write, FileKind::LogSpare, "next.tmp"},
    {SimOperation::Sync, FileKind::LogSpare, "next.tmp"},
    {SimOperation::Write, FileKind::LogSpare, "spare-"},
    {SimOperation::Sync, FileKind::LogSpare, "spare-"},
    {SimOperation::Rename, FileKind::LogSegment, "wal/"},
    {SimOperation::Rename, FileKind::LogSpare, "spare-"},
    {SimOperation::Remove, FileKind::LogSegment, "wal/"},
    {SimOperation::SyncDir, FileKind::LogFolder, "wal"},
    {SimOperation::Create, FileKind::LogBounds, "wal.bounds"},
    {SimOperation::Write, FileKind::LogBounds, "wal.bounds"},
    {SimOperation::Sync, FileKind::LogBounds, "wal.bounds"},
    {SimOperation::Rename, FileKind::LogBounds, "wal.bounds"},
    {SimOperation::Create, FileKind::Block, ".block"},
    {SimOperation::Write, FileKind::Block, ".block"},
    {SimOperation::Sync, FileKind::Block, ".block"},
    {SimOperation::Remove, FileKind::Block, ".block"},
    {SimOperation::SyncDir, FileKind::BlocksFolder, "blocks"},
    {SimOperation::Create, FileKind::Manifest, "manifest"},
    {SimOperation::Write, FileKind::Manifest, "manifest"},
    {SimOperation::Sync, FileKind::Manifest, "manifest"},
    {SimOperation::Rename, FileKind::Manifest, "manifest"},
    {SimOperation::SyncDir, FileKind::DataFolder, "data", true},
    {SimOperation::Create, FileKind::SeriesSnapshot, "series_snapshot"},
    {SimOperation::Write, FileKind::SeriesSnapshot, "series_snapshot"},
    {SimOperation::Sync, FileKind::SeriesSnapshot, "series_snapshot"},
    {SimOperation::Remove, FileKind::SeriesSnapshot, "series_snapshot"},
    {SimOperation::Read, FileKind::Block, ".block"},
    {SimOperation::Read, FileKind::LogSegment, ".log"},
    {SimOperation::Read, FileKind::Manifest, "manifest"},
    {SimOperation::Read, FileKind::SeriesSnapshot, "series_snapshot"},
    {SimOperation::Read, FileKind::LogFolder, "wal"},
    {SimOperation::Read, FileKind::BlocksFolder, "blocks"},
    {SimOperation::Read, FileKind::DataFolder, "data"},
    {SimOperation::Create, FileKind::Copy, "snapshots"},
    {SimOperation::Write, FileKind::Copy, "snapshots"},
    {SimOperation::Sync, FileKind::Copy, "snapshots"},
    {SimOperation::Link, FileKind::Copy, "snapshots"},
    {SimOperation::Rename, FileKind::Copy, "snapshots"},
    {SimOperation::SyncDir, FileKind::Copy, "snapshots"},
};

}  // namespace

std::string_view file_kind_name(FileKind kind) {
  static constexpr std::string_view kNames[] = {
      "log segment", "log spare",       "log folder",  "log bounds", "block", "blocks folder",
      "manifest",    "series snapshot", "data folder", "copy",       "other"};
  return kNames[static_cast<size_t>(kind)];
}

FileKind file_kind_of(SimOperation operation, std::string_view path) {
  const auto contains = [&](std::string_view text) {
    return path.find(text) != std::string_view::npos;
  };
  if (contains("snapshots")) return FileKind::Copy;
  const std::string_view name = path.substr(path.find_last_of('/') + 1);
  if (operation == SimOperation::SyncDir || operation == SimOperation::CreateDir) {
    if (name == "wal") return FileKind::LogFolder;
    return name == "blocks" ? FileKind::BlocksFolder : FileKind::DataFolder;
  }
  if (name == "wal") return FileKind::LogFolder;
  if (name == "blocks") return FileKind::BlocksFolder;
  if (path == "data") return FileKind::DataFolder;
  if (contains("wal.bounds")) return FileKind::LogBounds;
  if (contains("wal/")) {
    return name.starts_with("spare-") || name.ends_with(".tmp") ? FileKind::LogSpare
                                                                : FileKind::LogSegment;
  }
  if (name.ends_with(".block") || contains("blocks/")) return FileKind::Block;
  if (name.starts_with("manifest")) return FileKind::Manifest;
  if (name.starts_with("series_snapshot")) return FileKind::SeriesSnapshot;
  return FileKind::Other;
}

void CrashCoverage::count_operation(Operation operation, std::string_view path) {
  ++points[{operation, file_kind_of(operation, path)}].operations;
}

void CrashCoverage::count_fault(Operation operation, std::string_view path, Fault fault) {
  ++points[{operation, file_kind_of(operation, path)}].faults[static_cast<size_t>(fault)];
}

void CrashCoverage::add(const CrashCoverage& other) {
  for (const auto& [key, point] : other.points) {
    Point& mine = points[key];
    mine.operations += point.operations;
    for (size_t i = 0; i < mine.faults.size(); ++i) mine.faults[i] += point.faults[i];
  }
  for (const auto& [event, times] : other.events) events[event] += times;
}

uint64_t CrashCoverage::faults() const {
  uint64_t sum = 0;
  for (const auto& [key, point] : points) {
    for (const uint64_t times : point.faults) sum += times;
  }
  return sum;
}

std::string CrashCoverage::to_string() const {
  std::string text = fmt::format("{:<14} {:<16} {:>12} {:>10} {:>10} {:>10}\n", "operation", "on",
                                 "times", "no space", "i/o error", "power loss");
  for (const auto& [key, point] : points) {
    text += fmt::format("{:<14} {:<16} {:>12} {:>10} {:>10} {:>10}\n",
                        core::testing::sim_operation_name(key.first), file_kind_name(key.second),
                        point.operations, point.faults[0], point.faults[1], point.faults[2]);
  }
  for (const auto& [event, times] : events) text += fmt::format("{:<44} {:>12}\n", event, times);
  return text;
}

std::vector<std::string> CrashCoverage::gaps() const {
  std::vector<std::string> gaps;
  for (const Place& place : kPlaces) {
    const auto found = points.find({place.operation, place.kind});
    for (const SimFault fault : {SimFault::NoSpace, SimFault::Io, SimFault::PowerLoss}) {
      if (!may_fail_so(place.operation, fault)) continue;
      if (found != points.end() && found->second.faults[static_cast<size_t>(fault)] > 0) continue;
      gaps.push_back(fmt::format("{} at {} of {}", core::testing::sim_fault_name(fault),
                                 core::testing::sim_operation_name(place.operation),
                                 file_kind_name(place.kind)));
    }
  }
  return gaps;
}

SimFaultRule random_fault(core::Rng& rng) {
  const Place& place = kPlaces[rng.below(std::size(kPlaces))];
  SimFaultRule rule{.operation = place.operation,
                    .path_contains = std::string(place.path_contains),
                    .is_whole_path = place.is_whole_path,
                    .skip = rng.below(4)};
  do {
    rule.fault = static_cast<SimFault>(rng.below(core::testing::kSimFaultCount));
  } while (!may_fail_so(rule.operation.value(), rule.fault));
  // Of the manifest there is a copy: that both cannot be read is more than one fault.
  const bool may_last = rule.fault != SimFault::PowerLoss && rule.path_contains != "manifest";
  rule.lasts = may_last && rng.below(8) == 0;
  // Reads are tried again.
  if (rule.operation == SimOperation::Read) rule.times = 1 + rng.below(12);
  return rule;
}

}  // namespace tsdb::testing
