#include "rules/outbox.h"

#include "alertstore/alert_event.h"

namespace rules {

core::Result<std::string> Outbox::next_key() {
  const std::lock_guard lock(mutex_);
  if (!next_) {
    constexpr size_t kPage = 1000;
    uint64_t last = 0;
    std::string after;
    for (;;) {
      const auto rows = TRY(store_.scan(alertstore::outbox_prefix(tenant_), kPage, after));
      if (rows.empty()) break;
      after = rows.back().first;
      last = TRY(alertstore::outbox_sequence(after));
    }
    next_ = last + 1;
  }
  return alertstore::outbox_key(tenant_, (*next_)++);
}

}  // namespace rules
