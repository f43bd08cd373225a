// The procedures of NFS in the order of the counters in /proc/net/rpc/{nfs,nfsd}, by
// node_exporter's names.

#pragma once

#include "agent/collector.h"
#include "agent/text_file.h"

#include <span>
#include <string_view>
#include <vector>

namespace agent {

inline constexpr std::string_view kNfsCalls2[] = {
    "Null",   "GetAttr", "SetAttr", "Root", "Lookup",  "ReadLink", "Read",  "WrCache", "Write",
    "Create", "Remove",  "Rename",  "Link", "SymLink", "MkDir",    "RmDir", "ReadDir", "FsStat"};
inline constexpr std::string_view kNfsCalls3[] = {
    "Null",    "GetAttr",     "SetAttr", "Lookup", "Access",   "ReadLink", "Read",   "Write",
    "Create",  "MkDir",       "SymLink", "MkNod",  "Remove",   "RmDir",    "Rename", "Link",
    "ReadDir", "ReadDirPlus", "FsStat",  "FsInfo", "PathConf", "Commit"};
inline constexpr std::string_view kNfsClientCalls4[] = {"Null",
                                                        "Read",
                                                        "Write",
                                                        "Commit",
                                                        "Open",
                                                        "OpenConfirm",
                                                        "OpenNoattr",
                                                        "OpenDowngrade",
                                                        "Close",
                                                        "Setattr",
                                                        "FsInfo",
                                                        "Renew",
                                                        "SetClientID",
                                                        "SetClientIDConfirm",
                                                        "Lock",
                                                        "Lockt",
                                                        "Locku",
                                                        "Access",
                                                        "Getattr",
                                                        "Lookup",
                                                        "LookupRoot",
                                                        "Remove",
                                                        "Rename",
                                                        "Link",
                                                        "Symlink",
                                                        "Create",
                                                        "Pathconf",
                                                        "StatFs",
                                                        "ReadLink",
                                                        "ReadDir",
                                                        "ServerCaps",
                                                        "DelegReturn",
                                                        "GetACL",
                                                        "SetACL",
                                                        "FsLocations",
                                                        "ReleaseLockowner",
                                                        "Secinfo",
                                                        "FsidPresent",
                                                        "ExchangeID",
                                                        "CreateSession",
                                                        "DestroySession",
                                                        "Sequence",
                                                        "GetLeaseTime",
                                                        "ReclaimComplete",
                                                        "LayoutGet",
                                                        "GetDeviceInfo",
                                                        "LayoutCommit",
                                                        "LayoutReturn",
                                                        "SecinfoNoName",
                                                        "TestStateID",
                                                        "FreeStateID",
                                                        "GetDeviceList",
                                                        "BindConnToSession",
                                                        "DestroyClientID",
                                                        "Seek",
                                                        "Allocate",
                                                        "DeAllocate",
                                                        "LayoutStats",
                                                        "Clone"};
// "": a number that stands for no operation.
inline constexpr std::string_view kNfsServerCalls4[] = {"",
                                                        "",
                                                        "",
                                                        "Access",
                                                        "Close",
                                                        "Commit",
                                                        "Create",
                                                        "DelegPurge",
                                                        "DelegReturn",
                                                        "GetAttr",
                                                        "GetFH",
                                                        "Link",
                                                        "Lock",
                                                        "Lockt",
                                                        "Locku",
                                                        "Lookup",
                                                        "LookupRoot",
                                                        "Nverify",
                                                        "Open",
                                                        "OpenAttr",
                                                        "OpenConfirm",
                                                        "OpenDgrd",
                                                        "PutFH",
                                                        "",
                                                        "",
                                                        "Read",
                                                        "ReadDir",
                                                        "ReadLink",
                                                        "Remove",
                                                        "Rename",
                                                        "Renew",
                                                        "RestoreFH",
                                                        "SaveFH",
                                                        "SecInfo",
                                                        "SetAttr",
                                                        "Verify",
                                                        "Write",
                                                        "RelLockOwner"};

inline std::vector<double> take_numbers(std::string_view line) {
  std::vector<double> values;
  for (std::string_view word = take_word(line); !word.empty(); word = take_word(line)) {
    values.push_back(to_number(word).value_or(0));
  }
  return values;
}

// `values` begins with their count. `first` skips procedures.
inline void add_nfs_calls(Output& out, const MetricInfo& metric, std::string_view version,
                          std::span<const std::string_view> names,
                          const std::vector<double>& values, size_t first = 0) {
  for (size_t i = first; i < names.size() && i + 1 < values.size(); ++i) {
    if (names[i].empty()) continue;
    out.add(metric, {{"proto", version}, {"method", names[i]}}, values[i + 1]);
  }
}

}  // namespace agent
