// A value that must not be shown: copied, compared and used; never printed.

#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace core {

// What takes the place of a secret wherever configuration is shown.
inline constexpr std::string_view kHiddenSecret = "<secret>";

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  bool operator==(const Secret&) const = default;

 private:
  std::string value_;
};

// A secret that stands in the configuration, or the file that holds it: read again
// before each use, so that a rotated one is taken up.
struct SecretSource {
  Secret value;
  std::string file;

  bool empty() const { return value.empty() && file.empty(); }
  bool operator==(const SecretSource&) const = default;
};

}  // namespace core
