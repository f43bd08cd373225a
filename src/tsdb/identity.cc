#include "tsdb/identity.h"

#include <xxhash.h>

namespace tsdb {

IdentityHasher::IdentityHasher(core::Rng& rng) {
  static_assert(sizeof(secret_) >= XXH3_SECRET_SIZE_MIN);
  for (uint64_t& word : secret_) word = rng.next();
}

Identity IdentityHasher::operator()(std::string_view bytes) const {
  const XXH128_hash_t hash =
      XXH3_128bits_withSecret(bytes.data(), bytes.size(), secret_.data(), sizeof(secret_));
  return {hash.low64, hash.high64};
}

}  // namespace tsdb
