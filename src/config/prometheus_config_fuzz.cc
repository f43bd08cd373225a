// A configuration of any bytes is read or refused; what is shown of one is one.

#include "config/prometheus_config.h"
#include "core/result.h"

#include <cstddef>
#include <cstdint>

namespace {

// No files: scrape_config_files would read the host's.
class NoFiles final : public core::FileSystem {
 public:
  core::Result<std::unique_ptr<core::File>> open(const std::string& path,
                                                 core::OpenMode /*mode*/) override {
    return none(path);
  }
  core::Result<std::vector<std::string>> list(const std::string& dir) override { return none(dir); }
  core::Result<void> create_dirs(const std::string& dir) override { return none(dir); }
  core::Result<void> rename(const std::string& from, const std::string& /*to*/) override {
    return none(from);
  }
  core::Result<void> link(const std::string& from, const std::string& /*to*/) override {
    return none(from);
  }
  core::Result<void> remove(const std::string& path) override { return none(path); }
  core::Result<void> remove_all(const std::string& path) override { return none(path); }
  core::Result<void> sync_dir(const std::string& dir) override { return none(dir); }
  bool exists(const std::string& /*path*/) override { return false; }
  core::Result<std::unique_ptr<core::FileLock>> lock(const std::string& path) override {
    return none(path);
  }
  core::Result<core::DiskSpace> disk_space(const std::string& path) override { return none(path); }

 private:
  static tl::unexpected<core::Error> none(const std::string& path) {
    return core::fail(core::ErrorCode::NotFound, "{}: there are no files here", path);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static NoFiles files;
  const config::ReadContext context{
      files, [](const std::string& name) { return name == "SET" ? "value" : ""; }};
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = config::parse_prometheus_config(text, "f.yml", context);
  if (!config) {
    ENSURE(config.error().message.starts_with("f.yml"));
    return 0;
  }
  constexpr size_t kKeySizeMax = 1000;  // longer ones are not read as keys again
  if (size > kKeySizeMax) return 0;
  const auto again = config::parse_prometheus_config(config->effective_yaml, "f.yml", context);
  ENSURE(again.has_value());
  return 0;
}
