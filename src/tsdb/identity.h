// The identity of a series: a keyed 128-bit hash of its canonical label bytes.
//
// Keyed, so that nobody can craft labels that collide; 128 bits, so that two sets of
// ten million series collide with probability 1e-24 and labels need not be compared.

#pragma once

#include "core/rng.h"

#include <array>
#include <cstdint>
#include <string_view>

namespace tsdb {

struct Identity {
  uint64_t low = 0;
  uint64_t high = 0;

  bool operator==(const Identity&) const = default;
};

// The bits of a keyed hash are one already.
struct IdentityHash {
  size_t operator()(const Identity& id) const { return id.low; }
};

// Immutable after construction, thread-safe. The key lives as long as the process:
// identities never reach the disk.
class IdentityHasher {
 public:
  explicit IdentityHasher(core::Rng& rng);
  Identity operator()(std::string_view bytes) const;

 private:
  std::array<uint64_t, 24> secret_;
};

}  // namespace tsdb
