#include "app/import_progress.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fmt/core.h>

namespace app {
namespace {

constexpr int64_t kTerminalPeriodNs = 200'000'000;
constexpr int64_t kLinePeriodNs = 2'000'000'000;
// An estimate from the first moments would jump about.
constexpr double kEstimateAfterSeconds = 0.5;
constexpr size_t kBarWidth = 30;

std::string format_eta(double seconds) {
  const auto all = static_cast<int64_t>(seconds + 0.5);
  return fmt::format("{:02}:{:02}:{:02}", all / 3600, all / 60 % 60, all % 60);
}

}  // namespace

std::string format_bytes(uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string format_count(double count) {
  if (count >= 1e9) return fmt::format("{:.2f} G", count / 1e9);
  if (count >= 1e6) return fmt::format("{:.2f} M", count / 1e6);
  if (count >= 1e4) return fmt::format("{:.1f} k", count / 1e3);
  return fmt::format("{:.0f}", count);
}

ImportProgress::ImportProgress(const core::Clock& clock, bool is_terminal)
    : clock_(clock), is_terminal_(is_terminal) {}

ImportProgress::~ImportProgress() {
  if (is_terminal_ && is_shown_) std::fputs("\n", stderr);
}

void ImportProgress::begin(uint64_t total_bytes, uint64_t done_bytes) {
  total_bytes_ = total_bytes;
  done_bytes_ = done_bytes;
  started_ns_ = clock_.monotonic_ns();
}

std::string ImportProgress::line(uint64_t bytes, uint64_t samples) const {
  const double seconds = static_cast<double>(clock_.monotonic_ns() - started_ns_) / 1e9;
  const uint64_t done = std::min(done_bytes_ + bytes, total_bytes_);
  const double share =
      total_bytes_ == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total_bytes_);
  const double rate = seconds > 0 ? static_cast<double>(bytes) / seconds : 0;
  std::string eta = "--:--:--";
  if (seconds > kEstimateAfterSeconds && rate > 0) {
    eta = format_eta(static_cast<double>(total_bytes_ - done) / rate);
  }
  std::string text;
  if (is_terminal_) {
    const auto filled = static_cast<size_t>(share * kBarWidth);
    text = "[" + std::string(filled, '#') + std::string(kBarWidth - filled, '-') + "] ";
  }
  return text + fmt::format("{:5.1f}% of {}  {:.1f} MB/s  {} samples/s  ETA {}  {}", share * 100,
                            format_bytes(total_bytes_), rate / 1e6,
                            format_count(seconds > 0 ? static_cast<double>(samples) / seconds : 0),
                            eta, phase_);
}

void ImportProgress::update(uint64_t bytes, uint64_t samples) {
  bytes_ = bytes;
  samples_ = samples;
  const int64_t now_ns = clock_.monotonic_ns();
  if (now_ns - printed_ns_ < (is_terminal_ ? kTerminalPeriodNs : kLinePeriodNs)) return;
  printed_ns_ = now_ns;
  is_shown_ = true;
  std::fputs(((is_terminal_ ? "\r" : "") + line(bytes, samples) + (is_terminal_ ? "\033[K" : "\n"))
                 .c_str(),
             stderr);
  std::fflush(stderr);
}

void ImportProgress::finish() {
  done_bytes_ = total_bytes_ - std::min(total_bytes_, bytes_);
  phase_ = "done";
  printed_ns_ = 0;
  update(bytes_, samples_);
}

}  // namespace app
