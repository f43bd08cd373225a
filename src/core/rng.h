// The Rng seam: every random choice comes from one of these, so that a printed
// seed replays a run.

#pragma once

#include <cstdint>

namespace core {

class Rng {
 public:
  virtual ~Rng() = default;
  virtual uint64_t next() = 0;

  // Uniform in [0, bound); bound > 0. The modulo bias is below 2^-32 for the
  // small bounds this is used with.
  uint64_t below(uint64_t bound) { return next() % bound; }
  // Uniform in [0, 1).
  double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
};

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). Confined to one thread.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(uint64_t seed) : state_(seed) {}
  uint64_t next() override {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

// The kernel's generator; for secrets and for seeding. Thread-safe.
class SystemRng final : public Rng {
 public:
  uint64_t next() override;
};

}  // namespace core
