#include "net/chunked_decoder.h"

#include "core/text.h"

#include <algorithm>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr unsigned kSizeDigitsMax = 15;      // 2^60 bytes: no overflow, never too small
constexpr uint64_t kOverheadMax = 16 << 10;  // one extension, or all trailers together

}  // namespace

Result<void> ChunkedDecoder::feed(std::string_view& input, std::string& body) {
  while (!input.empty() && state_ != State::Done) {
    if (state_ == State::Data) {
      const auto take = static_cast<size_t>(std::min<uint64_t>(chunk_left_, input.size()));
      body.append(input.substr(0, take));
      input.remove_prefix(take);
      chunk_left_ -= take;
      if (chunk_left_ == 0) state_ = State::DataReturn;
      continue;
    }
    TRY(feed_byte(input.front(), body));
    input.remove_prefix(1);
  }
  return {};
}

Result<void> ChunkedDecoder::feed_byte(char c, const std::string& body) {
  const auto expect = [&](char wanted, State next) -> Result<void> {
    if (c != wanted) return fail(ErrorCode::InvalidArgument, "chunked body: a line ends wrongly");
    state_ = next;
    return {};
  };
  switch (state_) {
    case State::Size: {
      const int digit = core::hex_digit(c);
      if (digit >= 0) {
        if (++digits_ > kSizeDigitsMax) {
          return fail(ErrorCode::InvalidArgument, "chunked body: a chunk size of over {} digits",
                      kSizeDigitsMax);
        }
        chunk_left_ = chunk_left_ * 16 + static_cast<uint64_t>(digit);
        return {};
      }
      if (digits_ == 0) {
        return fail(ErrorCode::InvalidArgument, "chunked body: expected a chunk size in hex");
      }
      line_size_ = 0;
      if (c == ';' || c == ' ' || c == '\t') {
        state_ = State::Extension;
        return {};
      }
      return expect('\r', State::SizeNewline);
    }
    case State::Extension:
      if (++line_size_ > kOverheadMax) {
        return fail(ErrorCode::InvalidArgument, "chunked body: an extension of over {} bytes",
                    kOverheadMax);
      }
      if (c == '\r') state_ = State::SizeNewline;
      // A bare newline is how request smuggling hides a chunk from other parsers.
      if (c == '\n') return expect('\r', State::SizeNewline);
      return {};
    case State::SizeNewline:
      if (chunk_left_ > body_size_max_ - std::min<uint64_t>(body.size(), body_size_max_)) {
        return fail(ErrorCode::TooLarge, "the body has more than {} bytes", body_size_max_);
      }
      line_size_ = 0;
      return expect('\n', chunk_left_ == 0 ? State::Trailer : State::Data);
    case State::DataReturn:
      return expect('\r', State::DataNewline);
    case State::DataNewline:
      digits_ = 0;
      return expect('\n', State::Size);
    case State::Trailer:
      if (++line_size_ > kOverheadMax) {
        return fail(ErrorCode::InvalidArgument, "chunked body: trailers of over {} bytes",
                    kOverheadMax);
      }
      if (c == '\n') {
        if (!after_return_) return expect('\r', State::Trailer);
        if (line_is_empty_) state_ = State::Done;
        line_is_empty_ = true;
      } else if (c != '\r') {
        line_is_empty_ = false;
      }
      after_return_ = c == '\r';
      return {};
    case State::Data:
    case State::Done:
      break;
  }
  return fail(ErrorCode::Internal, "chunked body: fed in the wrong state");
}

}  // namespace net
