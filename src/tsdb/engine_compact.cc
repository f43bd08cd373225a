#include "tsdb/engine_impl.h"

namespace tsdb {

using core::ErrorCode;
using core::Result;

Result<CompactReport> Engine::compact(uint32_t /*steps*/) {
  TRY(impl_->check_ready());
  return core::fail(ErrorCode::Unsupported, "merging blocks: not built yet");
}

Result<CompactReport> Engine::clean_tombstones() {
  TRY(impl_->check_ready());
  return core::fail(ErrorCode::Unsupported, "merging blocks: not built yet");
}

}  // namespace tsdb
