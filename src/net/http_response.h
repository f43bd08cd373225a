// Responses as bytes: status line, headers, framing and compression.

#pragma once

#include "net/http.h"

#include <string>

namespace net {

struct FrameOptions {
  bool keep_alive = true;
  bool head_only = false;  // answers HEAD: Content-Length without the body
};

struct ResponseFrame {
  std::string head;  // status line to the empty line
  std::string body;
};

// "Not Found"; "Unknown" for a status without a name.
std::string_view status_reason(int status);

// Adds Content-Length, Date and Connection. Line breaks in header values become blanks.
ResponseFrame frame_response(Response response, const FrameOptions& options);

// gzips the body when the client takes it and it is worth it: over 1 KiB, of a text
// type, and without a Content-Encoding. Sets Vary for all that could be compressed.
void compress_for(const Request& request, Response& response);

}  // namespace net
