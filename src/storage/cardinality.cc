#include "storage/cardinality.h"

namespace storage {

namespace {
constexpr char kBetween = '\xff';  // never part of UTF-8
}  // namespace

std::string target_name(std::string_view job, std::string_view instance) {
  std::string name;
  name.reserve(job.size() + 1 + instance.size());
  append_target_name(name, job, instance);
  return name;
}

void append_target_name(std::string& out, std::string_view job, std::string_view instance) {
  out.append(job).append(1, kBetween).append(instance);
}

std::pair<std::string_view, std::string_view> split_target_name(std::string_view name) {
  const size_t at = name.find(kBetween);
  if (at == std::string_view::npos) return {name, {}};
  return {name.substr(0, at), name.substr(at + 1)};
}

}  // namespace storage
