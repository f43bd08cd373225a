#include "config/remote_tables.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>

namespace config {
namespace {

using core::Result;

constexpr std::array<std::string_view, 16> kReservedHeaders = {
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
    "accept-encoding",
    "x-prometheus-remote-write-version",
    "x-prometheus-remote-read-version",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-content-sha256",
};

Result<void> check_headers(const Value& headers, const Source& source,
                           std::string_view authorization_message) {
  for (const Value& header : headers.items) {
    std::string name = header.key;
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    if (name == "authorization") return error_at(source, header, authorization_message);
    if (std::ranges::count(kReservedHeaders, name) > 0) {
      return error_at(source, header,
                      fmt::format("{} is a reserved header. It must not be changed", header.key));
    }
  }
  return {};
}

constexpr std::string_view kUseAnotherKey =
    "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, "
    "azuread or google_iam parameter";

Result<void> check_azuread(const Value& azure, const Source& source) {
  const Value& cloud = azure.at("cloud");
  constexpr std::string_view kClouds[] = {"", "AzurePublic", "AzureChina", "AzureGovernment"};
  if (std::ranges::count(kClouds, cloud.text) == 0) {
    return error_at(source, cloud, "must provide a cloud in the Azure AD config");
  }
  const Value& oauth = azure.at("oauth");
  const int ways = (azure.at("managed_identity").given ? 1 : 0) + (oauth.given ? 1 : 0) +
                   (azure.at("sdk").given ? 1 : 0);
  if (ways == 0) {
    return error_at(source, azure,
                    "must provide an Azure Managed Identity, Azure OAuth or Azure SDK in the "
                    "Azure AD config");
  }
  if (ways > 1) {
    return error_at(source, azure,
                    "cannot provide more than one of Azure Managed Identity, Azure OAuth and "
                    "Azure SDK in the Azure AD config");
  }
  if (!oauth.given) return {};
  for (const std::string_view key : {"client_id", "client_secret", "tenant_id"}) {
    if (!oauth.at(key).is_zero()) continue;
    return error_at(source, oauth,
                    fmt::format("must provide an Azure OAuth {} in the Azure AD config", key));
  }
  return {};
}

Result<void> check_one_way_to_sign(const Value& write, const Source& source) {
  std::vector<std::string_view> configured;
  for (const std::string_view key :
       {"basic_auth", "authorization", "oauth2", "sigv4", "azuread", "google_iam"}) {
    if (write.at(key).given) configured.push_back(key);
  }
  if (configured.size() < 2) return {};
  return error_at(source, write,
                  fmt::format("at most one of basic_auth, authorization, oauth2, sigv4, azuread or "
                              "google_iam must be configured. Currently configured: [{}]",
                              fmt::join(configured, " ")));
}

// Names of queues tell their metrics apart.
Result<void> check_name(const Value& entry, std::string_view section, std::set<std::string>& names,
                        const Source& source) {
  const Value& name = entry.at("name");
  if (name.text.empty() || names.insert(name.text).second) return {};
  return error_at(
      source, name,
      fmt::format("found multiple remote {} configs with job name \"{}\"", section, name.text));
}

}  // namespace

Result<void> check_sigv4(const Value& sigv4, const Source& source) {
  if (!sigv4.given) return {};
  if (sigv4.at("access_key").is_zero() == sigv4.at("secret_key").is_zero()) return {};
  return error_at(source, sigv4,
                  "must provide a AWS SigV4 Access key and Secret Key if credentials are specified "
                  "in the SigV4 config");
}

Result<void> check_remote_writes(Value& list, const Source& source) {
  std::set<std::string> names;
  for (Value& write : list.items) {
    if (!write.given) return error_at(source, write, "empty or null remote write config section");
    if (!write.at("url").given) return error_at(source, write, "url for remote_write is empty");
    TRY(take_relabel_rules(write.at("write_relabel_configs"), source,
                           "empty or null relabeling rule in remote write config"));
    TRY(check_headers(write.at("headers"), source, kUseAnotherKey));
    const Value& message = write.at("protobuf_message");
    if (message.text != "prometheus.WriteRequest" &&
        message.text != "io.prometheus.write.v2.Request") {
      return error_at(source, message,
                      fmt::format("invalid protobuf_message value: unknown remote write protobuf "
                                  "message {}, supported: prometheus.WriteRequest, "
                                  "io.prometheus.write.v2.Request",
                                  message.text));
    }
    TRY(take_client_config(write, source));
    TRY(check_one_way_to_sign(write, source));
    TRY(check_sigv4(write.at("sigv4"), source));
    if (write.at("azuread").given) TRY(check_azuread(write.at("azuread"), source));
    TRY(check_name(write, "write", names, source));
  }
  return {};
}

Result<void> check_remote_reads(Value& list, const Source& source) {
  std::set<std::string> names;
  for (Value& read : list.items) {
    if (!read.given) return error_at(source, read, "empty or null remote read config section");
    if (!read.at("url").given) return error_at(source, read, "url for remote_read is empty");
    TRY(check_headers(read.at("headers"), source, kUseAnotherKey));
    TRY(take_client_config(read, source));
    TRY(check_name(read, "read", names, source));
  }
  return {};
}

Result<void> check_tracing(const Value& tracing, const Source& source) {
  if (!tracing.given) return {};
  const Value& type = tracing.at("client_type");
  if (type.text != "http" && type.text != "grpc") {
    return error_at(source, type,
                    fmt::format("expected tracing client type to be to be http or grpc, but got {}",
                                type.text));
  }
  TRY(take_tls_config(tracing.at("tls_config"), source));
  TRY(check_headers(tracing.at("headers"), source,
                    "custom authorization header configuration is not yet supported"));
  if (tracing.at("endpoint").is_zero()) {
    return error_at(source, tracing, "tracing endpoint must be set");
  }
  const Value& compression = tracing.at("compression");
  if (!compression.is_zero() && compression.text != "gzip") {
    return error_at(
        source, compression,
        fmt::format("invalid compression type {} provided, valid options: gzip", compression.text));
  }
  return {};
}

Result<void> check_otlp(const Value& otlp, const Value& global, const Source& source) {
  const Value& promoted = otlp.at("promote_resource_attributes");
  const Value& ignored = otlp.at("ignore_resource_attributes");
  const bool promotes_all = otlp.at("promote_all_resource_attributes").is_on();
  if (promotes_all && !promoted.is_zero()) {
    return error_at(source, promoted,
                    "'promote_all_resource_attributes' and 'promote_resource_attributes' cannot "
                    "be configured simultaneously");
  }
  if (!promotes_all && !ignored.is_zero()) {
    return error_at(source, ignored,
                    "'ignore_resource_attributes' cannot be configured unless "
                    "'promote_all_resource_attributes' is true");
  }
  const Value& attributes = promotes_all ? ignored : promoted;
  const std::string_view adjective = promotes_all ? "ignored" : "promoted";
  std::set<std::string> seen;
  for (const Value& attribute : attributes.items) {
    const std::string prefix = fmt::format("invalid '{}': ", attributes.key);
    if (attribute.text.find_first_not_of(" \t\n") == std::string::npos) {
      return error_at(source, attribute,
                      fmt::format("{}empty {} OTel resource attribute", prefix, adjective));
    }
    if (seen.insert(attribute.text).second) continue;
    return error_at(source, attribute,
                    fmt::format("{}duplicated {} OTel resource attribute \"{}\"", prefix, adjective,
                                attribute.text));
  }
  const Value& strategy = otlp.at("translation_strategy");
  constexpr std::string_view kStrategies[] = {"", "UnderscoreEscapingWithSuffixes", "NoTranslation",
                                              "NoUTF8EscapingWithSuffixes"};
  const auto known = std::ranges::find(kStrategies, strategy.text);
  if (known == std::end(kStrategies)) {
    return error_at(source, strategy,
                    fmt::format("unsupported OTLP translation strategy \"{}\", expected "
                                "UnderscoreEscapingWithSuffixes, NoUTF8EscapingWithSuffixes or "
                                "NoTranslation",
                                strategy.text));
  }
  if (known - std::begin(kStrategies) >= 2 &&
      global.at("metric_name_validation_scheme").text == "legacy") {
    return error_at(
        source, strategy,
        fmt::format("OTLP translation strategy \"{}\" is not allowed when UTF8 is disabled",
                    strategy.text));
  }
  return {};
}

}  // namespace config
