#include "net/http_response.h"

#include "net/gzip.h"

#include <chrono>
#include <ctime>
#include <fmt/format.h>
#include <iterator>

namespace net {

namespace {

constexpr size_t kCompressAbove = 1024;  // a packet: below it nothing is gained

bool is_text_type(std::string_view content_type) {
  const std::string_view type = content_type.substr(0, content_type.find(';'));
  return type.starts_with("text/") || type == "application/json" ||
         type == "application/javascript" || type == "image/svg+xml" ||
         type == "application/openmetrics-text";
}

// RFC 9110 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
void append_date(std::string& out) {
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  thread_local std::time_t written_at = 0;  // the text changes once a second
  thread_local std::string text;
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (now != written_at) {
    std::tm utc{};
    gmtime_r(&now, &utc);
    text =
        fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday,
                    kMonths[utc.tm_mon], 1900 + utc.tm_year, utc.tm_hour, utc.tm_min, utc.tm_sec);
    written_at = now;
  }
  out += text;
}

void append_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  // A line break would let a value forge further headers.
  for (const char c : value) head += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
  head += "\r\n";
}

}  // namespace

std::string_view status_reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Unknown";
  }
}

ResponseFrame frame_response(Response response, const FrameOptions& options) {
  const int status = response.status;
  const bool bodiless = status == 204 || status == 304 || status / 100 == 1;
  ResponseFrame frame;
  fmt::format_to(std::back_inserter(frame.head), "HTTP/1.1 {} {}\r\n", status,
                 status_reason(status));
  for (const Header& header : response.headers)
    append_header(frame.head, header.first, header.second);
  frame.head += "Date: ";
  append_date(frame.head);
  if (!bodiless) {
    fmt::format_to(std::back_inserter(frame.head), "\r\nContent-Length: {}", response.body.size());
  }
  frame.head += options.keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
  if (!bodiless && !options.head_only) frame.body = std::move(response.body);
  return frame;
}

void compress_for(const Request& request, Response& response) {
  if (response.body.size() <= kCompressAbove) return;
  if (find_header(response.headers, "Content-Encoding")) return;
  if (!is_text_type(find_header(response.headers, "Content-Type").value_or(""))) return;
  if (!find_header(response.headers, "Vary"))
    response.headers.emplace_back("Vary", "Accept-Encoding");
  if (!accepts_encoding(request.header("Accept-Encoding").value_or(""), "gzip")) return;
  response.body = gzip(response.body);
  response.headers.emplace_back("Content-Encoding", "gzip");
}

}  // namespace net
