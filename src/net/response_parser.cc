#include "net/response_parser.h"

#include "core/text.h"

#include <algorithm>
#include <charconv>

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr size_t kHeadSizeMax = 256 << 10;
constexpr unsigned kInterimMax = 5;          // 1xx responses before the real one
constexpr size_t kReserveMax = 1 << 20;      // of an announced length, before it arrives
constexpr size_t kWholeGzipMax = 256 << 10;  // larger ones are undone as they come
constexpr size_t kDirectMin = 16 << 10;      // below that a copy is cheaper than a read
constexpr size_t kQuotedMax = 64;            // of a bad line in an error text
constexpr int kSwitchingProtocols = 101;
constexpr int kNoContent = 204;
constexpr int kNotModified = 304;

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text.substr(0, kQuotedMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7F || c == '"' || c == '\\') {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  if (text.size() > kQuotedMax) out += "...";
  return out + '"';
}

bool equals_lower(std::string_view text, std::string_view lower_case) {
  return text.size() == lower_case.size() &&
         std::equal(text.begin(), text.end(), lower_case.begin(),
                    [](char x, char y) { return core::lower(x) == y; });
}

// Whether a list such as "keep-alive, Upgrade" holds the word.
bool list_has(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    if (equals_lower(core::trim(list.substr(0, comma)), word)) return true;
    list.remove_prefix(comma == list.npos ? list.size() : comma + 1);
  }
  return false;
}

bool is_name_byte(char c) {
  if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// The end of the head: behind the empty line; npos when it has not come.
size_t find_head_end(std::string_view bytes, size_t from) {
  for (size_t at = from; (at = bytes.find('\n', at)) != bytes.npos; ++at) {
    std::string_view rest = bytes.substr(at + 1);
    if (rest.starts_with('\n')) return at + 2;
    if (rest.starts_with("\r\n")) return at + 3;
  }
  return std::string_view::npos;
}

// Without its line break.
std::string_view take_line(std::string_view& text) {
  const size_t newline = text.find('\n');
  std::string_view line = text.substr(0, newline);
  text.remove_prefix(newline == text.npos ? text.size() : newline + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

ResponseParser::ResponseParser(uint64_t body_size_max) : body_size_max_(body_size_max) {}

Result<void> ResponseParser::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (state_ == State::Done) {
      has_surplus_ = true;
      return {};
    }
    if (state_ == State::Head) {
      TRY(feed_head(bytes));
    } else {
      TRY(feed_body(bytes));
    }
  }
  return {};
}

Result<void> ResponseParser::finish() {
  if (state_ == State::Done) return {};
  keep_alive_ = false;
  if (state_ == State::UntilClose) return end_body();
  if (is_empty()) return fail(ErrorCode::Unavailable, "EOF");
  return fail(ErrorCode::Unavailable, "unexpected EOF");
}

Result<void> ResponseParser::feed_head(std::string_view& bytes) {
  // The empty line may begin in what came before.
  const size_t before = head_.size();
  const size_t from = before < 3 ? 0 : before - 3;
  std::string_view seen = bytes;
  if (!head_.empty()) {
    head_ += bytes.substr(0, kHeadSizeMax + 1 - before);
    seen = head_;
  }
  const size_t end = find_head_end(seen, from);
  if (std::min(end, seen.size()) > kHeadSizeMax) {
    return fail(ErrorCode::TooLarge, "the response's header has more than {} bytes", kHeadSizeMax);
  }
  if (end == seen.npos) {
    // Anything but HTTP is refused at its first bytes, not when it ends.
    constexpr std::string_view kStart = "HTTP/";
    if (!seen.starts_with(kStart.substr(0, seen.size()))) {
      return fail(ErrorCode::InvalidArgument, "malformed HTTP response {}", quoted(seen));
    }
    if (head_.empty()) head_ = std::string(bytes);
    bytes = {};
    return {};
  }
  if (head_.empty()) {
    bytes.remove_prefix(end);
    return read_head(seen.substr(0, end));
  }
  bytes.remove_prefix(end - before);
  const std::string whole = std::move(head_);
  head_.clear();
  return read_head(std::string_view(whole).substr(0, end));
}

Result<void> ResponseParser::read_head(std::string_view head) {
  TRY(read_status_line(take_line(head)));
  headers_.clear();
  headers_.reserve(8);
  while (!head.empty()) {
    const std::string_view line = take_line(head);
    if (line.empty()) break;
    TRY(read_field(line));
  }
  if (status_ == kSwitchingProtocols) {
    return fail(ErrorCode::InvalidArgument, "the server switches protocols without being asked");
  }
  if (status_ < 200) {
    had_interim_ = true;
    if (++interim_count_ > kInterimMax) {
      return fail(ErrorCode::InvalidArgument, "too many 1xx informational responses");
    }
    return {};
  }
  return choose_framing();
}

Result<void> ResponseParser::read_status_line(std::string_view line) {
  const size_t space = line.find(' ');
  const std::string_view version = line.substr(0, space);
  if (space == line.npos || !version.starts_with("HTTP/")) {
    return fail(ErrorCode::InvalidArgument, "malformed HTTP response {}", quoted(line));
  }
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    return fail(ErrorCode::InvalidArgument, "malformed HTTP version {}", quoted(version));
  }
  is_http_10_ = version == "HTTP/1.0";
  const std::string_view rest = core::trim(line.substr(space));
  const std::string_view code = rest.substr(0, rest.find(' '));
  const auto [stop, error] = std::from_chars(code.data(), code.data() + code.size(), status_);
  if (code.size() != 3 || error != std::errc() || stop != code.data() + code.size() ||
      status_ < 100) {
    return fail(ErrorCode::InvalidArgument, "malformed HTTP status code {}", quoted(code));
  }
  return {};
}

