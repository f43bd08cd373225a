#include "net/curl_transfer_impl.h"

namespace net {

namespace {

long min_version(TlsVersion version) {
  switch (version) {
    case TlsVersion::Tls10:
      return CURL_SSLVERSION_TLSv1_0;
    case TlsVersion::Tls11:
      return CURL_SSLVERSION_TLSv1_1;
    case TlsVersion::Tls13:
      return CURL_SSLVERSION_TLSv1_3;
    default:
      return CURL_SSLVERSION_TLSv1_2;
  }
}

long max_version(TlsVersion version) {
  switch (version) {
    case TlsVersion::Tls10:
      return CURL_SSLVERSION_MAX_TLSv1_0;
    case TlsVersion::Tls11:
      return CURL_SSLVERSION_MAX_TLSv1_1;
    case TlsVersion::Tls12:
      return CURL_SSLVERSION_MAX_TLSv1_2;
    case TlsVersion::Tls13:
      return CURL_SSLVERSION_MAX_TLSv1_3;
    default:
      return CURL_SSLVERSION_MAX_DEFAULT;
  }
}

}  // namespace

long curl_tls_versions(const TlsConfig& tls) {
  return min_version(tls.min_version) | max_version(tls.max_version);
}

bool append_line(CurlList& list, const std::string& line) {
  curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
  if (longer == nullptr) return false;
  std::ignore = list.release();
  list.reset(longer);
  return true;
}

void CurlTransfer::set_blob(CURLoption option, const std::string& bytes) {
  curl_blob blob{const_cast<char*>(bytes.data()), bytes.size(), CURL_BLOB_COPY};
  set(option, &blob);
}

// Certificate files are read at every connect, so that renewed ones are taken up.
void CurlTransfer::set_tls(const TlsConfig& tls) {
  if (!tls.ca.empty()) set_blob(CURLOPT_CAINFO_BLOB, tls.ca);
  if (!tls.ca_file.empty()) set(CURLOPT_CAINFO, tls.ca_file.c_str());
  if (!tls.cert.empty()) set_blob(CURLOPT_SSLCERT_BLOB, tls.cert);
  if (!tls.cert_file.empty()) set(CURLOPT_SSLCERT, tls.cert_file.c_str());
  if (!tls.key.value.empty()) set_blob(CURLOPT_SSLKEY_BLOB, tls.key.value.reveal());
  if (!tls.key.file.empty()) set(CURLOPT_SSLKEY, tls.key.file.c_str());
  set(CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
  set(CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
  set(CURLOPT_SSLVERSION, curl_tls_versions(tls));
}

}  // namespace net
