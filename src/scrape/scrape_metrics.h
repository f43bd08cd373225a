// Petrel's own metrics of scraping: Prometheus's names with prefix petrel_, and those of
// the slots.

#pragma once

#include "core/metrics.h"

namespace scrape {

struct ScrapeMetrics {
  core::Counter& exceeded_sample_limit;
  core::Counter& exceeded_body_size_limit;
  core::Counter& exceeded_bucket_limit;
  core::Counter& exceeded_target_limit;
  core::Counter& exceeded_label_limits;
  core::Counter& duplicate_timestamp;
  core::Counter& out_of_bounds;
  core::Counter& out_of_order;
  core::Counter& cache_flush_forced;
  core::Counter& pools;
  core::Counter& pools_failed;
  core::Counter& pool_reloads;
  core::Counter& pool_reloads_failed;
  core::Counter& scrapes;
  core::Counter& scrapes_failed;
  core::Counter& samples;
  core::Counter& body_bytes;
  core::Counter& retries;
  core::Counter& slots_late;
  core::Counter& slots_skipped;
  core::Counter& bodies_discarded;
  core::Counter& batches_dropped;
  core::Counter& samples_dropped;
  core::Counter& write_retries;
  core::Gauge& in_flight;
  core::Gauge& slow_lane;
  core::Gauge& waiting_bytes;
  core::Gauge& unwritten_samples;
  core::Gauge& cache_bytes;
  core::Gauge& cache_series;
};

ScrapeMetrics& scrape_metrics();

}  // namespace scrape
