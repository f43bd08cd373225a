// The mounts of /proc/1/mounts (all of the host's, also where this process sees fewer),
// asked by statfs(2).

#include "agent/collectors/mount_usage.h"
#include "agent/collectors/remote_statfs.h"
#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <algorithm>
#include <sys/statfs.h>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kSize = {"node_filesystem_size_bytes", MetricType::Gauge,
                              "Filesystem size in bytes."};
constexpr MetricInfo kFree = {"node_filesystem_free_bytes", MetricType::Gauge,
                              "Filesystem free space in bytes."};
constexpr MetricInfo kAvailable = {"node_filesystem_avail_bytes", MetricType::Gauge,
                                   "Filesystem space available to non-root users in bytes."};
constexpr MetricInfo kFiles = {"node_filesystem_files", MetricType::Gauge,
                               "Filesystem total file nodes."};
constexpr MetricInfo kFilesFree = {"node_filesystem_files_free", MetricType::Gauge,
                                   "Filesystem total free file nodes."};
constexpr MetricInfo kReadOnly = {"node_filesystem_readonly", MetricType::Gauge,
                                  "Filesystem read-only status."};
constexpr MetricInfo kError = {
    "node_filesystem_device_error", MetricType::Gauge,
    "Whether an error occurred while getting statistics for the given device."};

// Types that ask a server, or a process that may be stuck.
constexpr std::string_view kRemoteTypes[] = {"nfs",  "nfs4", "cifs",      "smb3",   "smbfs",
                                             "ceph", "9p",   "glusterfs", "lustre", "afs",
                                             "gfs2", "gpfs", "beegfs",    "ocfs2"};
// All remote mounts together may hold a round up for this long.
constexpr int64_t kPatienceMs = 200;

bool is_remote(std::string_view type) {
  return type.starts_with("fuse.") || type == "fuse" ||
         std::find(std::begin(kRemoteTypes), std::end(kRemoteTypes), type) !=
             std::end(kRemoteTypes);
}

// Blanks in paths are written as octal numbers: "\040".
std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const std::string_view digits = text.substr(i).substr(0, 4);
    const bool octal = digits.size() == 4 && digits[0] == '\\' &&
                       digits.find_first_not_of("01234567", 1) == digits.npos;
    if (octal) {
      out += static_cast<char>((digits[1] - '0') * 64 + (digits[2] - '0') * 8 + digits[3] - '0');
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool has_option(std::string_view options, std::string_view wanted) {
  while (!options.empty()) {
    const size_t end = std::min(options.find(','), options.size());
    if (options.substr(0, end) == wanted) return true;
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return false;
}

struct Mount {
  std::string device;
  std::string path;
  std::string type;
  bool read_only = false;
};

class FilesystemCollector final : public Collector {
 public:
  explicit FilesystemCollector(const Settings& settings)
      : roots_(settings.roots()),
        ignored_mounts_(settings.filter("filesystem.mount-points")),
        ignored_types_(settings.filter("filesystem.fs-types")),
        remote_statfs_(&read_mount_usage) {}

  std::string_view name() const override { return "filesystem"; }

  core::Result<void> collect(Output& out) override {
    if (!read_text(roots_.proc + "/1/mounts", text_)) {
      TRY(read_text(roots_.proc + "/self/mounts", text_));
    }
    std::vector<Mount> remote;
    std::vector<std::string> remote_paths;
    std::string_view rest = text_;
    while (!rest.empty()) {
      std::string_view line = take_line(rest);
      Mount mount;
      mount.device = unescaped(take_word(line));
      mount.path = unescaped(take_word(line));
      mount.type = take_word(line);
      mount.read_only = has_option(take_word(line), "ro");
      const bool ignored =
          ignored_types_.ignores(mount.type) || ignored_mounts_.ignores(mount.path);
      if (mount.path.empty() || ignored) continue;
      const std::string path = roots_.mounts_prefix + mount.path;
      if (is_remote(mount.type)) {
        remote_paths.push_back(path);
        remote.push_back(std::move(mount));
      } else {
        add(out, mount, read_mount_usage(path));
      }
    }
    const std::vector<MountUsage> usages = remote_statfs_.ask(remote_paths, kPatienceMs);
    for (size_t i = 0; i < remote.size(); ++i) add(out, remote[i], usages[i]);
    return {};
  }

 private:
  static void add(Output& out, const Mount& mount, const MountUsage& usage) {
    const LabelPair labels[] = {
        {"device", mount.device}, {"mountpoint", mount.path}, {"fstype", mount.type}};
    out.add(kError, labels, usage.failed ? 1 : 0);
    if (usage.failed) return;
    out.add(kSize, labels, usage.size_bytes);
    out.add(kFree, labels, usage.free_bytes);
    out.add(kAvailable, labels, usage.available_bytes);
    out.add(kFiles, labels, usage.files);
    out.add(kFilesFree, labels, usage.files_free);
    out.add(kReadOnly, labels, mount.read_only ? 1 : 0);
  }

  const Roots roots_;
  const DeviceFilter ignored_mounts_;
  const DeviceFilter ignored_types_;
  RemoteStatfs remote_statfs_;
  std::string text_;
};

}  // namespace

MountUsage read_mount_usage(const std::string& mount_point) {
  struct statfs kernel{};
  if (::statfs(mount_point.c_str(), &kernel) != 0) return {.failed = true};
  const auto block_size = static_cast<double>(kernel.f_bsize);
  return {.failed = false,
          .size_bytes = static_cast<double>(kernel.f_blocks) * block_size,
          .free_bytes = static_cast<double>(kernel.f_bfree) * block_size,
          .available_bytes = static_cast<double>(kernel.f_bavail) * block_size,
          .files = static_cast<double>(kernel.f_files),
          .files_free = static_cast<double>(kernel.f_ffree)};
}

std::unique_ptr<Collector> make_filesystem_collector(const Settings& settings) {
  return std::make_unique<FilesystemCollector>(settings);
}

}  // namespace agent
