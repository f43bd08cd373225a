#include "scrape/scrape_metrics.h"

namespace scrape {

using core::counter;
using core::gauge;

ScrapeMetrics& scrape_metrics() {
  static ScrapeMetrics metrics{
      .exceeded_sample_limit = counter("petrel_target_scrapes_exceeded_sample_limit_total",
                                       "Scrapes that failed because they hit sample_limit."),
      .exceeded_body_size_limit = counter("petrel_target_scrapes_exceeded_body_size_limit_total",
                                          "Scrapes that failed because they hit body_size_limit."),
      .exceeded_bucket_limit =
          counter("petrel_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                  "Scrapes that failed because they hit native_histogram_bucket_limit."),
      .exceeded_target_limit = counter("petrel_target_scrape_pool_exceeded_target_limit_total",
                                       "Times a pool had more targets than target_limit."),
      .exceeded_label_limits =
          counter("petrel_target_scrape_pool_exceeded_label_limits_total",
                  "Scrapes that failed because they hit one of the label limits."),
      .duplicate_timestamp =
          counter("petrel_target_scrapes_sample_duplicate_timestamp_total",
                  "Scraped samples refused: the series has another value for the same time."),
      .out_of_bounds = counter("petrel_target_scrapes_sample_out_of_bounds_total",
                               "Scraped samples refused: too old or too far ahead."),
      .out_of_order = counter("petrel_target_scrapes_sample_out_of_order_total",
                              "Scraped samples refused: older than their series."),
      .cache_flush_forced =
          counter("petrel_target_scrapes_cache_flush_forced_total",
                  "Times known series were forgotten because failing scrapes brought new ones."),
      .pools = counter("petrel_target_scrape_pools_total", "Scrape pools that were to be created."),
      .pools_failed = counter("petrel_target_scrape_pools_failed_total",
                              "Scrape pools that could not be created."),
      .pool_reloads = counter("petrel_target_scrape_pool_reloads_total",
                              "Scrape pools that were to take over a new configuration."),
      .pool_reloads_failed = counter("petrel_target_scrape_pool_reloads_failed_total",
                                     "Scrape pools that could not take over a new configuration."),
      .scrapes = counter("petrel_scrapes_total", "Scrapes that ended, well or not."),
      .scrapes_failed = counter("petrel_scrapes_failed_total", "Scrapes that failed: up is 0."),
      .samples = counter("petrel_scrape_samples_total", "Samples in scraped bodies."),
      .body_bytes = counter("petrel_scrape_body_bytes_total", "Scraped bytes, after gzip."),
      .retries = counter("petrel_scrape_retries_total", "Scrapes repeated within their slot."),
      .slots_late = counter("petrel_scrape_slot_late_total",
                            "Scrapes begun later than a tenth of the interval."),
      .slots_skipped =
          counter("petrel_scrape_slots_skipped_total", "Slots that passed without a scrape."),
      .bodies_discarded =
          counter("petrel_scrape_bodies_discarded_total",
                  "Bodies discarded because too many bytes waited to be stored; up is 0."),
      .batches_dropped = counter("petrel_scrape_write_batches_dropped_total",
                                 "Batches of scrapes dropped: storage was away for too long."),
      .samples_dropped = counter("petrel_scrape_write_samples_dropped_total",
                                 "Samples in dropped batches of scrapes."),
      .write_retries = counter("petrel_scrape_write_retries_total",
                               "Writes of scraped samples that failed and are repeated."),
      .in_flight = gauge("petrel_scrape_in_flight", "Scrapes that were begun and are not stored."),
      .slow_lane =
          gauge("petrel_scrape_slow_lane_targets", "Targets that timed out three times in a row."),
      .waiting_bytes =
          gauge("petrel_scrape_waiting_bytes", "Bytes of bodies that wait to be stored."),
      .unwritten_samples = gauge("petrel_scrape_unwritten_samples",
                                 "Samples kept because storage did not take them yet."),
      .cache_bytes = gauge("petrel_scrape_cache_bytes", "Memory of the known series of targets."),
      .cache_series = gauge("petrel_scrape_cache_series", "Known series of all targets."),
  };
  return metrics;
}

}  // namespace scrape
