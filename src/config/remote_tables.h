// The keys of sections of prometheus.yml that have no effect yet: they are held to
// Prometheus's types and rules, and shown, all the same.

#pragma once

#include "config/client_config_reader.h"
#include "config/relabel_reader.h"
#include "config/schema.h"

#include <array>

namespace config {

inline constexpr std::array kSigV4Fields = {
    Field{.key = "region"},
    Field{.key = "access_key"},
    Field{.key = "secret_key", .type = Type::Secret},
    Field{.key = "profile"},
    Field{.key = "role_arn"},
    Field{.key = "use_fips_sts_endpoint", .type = Type::Bool},
    Field{.key = "service_name"},
};
inline constexpr Table kSigV4Table{"sigv4", kSigV4Fields};

inline constexpr std::array kManagedIdentityFields = {Field{.key = "client_id"}};
inline constexpr Table kManagedIdentityTable{"managed_identity", kManagedIdentityFields};
inline constexpr std::array kAzureOauthFields = {
    Field{.key = "client_id"},
    Field{.key = "client_secret", .type = Type::Secret},
    Field{.key = "tenant_id"},
};
inline constexpr Table kAzureOauthTable{"oauth", kAzureOauthFields};
inline constexpr std::array kAzureSdkFields = {Field{.key = "tenant_id"}};
inline constexpr Table kAzureSdkTable{"sdk", kAzureSdkFields};
inline constexpr std::array kAzureAdFields = {
    Field{.key = "managed_identity",
          .type = Type::Mapping,
          .flags = kOptional,
          .table = &kManagedIdentityTable},
    Field{.key = "oauth", .type = Type::Mapping, .flags = kOptional, .table = &kAzureOauthTable},
    Field{.key = "sdk", .type = Type::Mapping, .flags = kOptional, .table = &kAzureSdkTable},
    Field{.key = "cloud"},
};
inline constexpr Table kAzureAdTable{"azuread", kAzureAdFields};

inline constexpr std::array kGoogleIamFields = {Field{.key = "credentials_file"}};
inline constexpr Table kGoogleIamTable{"google_iam", kGoogleIamFields};

inline constexpr std::array kQueueFields = {
    Field{.key = "capacity", .type = Type::Int, .preset = "10000"},
    Field{.key = "max_shards", .type = Type::Int, .preset = "50"},
    Field{.key = "min_shards", .type = Type::Int, .preset = "1"},
    Field{.key = "max_samples_per_send", .type = Type::Int, .preset = "2000"},
    Field{.key = "batch_send_deadline", .type = Type::Duration, .preset = "5s"},
    Field{.key = "min_backoff", .type = Type::Duration, .preset = "30ms"},
    Field{.key = "max_backoff", .type = Type::Duration, .preset = "5s"},
    Field{.key = "retry_on_http_429", .type = Type::Bool},
    Field{.key = "sample_age_limit", .type = Type::Duration},
};
inline constexpr Table kQueueTable{"queue_config", kQueueFields};

inline constexpr std::array kMetadataFields = {
    Field{.key = "send", .type = Type::Bool, .flags = kShown, .preset = "true"},
    Field{.key = "send_interval", .type = Type::Duration, .flags = kShown, .preset = "1m"},
    Field{.key = "max_samples_per_send", .type = Type::Int, .preset = "2000"},
};
inline constexpr Table kMetadataTable{"metadata_config", kMetadataFields};

inline constexpr auto kRemoteWriteFields = join_fields(
    std::array{
        Field{.key = "url", .type = Type::Url, .flags = kShown},
        Field{.key = "remote_timeout", .type = Type::Duration, .preset = "30s"},
        Field{.key = "headers", .type = Type::Map},
        relabel_field("write_relabel_configs"),
        Field{.key = "name"},
        Field{.key = "send_exemplars", .type = Type::Bool},
        Field{.key = "send_native_histograms", .type = Type::Bool},
        Field{.key = "round_robin_dns", .type = Type::Bool},
        Field{.key = "protobuf_message", .preset = "prometheus.WriteRequest"},
    },
    client_fields("false"),
    std::array{
        Field{.key = "queue_config", .type = Type::Mapping, .table = &kQueueTable},
        Field{.key = "metadata_config", .type = Type::Mapping, .table = &kMetadataTable},
        Field{.key = "sigv4", .type = Type::Mapping, .flags = kOptional, .table = &kSigV4Table},
        Field{.key = "azuread", .type = Type::Mapping, .flags = kOptional, .table = &kAzureAdTable},
        Field{.key = "google_iam",
              .type = Type::Mapping,
              .flags = kOptional,
              .table = &kGoogleIamTable},
    });
inline constexpr Table kRemoteWriteTable{"remote_write", kRemoteWriteFields};

inline constexpr auto kRemoteReadFields = join_fields(
    std::array{
        Field{.key = "url", .type = Type::Url, .flags = kShown},
        Field{.key = "remote_timeout", .type = Type::Duration, .preset = "1m"},
        Field{.key = "chunked_read_limit", .type = Type::Uint, .preset = "50000000"},
        Field{.key = "headers", .type = Type::Map},
        Field{.key = "read_recent", .type = Type::Bool},
        Field{.key = "name"},
    },
    client_fields(),
    std::array{
        Field{.key = "required_matchers", .type = Type::Map},
        Field{.key = "filter_external_labels", .type = Type::Bool, .preset = "true"},
    });
inline constexpr Table kRemoteReadTable{"remote_read", kRemoteReadFields};

inline constexpr std::array kTracingFields = {
    Field{.key = "client_type", .preset = "grpc"},
    Field{.key = "endpoint"},
    Field{.key = "sampling_fraction", .type = Type::Float},
    Field{.key = "insecure", .type = Type::Bool},
    Field{.key = "tls_config", .type = Type::Mapping, .table = &kTlsTable},
    Field{.key = "headers", .type = Type::Map},
    Field{.key = "compression"},
    Field{.key = "timeout", .type = Type::Duration},
};
inline constexpr Table kTracingTable{"tracing", kTracingFields};

inline constexpr std::array kOtlpFields = {
    Field{.key = "promote_all_resource_attributes", .type = Type::Bool},
    Field{.key = "promote_resource_attributes", .type = Type::List},
    Field{.key = "ignore_resource_attributes", .type = Type::List},
    Field{.key = "translation_strategy", .preset = "UnderscoreEscapingWithSuffixes"},
    Field{.key = "keep_identifying_resource_attributes", .type = Type::Bool},
    Field{.key = "convert_histograms_to_nhcb", .type = Type::Bool},
};
inline constexpr Table kOtlpTable{"otlp", kOtlpFields};

// InvalidArgument with Prometheus's words.
core::Result<void> check_remote_writes(Value& list, const Source& source);
core::Result<void> check_remote_reads(Value& list, const Source& source);
core::Result<void> check_tracing(const Value& tracing, const Source& source);
core::Result<void> check_otlp(const Value& otlp, const Value& global, const Source& source);
core::Result<void> check_sigv4(const Value& sigv4, const Source& source);

}  // namespace config
