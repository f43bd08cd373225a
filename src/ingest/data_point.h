// What the JSON and the line form share: text to times, values and label bytes.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingest {

// Seconds, as text, to milliseconds (floor); a whole number from 1e11 on is taken for
// milliseconds, from 1e14 for microseconds, from 1e17 for nanoseconds, because clients
// mix these up and no sample is from the year 5138.
core::Result<int64_t> parse_point_time(std::string_view text);
int64_t point_time_of(int64_t number);
core::Result<int64_t> point_time_of(double seconds);

// A number as Prometheus's text format takes it: decimal, exponent, NaN, [+-]Inf; the
// words in any case.
core::Result<double> parse_point_value(std::string_view text);

using PointLabels = std::vector<std::pair<std::string_view, std::string_view>>;

// Splits "k:v,k:v" (separator ':') or "k=v,k=v" at the first separator of each pair.
// Blanks around pairs and keys are dropped; the error names the pair.
core::Result<void> split_labels(std::string_view text, char separator, PointLabels& labels);

// Canonical label bytes of a point. `labels` is sorted by name; empty values are dropped.
// Gives what is wrong with names, repeats or UTF-8, "" when nothing is.
std::string encode_labels(std::string_view metric, PointLabels& labels, std::string& bytes);

}  // namespace ingest
