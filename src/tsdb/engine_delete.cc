#include "tsdb/engine_impl.h"

namespace tsdb {

using core::ErrorCode;
using core::Result;

Result<void> Engine::delete_series(const DeleteRequest& /*request*/) {
  TRY(impl_->check_ready());
  return core::fail(ErrorCode::Unsupported, "deleting series: not built yet");
}

}  // namespace tsdb
