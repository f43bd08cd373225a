#include "api/http_status.h"

namespace api {

HttpStatus http_status(core::ErrorCode code) {
  using core::ErrorCode;
  switch (code) {
    case ErrorCode::InvalidArgument:
      return {400, "bad_data"};
    case ErrorCode::NotFound:
      return {404, "not_found"};
    case ErrorCode::LimitExceeded:
      return {422, "execution"};  // as Prometheus answers "too many samples"
    case ErrorCode::Timeout:
      return {503, "timeout"};
    case ErrorCode::Cancelled:
      return {499, "canceled"};
    case ErrorCode::Unavailable:
      return {503, "unavailable"};
    case ErrorCode::Unauthenticated:
      return {401, "unauthenticated"};
    case ErrorCode::PermissionDenied:
      return {403, "permission_denied"};
    case ErrorCode::Conflict:
      return {409, "conflict"};
    case ErrorCode::TooLarge:
      return {413, "too_large"};
    case ErrorCode::Unsupported:
      return {501, "not_implemented"};
    case ErrorCode::Corruption:
    case ErrorCode::Io:
    case ErrorCode::Internal:
      break;
  }
  return {500, "internal"};
}

}  // namespace api
