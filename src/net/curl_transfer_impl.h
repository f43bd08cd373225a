// What the curl loop runs: one HTTP request or one mail, from its easy handle to its end.

#pragma once

#include "core/result.h"
#include "net/client_config.h"
#include "net/transport.h"

#include <curl/curl.h>
#include <memory>
#include <string>

namespace net {

struct EndEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct EndList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using CurlList = std::unique_ptr<curl_slist, EndList>;
// False when there is no memory.
bool append_line(CurlList& list, const std::string& line);
// The value of CURLOPT_SSLVERSION.
long curl_tls_versions(const TlsConfig& tls);

// Stays where it is: curl keeps pointers into it.
class CurlTransfer {
 public:
  virtual ~CurlTransfer() = default;
  CurlTransfer() : easy_(curl_easy_init()) {}
  CurlTransfer(const CurlTransfer&) = delete;
  CurlTransfer& operator=(const CurlTransfer&) = delete;

  virtual core::Result<void> prepare(const std::string& user_agent) = 0;
  // One of the two is called, once, after the handle has left the loop.
  virtual void finish(CURLcode code) = 0;
  virtual void fail(core::Error error) = 0;

  CURL* easy() const { return easy_.get(); }

 protected:
  // Remembers the first option that this libcurl refuses.
  template <typename T>
  void set(CURLoption option, T value) {
    if (option_code_ == CURLE_OK) option_code_ = curl_easy_setopt(easy_.get(), option, value);
  }
  void set_tls(const TlsConfig& tls);
  void set_blob(CURLoption option, const std::string& bytes);
  const char* reason(CURLcode code) const {
    return error_text_[0] != '\0' ? error_text_ : curl_easy_strerror(code);
  }

  CURLcode option_code_ = CURLE_OK;
  char error_text_[CURL_ERROR_SIZE] = {};

 private:
  std::unique_ptr<CURL, EndEasy> easy_;
};

std::unique_ptr<CurlTransfer> make_http_transfer(OutgoingRequest request, Transport::Done done);
std::unique_ptr<CurlTransfer> make_mail_transfer(OutgoingMail mail, Transport::MailDone done);

}  // namespace net
