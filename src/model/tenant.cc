#include "model/tenant.h"

#include <algorithm>

namespace model {

bool is_valid_tenant(std::string_view id) {
  constexpr size_t kSizeMax = 150;
  static constexpr std::string_view kPunctuation = "!_.*'()-";
  if (id.empty() || id.size() > kSizeMax || id == "." || id == "..") return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kPunctuation.find(c) != std::string_view::npos;
  });
}

}  // namespace model
