// Undoes Transfer-Encoding: chunked (RFC 9112 7.1), fed piece by piece.

#pragma once

#include "core/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace net {

// Confined to one connection. Chunk extensions and trailers are skipped.
class ChunkedDecoder {
 public:
  // `body_size_max` bounds the sum of the chunks.
  explicit ChunkedDecoder(uint64_t body_size_max) : body_size_max_(body_size_max) {}

  // Takes bytes off the front of `input`, appends data to `body`. Stops behind the last
  // chunk's trailer, where is_done() becomes true and `input` holds what follows the
  // message. TooLarge before an oversized chunk is stored; InvalidArgument for anything
  // that is not the format.
  core::Result<void> feed(std::string_view& input, std::string& body);
  bool is_done() const { return state_ == State::Done; }

 private:
  enum class State { Size, Extension, SizeNewline, Data, DataReturn, DataNewline, Trailer, Done };

  core::Result<void> feed_byte(char c, const std::string& body);

  const uint64_t body_size_max_;
  State state_ = State::Size;
  uint64_t chunk_left_ = 0;    // bytes of the current chunk still to come
  unsigned digits_ = 0;        // of the size line so far
  uint64_t line_size_ = 0;     // of the extension or the trailer lines so far
  bool line_is_empty_ = true;  // of the current trailer line
  bool after_return_ = false;  // the last byte of the trailer was CR
};

}  // namespace net