Result<void> ResponseParser::read_field(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') {
    // A folded line (RFC 9112 5.2) belongs to the field before it.
    if (headers_.empty()) {
      return fail(ErrorCode::InvalidArgument, "malformed MIME header initial line: {}",
                  quoted(line));
    }
    headers_.back().second += ' ';
    headers_.back().second += core::trim(line);
    return {};
  }
  const size_t colon = line.find(':');
  const std::string_view name = line.substr(0, colon);
  if (colon == line.npos || name.empty() || !std::all_of(name.begin(), name.end(), is_name_byte)) {
    return fail(ErrorCode::InvalidArgument, "malformed MIME header line: {}", quoted(line));
  }
  headers_.emplace_back(name, core::trim(line.substr(colon + 1)));
  return {};
}

// Several equal lengths are one; different ones are how responses are smuggled.
Result<std::optional<uint64_t>> ResponseParser::content_length() const {
  std::optional<uint64_t> length;
  for (const auto& [name, value] : headers_) {
    if (!equals_lower(name, "content-length")) continue;
    uint64_t number = 0;
    const char* const end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    if (value.empty() || error != std::errc() || stop != end || (length && *length != number)) {
      return fail(ErrorCode::InvalidArgument, "bad Content-Length {}", quoted(value));
    }
    length = number;
  }
  return length;
}

Result<void> ResponseParser::choose_framing() {
  bool is_chunked = false;
  bool says_close = false;
  bool says_keep = false;
  bool has_body_coding = false;
  for (const auto& [name, value] : headers_) {
    if (equals_lower(name, "transfer-encoding")) {
      if (is_chunked || !equals_lower(value, "chunked")) {
        return fail(ErrorCode::InvalidArgument, "unsupported transfer encoding: {}", quoted(value));
      }
      is_chunked = true;
    } else if (equals_lower(name, "connection")) {
      says_close = says_close || list_has(value, "close");
      says_keep = says_keep || list_has(value, "keep-alive");
    } else if (equals_lower(name, "content-encoding")) {
      has_body_coding = equals_lower(value, "gzip") || equals_lower(value, "x-gzip");
    }
  }
  keep_alive_ = !says_close && (!is_http_10_ || says_keep);
  if (status_ == kNoContent || status_ == kNotModified) {
    state_ = State::Done;
    return {};
  }
  is_gzip_ = has_body_coding;
  if (is_chunked) {
    chunks_.emplace(body_size_max_);
    state_ = State::Chunked;
    return {};
  }
  const std::optional<uint64_t> length = TRY(content_length());
  if (!length) {
    keep_alive_ = false;
    state_ = State::UntilClose;
    return {};
  }
  if (*length > body_size_max_) {
    return fail(ErrorCode::TooLarge, "body size limit exceeded: more than {} bytes",
                body_size_max_);
  }
  body_left_ = *length;
  state_ = State::Sized;
  if (body_left_ == 0) return end_body();
  return {};
}

