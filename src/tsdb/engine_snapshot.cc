#include "tsdb/engine_impl.h"

namespace tsdb {

using core::ErrorCode;
using core::Result;

Result<std::string> Engine::snapshot(bool /*skip_head*/) {
  TRY(impl_->check_ready());
  return core::fail(ErrorCode::Unsupported, "snapshots: not built yet");
}

}  // namespace tsdb
