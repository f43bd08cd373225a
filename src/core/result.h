// Result<T>: a value, or the Error that explains why there is none.
//
// Every fallible function returns Result. Exceptions stay inside the .cc file
// that talks to a throwing library; they never cross a folder's headers.

#pragma once

#include <fmt/core.h>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace core {

// What the caller can do about it. Mapped once to HTTP (api/http_status.cc);
// nobody else switches on it.
enum class ErrorCode {
  InvalidArgument,  // the request is wrong and will stay wrong
  NotFound,
  LimitExceeded,  // a tenant or query limit; retry later or ask for less
  Timeout,
  Cancelled,
  Unavailable,  // a dependency is down; retry
  Corruption,   // bytes on disk are not what we wrote
  Io,
  Unauthenticated,
  PermissionDenied,
  Conflict,  // the thing exists already, or was changed by another
  TooLarge,
  Unsupported,  // valid, but not built yet
  Internal,
};

struct Error {
  ErrorCode code = ErrorCode::Internal;
  std::string message;
};

template <typename... Args>
[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format,
                                         Args&&... args) {
  return tl::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// [[nodiscard]] is why this is a class: tl::expected lets a dropped error pass.
template <typename T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;

  // Says what was being attempted: "replay segment 7: bad checksum at 4096".
  // Formats only on failure.
  template <typename... Args>
  Result context(fmt::format_string<Args...> format, Args&&... args) && {
    if (!this->has_value()) {
      std::string what = fmt::format(format, std::forward<Args>(args)...);
      this->error().message = std::move(what) + ": " + this->error().message;
    }
    return std::move(*this);
  }
};

namespace detail {
template <typename T>
T take(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

}  // namespace core

// Unwraps a Result or returns its error to the caller, like Rust's `?`:
//   Segment segment = TRY(open_segment(path));
// A GNU statement expression (g++, clang++); not usable inside co_await.
#define TRY(expression)                                                    \
  __extension__({                                                          \
    auto try_result = (expression);                                        \
    if (!try_result) return tl::unexpected(std::move(try_result).error()); \
    ::core::detail::take(std::move(try_result));                           \
  })

// Ends the process when one of our own assumptions is broken; on in release
// builds. Never for user input or bytes from disk: those are a Result.
#define ENSURE(condition)                                    \
  do {                                                       \
    if (!(condition)) [[unlikely]]                           \
      ::core::ensure_failed(#condition, __FILE__, __LINE__); \
  } while (false)

namespace core {
[[noreturn]] void ensure_failed(const char* condition, const char* file, int line);
}  // namespace core
