// One HTTP/1.x response from bytes as they come (RFC 9112): head, body by length, in
// chunks or until the connection ends, gzip undone. Pure: knows nothing of sockets.

#pragma once

#include "core/result.h"
#include "net/chunked_decoder.h"
#include "net/gzip_stream.h"
#include "net/http.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace net {

// Confined to one request.
class ResponseParser {
 public:
  // The bound holds for the body as sent and after gzip alike.
  explicit ResponseParser(uint64_t body_size_max);

  // Takes all of `bytes`; what follows the response only spoils keep_alive(). InvalidArgument for
  // anything that is not HTTP, TooLarge for a body beyond the bound.
  core::Result<void> feed(std::string_view bytes);
  // The connection has ended: fine for a body without a length, otherwise Unavailable
  // ("unexpected EOF").
  core::Result<void> finish();

  bool is_empty() const { return state_ == State::Head && head_.empty() && !had_interim_; }
  bool is_done() const { return state_ == State::Done; }
  // Whether the connection may serve another request.
  bool keep_alive() const { return keep_alive_ && !has_surplus_; }
  // Of memory that grows with the answer.
  uint64_t held_bytes() const { return head_.size() + body_.capacity() + encoded_.capacity(); }

  // A place for the next bytes of a large body, at most `step`; empty when feed() is the
  // way. Filling it with commit() saves a copy.
  std::span<char> space(size_t step);
  core::Result<void> commit(size_t size);

  int status() const { return status_; }
  const Headers& headers() const { return headers_; }
  std::string take_body() { return std::move(body_); }
  Headers take_headers() { return std::move(headers_); }
  uint64_t wire_bytes() const { return wire_bytes_; }

 private:
  enum class State { Head, Sized, Chunked, UntilClose, Done };

  core::Result<void> feed_head(std::string_view& bytes);
  core::Result<void> read_head(std::string_view head);
  core::Result<void> read_status_line(std::string_view line);
  core::Result<void> read_field(std::string_view line);
  core::Result<void> choose_framing();
  core::Result<std::optional<uint64_t>> content_length() const;
  core::Result<void> feed_body(std::string_view& bytes);
  core::Result<void> feed_sized(std::string_view& bytes);
  core::Result<void> take_raw(std::string_view bytes);
  core::Result<void> inflate_gathered();
  core::Result<void> end_body();
  core::Result<void> check_size() const;

  const uint64_t body_size_max_;
  State state_ = State::Head;
  std::string head_;  // received in pieces so far
  int status_ = 0;
  bool is_http_10_ = false;
  bool had_interim_ = false;
  unsigned interim_count_ = 0;
  bool keep_alive_ = false;
  bool has_surplus_ = false;
  Headers headers_;

  bool is_gzip_ = false;
  uint64_t body_left_ = 0;  // of a sized body
  uint64_t wire_bytes_ = 0;
  size_t space_begin_ = 0;  // where space() was handed out
  std::optional<ChunkedDecoder> chunks_;
  std::optional<GunzipStream> stream_;  // of gzip too large for one step
  std::string encoded_;                 // gzip that waits for its end or for the stream
  std::string body_;
};

}  // namespace net
