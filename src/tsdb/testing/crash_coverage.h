// What the crash simulator met: every operation on the disk by kind of file, and what went
// wrong there. A simulation proves something only where faults were.

#pragma once

#include "core/testing/sim_file_system.h"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace tsdb::testing {

enum class FileKind : uint8_t {
  LogSegment,
  LogSpare,  // spare and next segments
  LogFolder,
  LogBounds,
  Block,
  BlocksFolder,
  Manifest,
  SeriesSnapshot,
  DataFolder,
  Copy,  // all files and folders of snapshots
  Other,
};
inline constexpr size_t kFileKindCount = 11;
std::string_view file_kind_name(FileKind kind);
FileKind file_kind_of(core::testing::SimOperation operation, std::string_view path);

struct CrashCoverage {
  using Operation = core::testing::SimOperation;
  using Fault = core::testing::SimFault;
  struct Point {
    uint64_t operations = 0;
    std::array<uint64_t, core::testing::kSimFaultCount> faults{};
  };

  std::map<std::pair<Operation, FileKind>, Point> points;
  std::map<std::string, uint64_t> events;  // what else happened, by name

  void count_operation(Operation operation, std::string_view path);
  void count_fault(Operation operation, std::string_view path, Fault fault);
  void count(const std::string& event, uint64_t by = 1) { events[event] += by; }
  void add(const CrashCoverage& other);
  uint64_t faults() const;
  // Lines of a table.
  std::string to_string() const;
  // What a long run has to have met and did not.
  std::vector<std::string> gaps() const;
};

// Makes the disk fail at a random one of the places that matter.
core::testing::SimFaultRule random_fault(core::Rng& rng);

}  // namespace tsdb::testing
