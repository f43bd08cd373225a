// What a ClientConfig adds to requests: Authorization and other headers, with secrets read
// from their files each time.

#pragma once

#include "core/file_system.h"
#include "core/result.h"
#include "net/client_config.h"
#include "net/http.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace net {

// The value or what the file holds now, without blanks around it. The error names the file.
core::Result<std::string> read_secret(const core::SecretSource& source, core::FileSystem& files);

std::string basic_credentials(std::string_view user, std::string_view password);

struct AddedHeaders {
  Headers anywhere;   // plain values
  Headers same_host;  // secrets: not sent to another host after a redirect
};

// Everything but OAuth2's token. A request that has an Authorization of its own keeps it.
core::Result<AddedHeaders> make_headers(const ClientConfig& config, core::FileSystem& files,
                                        const Headers& request_headers);

// A token of the client credentials grant.
struct OAuthToken {
  core::Secret authorization;  // "Bearer ..."
  int64_t lifetime_ms = 0;     // 0: unlimited
};

enum class OAuthStyle : uint8_t { InHeader, InBody };

// The body of the token request; in InBody style with id and secret.
std::string token_request(const OAuth2& config, const std::string& secret, OAuthStyle style);
core::Result<OAuthToken> read_token(int status, std::string_view body);

}  // namespace net
