// Why no samples are taken, one gauge for each reason.

#pragma once

#include "core/metrics.h"

#include <string>
#include <string_view>

namespace tsdb {

inline core::Gauge& read_only_gauge(std::string_view reason) {
  return core::gauge("petrel_tsdb_read_only",
                     "1 while the storage takes no samples for this reason; reads go on.",
                     {{"reason", std::string(reason)}});
}

}  // namespace tsdb
