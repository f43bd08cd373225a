// --collector.textfile.directory: files *.prom in the text format, which other programs
// write (to a temporary name, renamed when it is whole).
//
// A file with an error, with timestamps, or with a metric another file has under another
// help gives nothing but node_textfile_scrape_error 1.

#include "agent/collectors/table.h"
#include "agent/text_source.h"
#include "core/log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <glob.h>
#include <map>
#include <sys/stat.h>
#include <unistd.h>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kError = {"node_textfile_scrape_error", MetricType::Gauge,
                               "1 if there was an error opening or reading a file, 0 otherwise"};
constexpr MetricInfo kModified = {"node_textfile_mtime_seconds", MetricType::Gauge,
                                  "Unixtime mtime of textfiles successfully read."};
constexpr std::string_view kComponent = "textfile";

struct File {
  TextMetrics metrics;
  double modified_seconds = 0;
};

constexpr off_t kFileSizeMax = off_t{64} << 20;

struct Descriptor {
  ~Descriptor() {
    if (number >= 0) ::close(number);
  }
  const int number;
};

// Of these folders anybody's programs write to: a pipe must not hold the collector up.
core::Result<std::string> read_regular(const std::string& path, struct stat& status) {
  const auto failed = [&path](std::string_view what) {
    return core::fail(core::ErrorCode::Io, "{} {}: {}", what, path, std::strerror(errno));
  };
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.number < 0) return failed("open");
  if (::fstat(file.number, &status) != 0) return failed("stat");
  if (!S_ISREG(status.st_mode)) {
    return core::fail(core::ErrorCode::InvalidArgument, "{}: not a regular file", path);
  }
  if (status.st_size > kFileSizeMax) {
    return core::fail(core::ErrorCode::TooLarge, "{}: {} bytes, at most {} are read", path,
                      status.st_size, kFileSizeMax);
  }
  std::string text(static_cast<size_t>(status.st_size), '\0');
  size_t used = 0;
  while (used < text.size()) {
    const ssize_t got = ::read(file.number, text.data() + used, text.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read");
    if (got == 0) break;
    used += static_cast<size_t>(got);
  }
  text.resize(used);
  return text;
}

core::Result<File> read_file(const std::string& path) {
  File file;
  struct stat status{};
  const std::string text = TRY(read_regular(path, status));
  file.modified_seconds = static_cast<double>(status.st_mtim.tv_sec) +
                          static_cast<double>(status.st_mtim.tv_nsec) * 1e-9;
  file.metrics = TRY(parse_text_metrics(text).context("{}", path));
  return file;
}

// Folders, or patterns of such, separated by commas.
std::vector<std::string> find_files(std::string_view folders) {
  std::vector<std::string> files;
  while (!folders.empty()) {
    const std::string_view folder = folders.substr(0, folders.find(','));
    folders.remove_prefix(std::min(folder.size() + 1, folders.size()));
    if (folder.empty()) continue;
    glob_t found{};
    if (::glob((std::string(folder) + "/*.prom").c_str(), 0, nullptr, &found) == 0) {
      files.insert(files.end(), found.gl_pathv, found.gl_pathv + found.gl_pathc);
    }
    ::globfree(&found);
  }
  return files;
}

class TextfileCollector final : public Collector {
 public:
  explicit TextfileCollector(const Settings& settings)
      : folders_(settings.text("textfile.directory")) {}

  std::string_view name() const override { return "textfile"; }

  core::Result<void> collect(Output& out) override {
    std::map<std::string, std::string> helps;  // of all files
    std::map<std::string, std::string> failing;
    for (const std::string& path : find_files(folders_)) {
      core::Result<File> file = read_file(path);
      if (file) file = check_helps(path, std::move(*file), helps);
      if (!file) {
        failing[path] = file.error().message;
      } else {
        add_text_metrics(out, file->metrics, "Metric read from " + path);
        out.add(kModified, {{"file", path}}, file->modified_seconds);
      }
    }
    out.add(kError, failing.empty() ? 0 : 1);
    for (const auto& [path, message] : failing) {
      if (failing_[path] == message) continue;
      core::log_warn(kComponent, "this file is not read", {{"err", message}});
    }
    failing_ = std::move(failing);
    return {};
  }

 private:
  static core::Result<File> check_helps(const std::string& path, File file,
                                        std::map<std::string, std::string>& helps) {
    for (const auto& [name, family] : file.metrics.families) {
      const auto at = helps.find(name);
      if (at == helps.end() || at->second == family.help) continue;
      return core::fail(core::ErrorCode::InvalidArgument,
                        "{}: help of {} is \"{}\" here and \"{}\" in another file", path, name,
                        family.help, at->second);
    }
    for (const auto& [name, family] : file.metrics.families) helps[name] = family.help;
    return file;
  }

  const std::string folders_;
  std::map<std::string, std::string> failing_;  // by file, the error of the last round
};

}  // namespace

std::unique_ptr<Collector> make_textfile_collector(const Settings& settings) {
  return std::make_unique<TextfileCollector>(settings);
}

}  // namespace agent
