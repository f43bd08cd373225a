// Any bytes as a series snapshot: damage is passed over, and the end is always reached.

#include "tsdb/series_snapshot.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace {

class Bytes final : public core::File {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}
  core::Result<void> write_at(uint64_t, std::string_view) override { return {}; }
  core::Result<std::string> read_at(uint64_t offset, size_t size) const override {
    if (offset > bytes_.size()) return std::string();
    return std::string(bytes_.substr(offset, size));
  }
  core::Result<void> sync() override { return {}; }
  core::Result<void> truncate(uint64_t) override { return {}; }
  core::Result<uint64_t> size() const override { return bytes_.size(); }
  core::Result<void> allocate(uint64_t) override { return {}; }
  void advise(core::FileUse) const override {}

 private:
  const std::string_view bytes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Bytes file({reinterpret_cast<const char*>(data), size});
  tsdb::SeriesSnapshotVisitor visitor;
  visitor.series = [](std::string_view, uint64_t, std::string_view) {};
  visitor.metadata = [](std::string_view, const model::Metadata&) {};
  visitor.exemplar = [](std::string_view, std::string_view, const model::Exemplar&) {};
  const auto damage = tsdb::read_series_snapshot(file, visitor);
  if (damage) {
    for (const tsdb::SnapshotDamage& one : *damage) ENSURE(one.offset <= size + 8);
  }
  return 0;
}
