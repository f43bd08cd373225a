// Minimal blocking HTTP/1.1 client over one keep-alive TCP connection.
#pragma once
#include <string>
#include <string_view>

struct Url {
  std::string host, port, path;            // path includes any query string
  static Url parse(const std::string& s);  // http://host[:port][/path]
};
std::string url_encode(std::string_view s);

struct HttpResponse {
  int status = 0;  // 0: transport failure, see error
  std::string body, error;
  bool reused = false;  // the connection had served a request before
};

class HttpClient {
 public:
  HttpClient(Url url, double timeout_s) : url_(std::move(url)), timeout_(timeout_s) {}
  ~HttpClient() { disconnect(); }
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  // `headers`: extra lines, each ending in \r\n.
  HttpResponse request(const char* method, const std::string& path, std::string_view headers,
                       std::string_view body);
  HttpResponse get(const std::string& path) { return request("GET", path, "", ""); }
  const Url& url() const { return url_; }
  void disconnect();

 private:
  bool connect(std::string& err);
  bool fill();  // read more into in_
  Url url_;
  double timeout_;
  int fd_ = -1;
  bool used_ = false;
  std::string in_;
  std::string why_;
};
