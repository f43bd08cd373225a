// From the window of a replay into the series of the head, on two threads when there is much.

#include "core/mutation.h"
#include "tsdb/head.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace tsdb {

namespace {

// Below it a thread costs more than it saves.
constexpr size_t kTwoThreadsBytesMin = 1U << 20U;

}  // namespace

void Head::apply_waiting() {
  const std::lock_guard write(write_mutex_);
  const std::lock_guard data(data_mutex_);
  if (window_.empty()) return;
  std::atomic<size_t> next = 0;
  std::mutex settling;
  const auto work_off = [&] {
    ReplayWindow::Columns columns;
    FloatWork work;
    for (size_t group = next++; group < window_.group_count(); group = next++) {
      apply_group(group, columns, work);
      const std::lock_guard lock(settling);
      settle(work);
    }
  };
  // Groups have no series in common, and nobody else sees the series yet.
  if (window_.size_bytes() >= kTwoThreadsBytesMin) {
    std::thread second(work_off);
    work_off();
    second.join();
  } else {
    work_off();
  }
  window_.clear();
}

void Head::apply_group(size_t group, ReplayWindow::Columns& columns, FloatWork& work) {
  const SeriesRef first = window_.collect(group, columns);
  const auto prefetch = [&](size_t i) {
    if (i < columns.ends.size() && columns.begin_of(i) != columns.ends[i]) {
      series_.prefetch(first + static_cast<SeriesRef>(i));
    }
  };
  const auto prefetch_open = [&](size_t i) {
    if (i < columns.ends.size() && columns.begin_of(i) != columns.ends[i]) {
      series_.at(first + static_cast<SeriesRef>(i)).open.prefetch();
    }
  };
  for (size_t i = 0; i < columns.ends.size(); ++i) {
    prefetch(i + kPrefetchAhead);
    prefetch_open(i + kPrefetchAhead / 2);
    const uint32_t end = columns.ends[i];
    if (columns.begin_of(i) == end) continue;
    const uint32_t begin = columns.begin_of(i);
    const SeriesRef ref = first + static_cast<SeriesRef>(i);
    apply_run(series_.at(ref), ref, std::span(columns.times_ms).subspan(begin, end - begin),
              std::span(columns.values).subspan(begin, end - begin), work);
  }
}

// As apply_float() for one after the other, but for those that an earlier record has brought.
void Head::apply_run(Series& series, SeriesRef ref, std::span<const int64_t> times_ms,
                     std::span<const double> values, FloatWork& work) {
  for (size_t at = 0; at < times_ms.size();) {
    if (times_ms[at] <= series.last_time_ms) {
      const bool is_known = find_float(series, times_ms[at], work).has_value();
      if (!is_known || PETREL_MUTATED("window-keeps-duplicates")) {
        apply_float(series, ref, {times_ms[at], values[at]}, work);
      }
      ++at;
      continue;
    }
    size_t end = at + 1;
    while (end < times_ms.size() && times_ms[end] > times_ms[end - 1]) ++end;
    while (at < end) {
      if (series.open.size() >= open_size_max(series, ref) || !series.open.fits(times_ms[at])) {
        at += seal(series, work, times_ms.subspan(at, end - at), values.subspan(at, end - at));
      }
      const size_t room = open_size_max(series, ref) - series.open.size();
      at += series.open.add_run(&times_ms[at], &values[at], std::min(room, end - at));
      series.last_time_ms = times_ms[at - 1];
      series.last_value = values[at - 1];
    }
  }
}

}  // namespace tsdb