Result<void> ResponseParser::feed_body(std::string_view& bytes) {
  if (state_ == State::Sized) return feed_sized(bytes);
  if (state_ == State::UntilClose) {
    const std::string_view all = std::exchange(bytes, {});
    wire_bytes_ += all.size();
    TRY(check_size());
    return take_raw(all);
  }
  std::string& raw = is_gzip_ ? encoded_ : body_;
  const size_t before = raw.size();
  TRY(chunks_->feed(bytes, raw));
  wire_bytes_ += raw.size() - before;
  TRY(check_size());
  if (is_gzip_ && encoded_.size() > kWholeGzipMax) TRY(inflate_gathered());
  return chunks_->is_done() ? end_body() : Result<void>();
}

Result<void> ResponseParser::feed_sized(std::string_view& bytes) {
  const std::string_view part =
      bytes.substr(0, static_cast<size_t>(std::min<uint64_t>(body_left_, bytes.size())));
  bytes.remove_prefix(part.size());
  wire_bytes_ += part.size();
  body_left_ -= part.size();
  if (body_left_ == 0 && is_gzip_ && !stream_ && encoded_.empty()) {
    // The usual scrape: all of it came at once and is not copied.
    body_ = TRY(gunzip_whole(part, body_size_max_));
    state_ = State::Done;
    return {};
  }
  std::string& raw = is_gzip_ ? encoded_ : body_;
  if (raw.empty())
    raw.reserve(part.size() + static_cast<size_t>(std::min<uint64_t>(body_left_, kReserveMax)));
  TRY(take_raw(part));
  return body_left_ == 0 ? end_body() : Result<void>();
}

Result<void> ResponseParser::take_raw(std::string_view bytes) {
  if (!is_gzip_) {
    body_ += bytes;
    return {};
  }
  if (stream_) return stream_->feed(bytes, body_);
  encoded_ += bytes;
  return encoded_.size() > kWholeGzipMax ? inflate_gathered() : Result<void>();
}

Result<void> ResponseParser::inflate_gathered() {
  if (!stream_) stream_.emplace(body_size_max_);
  const std::string gathered = std::exchange(encoded_, {});
  return stream_->feed(gathered, body_);
}

Result<void> ResponseParser::end_body() {
  state_ = State::Done;
  if (!is_gzip_) return {};
  if (!stream_) {
    body_ = TRY(gunzip_whole(encoded_, body_size_max_));
    std::string().swap(encoded_);
    return {};
  }
  if (!encoded_.empty()) TRY(inflate_gathered());
  return stream_->finish();
}

Result<void> ResponseParser::check_size() const {
  if (wire_bytes_ <= body_size_max_) return {};
  return fail(ErrorCode::TooLarge, "body size limit exceeded: more than {} bytes", body_size_max_);
}

std::span<char> ResponseParser::space(size_t step) {
  if (state_ != State::Sized || is_gzip_ || body_left_ < kDirectMin) return {};
  space_begin_ = body_.size();
  const auto size = static_cast<size_t>(std::min<uint64_t>(step, body_left_));
  const size_t end = space_begin_ + size;
  body_.resize_and_overwrite(end, [end](char*, size_t) { return end; });
  return {body_.data() + space_begin_, size};
}

Result<void> ResponseParser::commit(size_t size) {
  body_.resize(space_begin_ + size);
  wire_bytes_ += size;
  body_left_ -= size;
  return body_left_ == 0 ? end_body() : Result<void>();
}

}  // namespace net
