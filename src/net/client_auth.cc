#include "net/client_auth.h"

#include "core/base64.h"
#include "core/json.h"
#include "core/text.h"

namespace net {

using core::ErrorCode;
using core::fail;
using core::Result;

namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";
constexpr size_t kQuotedMax = 512;  // of a server's answer in an error text

Result<std::string> read_trimmed(const std::string& path, core::FileSystem& files) {
  const std::string text = TRY(files.read_file(path).context("unable to read file {}", path));
  return std::string(core::trim(text, kBlanks));
}

void append_field(std::string& form, std::string_view name, std::string_view value) {
  if (!form.empty()) form += '&';
  form += percent_encode(name);
  form += '=';
  form += percent_encode(value);
}

}  // namespace

Result<std::string> read_secret(const core::SecretSource& source, core::FileSystem& files) {
  if (source.file.empty()) return source.value.reveal();
  return read_trimmed(source.file, files);
}

std::string basic_credentials(std::string_view user, std::string_view password) {
  return "Basic " + core::base64_encode(fmt::format("{}:{}", user, password));
}

Result<AddedHeaders> make_headers(const ClientConfig& config, core::FileSystem& files,
                                  const Headers& request_headers) {
  AddedHeaders added;
  const bool authorizes = config.basic_auth.has_value() || config.authorization.has_value();
  if (authorizes && !find_header(request_headers, "Authorization")) {
    if (const auto& basic = config.basic_auth) {
      std::string user = basic->username;
      if (!basic->username_file.empty()) {
        user = TRY(read_trimmed(basic->username_file, files)
                       .context("unable to read basic auth username"));
      }
      const std::string password =
          TRY(read_secret(basic->password, files).context("unable to read basic auth password"));
      added.same_host.emplace_back("Authorization", basic_credentials(user, password));
    } else if (const auto& authorization = config.authorization) {
      const std::string credentials = TRY(read_secret(authorization->credentials, files)
                                              .context("unable to read authorization credentials"));
      added.same_host.emplace_back("Authorization", authorization->type + " " + credentials);
    }
  }
  for (const ClientHeader& header : config.headers) {
    for (const std::string& value : header.values) added.anywhere.emplace_back(header.name, value);
    for (const core::Secret& secret : header.secrets) {
      added.same_host.emplace_back(header.name, secret.reveal());
    }
    for (const std::string& file : header.files) {
      std::string value =
          TRY(read_trimmed(file, files).context("unable to read header {}", header.name));
      added.same_host.emplace_back(header.name, std::move(value));
    }
  }
  return added;
}

std::string token_request(const OAuth2& config, const std::string& secret, OAuthStyle style) {
  std::string form;
  append_field(form, "grant_type", "client_credentials");
  if (!config.scopes.empty()) {
    std::string scopes;
    for (const std::string& scope : config.scopes) {
      if (!scopes.empty()) scopes += ' ';
      scopes += scope;
    }
    append_field(form, "scope", scopes);
  }
  for (const auto& [name, value] : config.endpoint_params) append_field(form, name, value);
  if (style == OAuthStyle::InBody) {
    append_field(form, "client_id", config.client_id);
    append_field(form, "client_secret", secret);
  }
  return form;
}

Result<OAuthToken> read_token(int status, std::string_view body) {
  const Result<core::Json> json = core::parse_json(body);
  if (status < 200 || status > 299) {
    // What the server says of the error (RFC 6749 5.2), not its whole answer.
    std::string what;
    if (json) {
      for (const char* const name : {"error", "error_description"}) {
        const core::Json* const member = json->find(name);
        const std::string* const text = member != nullptr ? member->as_string() : nullptr;
        if (text != nullptr) what += " " + text->substr(0, kQuotedMax);
      }
    }
    return fail(ErrorCode::Unauthenticated, "the token's server answered {}{}{}", status,
                what.empty() ? "" : ":", what);
  }
  if (!json) return fail(ErrorCode::InvalidArgument, "cannot parse json: {}", json.error().message);
  const core::Json* const token = json->find("access_token");
  if (token == nullptr || token->as_string() == nullptr || token->as_string()->empty()) {
    return fail(ErrorCode::InvalidArgument, "server response missing access_token");
  }
  std::string type = "Bearer";
  const core::Json* const given_type = json->find("token_type");
  if (given_type != nullptr && given_type->as_string() != nullptr) {
    const std::string& text = *given_type->as_string();
    if (!text.empty() && core::lower(text) != "bearer") type = text;
  }
  OAuthToken result{.authorization = core::Secret(type + " " + *token->as_string())};
  const core::Json* const lifetime = json->find("expires_in");
  if (lifetime != nullptr && lifetime->is_number() && lifetime->number() > 0) {
    constexpr double kSecondsMax = 1e9;
    result.lifetime_ms = static_cast<int64_t>(std::min(lifetime->number(), kSecondsMax) * 1000);
  }
  return result;
}

}  // namespace net
