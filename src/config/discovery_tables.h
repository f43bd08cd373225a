// The keys of every kind of service discovery that Prometheus 3.5 knows, and of Petrel's
// own, etcd and zookeeper. Those without a provider are read for their types only.

#pragma once

#include "config/client_config_reader.h"
#include "config/schema.h"

#include <array>

namespace config {

inline constexpr std::array kFilterFields = {
    Field{.key = "name", .flags = kShown},
    Field{.key = "values", .type = Type::List, .flags = kShown},
};
inline constexpr Table kFilterTable{"filters", kFilterFields};

inline constexpr std::array kNamespacesFields = {
    Field{.key = "own_namespace", .type = Type::Bool, .flags = kShown},
    Field{.key = "names", .type = Type::List, .flags = kShown},
};
inline constexpr Table kNamespacesTable{"namespaces", kNamespacesFields};

inline constexpr std::array kSelectorFields = {
    Field{.key = "role"},
    Field{.key = "label"},
    Field{.key = "field"},
};
inline constexpr Table kSelectorTable{"selectors", kSelectorFields};

inline constexpr std::array kAttachMetadataFields = {
    Field{.key = "node", .type = Type::Bool, .flags = kShown},
};
inline constexpr Table kAttachMetadataTable{"attach_metadata", kAttachMetadataFields};

inline constexpr auto kAzureFields = join_fields(
    std::array{
        Field{.key = "environment", .preset = "AzurePublicCloud"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
        Field{.key = "subscription_id", .flags = kShown},
        Field{.key = "tenant_id"},
        Field{.key = "client_id"},
        Field{.key = "client_secret", .type = Type::Secret},
        Field{.key = "refresh_interval", .type = Type::Duration, .preset = "5m"},
        Field{.key = "authentication_method", .preset = "OAuth"},
        Field{.key = "resource_group"},
    },
    client_fields());
inline constexpr Table kAzureTable{"azure_sd_configs", kAzureFields};

inline constexpr auto kConsulFields = join_fields(
    std::array{
        Field{.key = "server", .preset = "localhost:8500"},
        Field{.key = "path_prefix"},
        Field{.key = "token", .type = Type::Secret},
        Field{.key = "datacenter"},
        Field{.key = "namespace"},
        Field{.key = "partition"},
        Field{.key = "tag_separator", .preset = ","},
        Field{.key = "scheme", .preset = "http"},
        Field{.key = "username"},
        Field{.key = "password", .type = Type::Secret},
        Field{.key = "allow_stale", .type = Type::Bool, .flags = kShown, .preset = "true"},
        Field{.key = "refresh_interval", .type = Type::Duration, .preset = "30s"},
        Field{.key = "services", .type = Type::List},
        Field{.key = "tags", .type = Type::List},
        Field{.key = "node_meta", .type = Type::Map},
        Field{.key = "filter"},
    },
    client_fields());
inline constexpr Table kConsulTable{"consul_sd_configs", kConsulFields};

inline constexpr auto kDigitaloceanFields = join_fields(
    client_fields(),
    std::array{
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
    });
inline constexpr Table kDigitaloceanTable{"digitalocean_sd_configs", kDigitaloceanFields};

inline constexpr std::array kDnsFields = {
    Field{.key = "names", .type = Type::List, .flags = kShown},
    Field{.key = "refresh_interval", .type = Type::Duration, .preset = "30s"},
    Field{.key = "type", .flags = kShown, .preset = "SRV"},
    Field{.key = "port", .type = Type::Int, .flags = kShown},
};
inline constexpr Table kDnsTable{"dns_sd_configs", kDnsFields};

inline constexpr auto kDockerFields = join_fields(
    client_fields(),
    std::array{
        Field{.key = "host", .flags = kShown},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
        Field{.key = "filters",
              .type = Type::List,
              .flags = kShown,
              .element = Type::Mapping,
              .table = &kFilterTable},
        Field{.key = "host_networking_host", .flags = kShown, .preset = "localhost"},
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
        Field{.key = "match_first_network", .type = Type::Bool, .flags = kShown, .preset = "true"},
    });
inline constexpr Table kDockerTable{"docker_sd_configs", kDockerFields};

inline constexpr auto kDockerswarmFields = join_fields(
    client_fields(),
    std::array{
        Field{.key = "host", .flags = kShown},
        Field{.key = "role", .flags = kShown},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
        Field{.key = "filters",
              .type = Type::List,
              .flags = kShown,
              .element = Type::Mapping,
              .table = &kFilterTable},
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
    });
inline constexpr Table kDockerswarmTable{"dockerswarm_sd_configs", kDockerswarmFields};

inline constexpr auto kEc2Fields = join_fields(
    std::array{
        Field{.key = "endpoint", .flags = kShown},
        Field{.key = "region", .flags = kShown},
        Field{.key = "access_key"},
        Field{.key = "secret_key", .type = Type::Secret},
        Field{.key = "profile"},
        Field{.key = "role_arn"},
        Field{.key = "refresh_interval", .type = Type::Duration, .preset = "60s"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
        Field{.key = "filters",
              .type = Type::List,
              .flags = kShown,
              .element = Type::Mapping,
              .table = &kFilterTable},
    },
    client_fields());
inline constexpr Table kEc2Table{"ec2_sd_configs", kEc2Fields};

inline constexpr std::array kEtcdFields = {
    Field{.key = "endpoints", .type = Type::List, .flags = kShown},
    Field{.key = "prefix", .flags = kShown, .preset = "/petrel/sd/"},
    Field{.key = "username"},
    Field{.key = "password", .type = Type::Secret},
    Field{.key = "password_file", .flags = kPath},
    Field{.key = "tls_config", .type = Type::Mapping, .table = &kTlsTable},
    Field{.key = "refresh_interval", .type = Type::Duration, .preset = "5m"},
};
inline constexpr Table kEtcdTable{"etcd_sd_configs", kEtcdFields};

inline constexpr auto kEurekaFields = join_fields(
    std::array{
        Field{.key = "server"},
    },
    client_fields(),
    std::array{
        Field{.key = "refresh_interval", .type = Type::Duration, .preset = "30s"},
    });
inline constexpr Table kEurekaTable{"eureka_sd_configs", kEurekaFields};

inline constexpr std::array kFileFields = {
    Field{.key = "files", .type = Type::List, .flags = kShown, .element_flags = kPath},
    Field{.key = "refresh_interval", .type = Type::Duration, .preset = "5m"},
};
inline constexpr Table kFileTable{"file_sd_configs", kFileFields};

inline constexpr std::array kGceFields = {
    Field{.key = "project", .flags = kShown},
    Field{.key = "zone", .flags = kShown},
    Field{.key = "filter"},
    Field{.key = "refresh_interval", .type = Type::Duration, .preset = "60s"},
    Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
    Field{.key = "tag_separator", .preset = ","},
};
inline constexpr Table kGceTable{"gce_sd_configs", kGceFields};

inline constexpr auto kHetznerFields = join_fields(
    client_fields(),
    std::array{
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
        Field{.key = "role", .flags = kShown},
        Field{.key = "label_selector"},
    });
inline constexpr Table kHetznerTable{"hetzner_sd_configs", kHetznerFields};

inline constexpr auto kHttpFields = join_fields(
    client_fields(), std::array{
                         Field{.key = "refresh_interval", .type = Type::Duration, .preset = "60s"},
                         Field{.key = "url", .type = Type::Url, .flags = kShown},
                     });
inline constexpr Table kHttpTable{"http_sd_configs", kHttpFields};

inline constexpr auto kIonosFields = join_fields(
    std::array{
        Field{.key = "datacenter_id", .flags = kShown},
    },
    client_fields(),
    std::array{
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
    });
inline constexpr Table kIonosTable{"ionos_sd_configs", kIonosFields};

inline constexpr auto kKubernetesFields = join_fields(
    std::array{
        Field{.key = "api_server", .type = Type::Url},
        Field{.key = "role", .flags = kShown},
        Field{.key = "kubeconfig_file", .flags = kShown | kPath},
    },
    client_fields(),
    std::array{
        Field{.key = "namespaces", .type = Type::Mapping, .table = &kNamespacesTable},
        Field{.key = "selectors",
              .type = Type::List,
              .element = Type::Mapping,
              .table = &kSelectorTable},
        Field{.key = "attach_metadata", .type = Type::Mapping, .table = &kAttachMetadataTable},
    });
inline constexpr Table kKubernetesTable{"kubernetes_sd_configs", kKubernetesFields};

inline constexpr auto kKumaFields = join_fields(
    client_fields(), std::array{
                         Field{.key = "refresh_interval", .type = Type::Duration, .preset = "15s"},
                         Field{.key = "fetch_timeout", .type = Type::Duration, .preset = "2m"},
                         Field{.key = "server"},
                         Field{.key = "client_id"},
                     });
inline constexpr Table kKumaTable{"kuma_sd_configs", kKumaFields};

inline constexpr auto kLightsailFields = join_fields(
    std::array{
        Field{.key = "endpoint", .flags = kShown},
        Field{.key = "region", .flags = kShown},
        Field{.key = "access_key"},
        Field{.key = "secret_key", .type = Type::Secret},
        Field{.key = "profile"},
        Field{.key = "role_arn"},
        Field{.key = "refresh_interval", .type = Type::Duration, .preset = "60s"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
    },
    client_fields());
inline constexpr Table kLightsailTable{"lightsail_sd_configs", kLightsailFields};

inline constexpr auto kLinodeFields = join_fields(
    client_fields(),
    std::array{
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
        Field{.key = "tag_separator", .preset = ","},
        Field{.key = "region"},
    });
inline constexpr Table kLinodeTable{"linode_sd_configs", kLinodeFields};

inline constexpr auto kMarathonFields = join_fields(
    std::array{
        Field{.key = "servers", .type = Type::List},
        Field{.key = "refresh_interval", .type = Type::Duration, .preset = "30s"},
        Field{.key = "auth_token", .type = Type::Secret},
        Field{.key = "auth_token_file", .flags = kPath},
    },
    client_fields());
inline constexpr Table kMarathonTable{"marathon_sd_configs", kMarathonFields};

inline constexpr std::array kNerveFields = {
    Field{.key = "servers", .type = Type::List, .flags = kShown},
    Field{.key = "paths", .type = Type::List, .flags = kShown},
    Field{.key = "timeout", .type = Type::Duration, .preset = "10s"},
};
inline constexpr Table kNerveTable{"nerve_sd_configs", kNerveFields};

inline constexpr auto kNomadFields = join_fields(
    std::array{
        Field{.key = "allow_stale", .type = Type::Bool, .flags = kShown, .preset = "true"},
    },
    client_fields(),
    std::array{
        Field{.key = "namespace", .flags = kShown, .preset = "default"},
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
        Field{.key = "region", .flags = kShown, .preset = "global"},
        Field{.key = "server", .flags = kShown, .preset = "http://localhost:4646"},
        Field{.key = "tag_separator", .preset = ","},
    });
inline constexpr Table kNomadTable{"nomad_sd_configs", kNomadFields};

inline constexpr std::array kOpenstackFields = {
    Field{.key = "identity_endpoint", .flags = kShown},
    Field{.key = "username", .flags = kShown},
    Field{.key = "userid", .flags = kShown},
    Field{.key = "password", .type = Type::Secret, .flags = kShown},
    Field{.key = "project_name", .flags = kShown},
    Field{.key = "project_id", .flags = kShown},
    Field{.key = "domain_name", .flags = kShown},
    Field{.key = "domain_id", .flags = kShown},
    Field{.key = "application_credential_name", .flags = kShown},
    Field{.key = "application_credential_id", .flags = kShown},
    Field{.key = "application_credential_secret", .type = Type::Secret, .flags = kShown},
    Field{.key = "role", .flags = kShown},
    Field{.key = "region", .flags = kShown},
    Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
    Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
    Field{.key = "all_tenants", .type = Type::Bool},
    Field{.key = "tls_config", .type = Type::Mapping, .table = &kTlsTable},
    Field{.key = "availability", .preset = "public"},
};
inline constexpr Table kOpenstackTable{"openstack_sd_configs", kOpenstackFields};

inline constexpr std::array kOvhcloudFields = {
    Field{.key = "endpoint", .flags = kShown, .preset = "ovh-eu"},
    Field{.key = "application_key", .flags = kShown},
    Field{.key = "application_secret", .type = Type::Secret, .flags = kShown},
    Field{.key = "consumer_key", .type = Type::Secret, .flags = kShown},
    Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
    Field{.key = "service", .flags = kShown},
};
inline constexpr Table kOvhcloudTable{"ovhcloud_sd_configs", kOvhcloudFields};

inline constexpr auto kPuppetdbFields = join_fields(
    client_fields(), std::array{
                         Field{.key = "refresh_interval", .type = Type::Duration, .preset = "60s"},
                         Field{.key = "url", .type = Type::Url, .flags = kShown},
                         Field{.key = "query", .flags = kShown},
                         Field{.key = "include_parameters", .type = Type::Bool, .flags = kShown},
                         Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
                     });
inline constexpr Table kPuppetdbTable{"puppetdb_sd_configs", kPuppetdbFields};

inline constexpr auto kScalewayFields = join_fields(
    std::array{
        Field{.key = "project_id", .flags = kShown},
        Field{.key = "api_url", .preset = "https://api.scaleway.com"},
        Field{.key = "zone", .flags = kShown, .preset = "fr-par-1"},
        Field{.key = "access_key", .flags = kShown},
        Field{.key = "secret_key", .type = Type::Secret, .flags = kShown},
        Field{.key = "secret_key_file", .flags = kShown | kPath},
        Field{.key = "name_filter"},
        Field{.key = "tags_filter", .type = Type::List},
    },
    client_fields(),
    std::array{
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
        Field{.key = "role", .flags = kShown},
    });
inline constexpr Table kScalewayTable{"scaleway_sd_configs", kScalewayFields};

inline constexpr std::array kServersetFields = {
    Field{.key = "servers", .type = Type::List, .flags = kShown},
    Field{.key = "paths", .type = Type::List, .flags = kShown},
    Field{.key = "timeout", .type = Type::Duration, .preset = "10s"},
};
inline constexpr Table kServersetTable{"serverset_sd_configs", kServersetFields};

inline constexpr auto kStackitFields = join_fields(
    client_fields(), std::array{
                         Field{.key = "project", .flags = kShown},
                         Field{.key = "refresh_interval", .type = Type::Duration, .preset = "60s"},
                         Field{.key = "port", .type = Type::Int, .preset = "80"},
                         Field{.key = "region", .preset = "eu01"},
                         Field{.key = "endpoint"},
                         Field{.key = "service_account_key", .type = Type::Secret},
                         Field{.key = "private_key", .type = Type::Secret},
                         Field{.key = "service_account_key_path"},
                         Field{.key = "private_key_path"},
                         Field{.key = "credentials_file_path"},
                     });
inline constexpr Table kStackitTable{"stackit_sd_configs", kStackitFields};

inline constexpr std::array kStaticFields = {
    Field{.key = "targets", .type = Type::List, .flags = kShown},
    Field{.key = "labels", .type = Type::Map},
};
inline constexpr Table kStaticTable{"static_configs", kStaticFields};

inline constexpr std::array kTritonFields = {
    Field{.key = "account", .flags = kShown},
    Field{.key = "role", .flags = kShown, .preset = "container"},
    Field{.key = "dns_suffix", .flags = kShown},
    Field{.key = "endpoint", .flags = kShown},
    Field{.key = "groups", .type = Type::List},
    Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "9163"},
    Field{.key = "refresh_interval", .type = Type::Duration, .preset = "60s"},
    Field{.key = "tls_config", .type = Type::Mapping, .table = &kTlsTable},
    Field{.key = "version", .type = Type::Int, .flags = kShown, .preset = "1"},
};
inline constexpr Table kTritonTable{"triton_sd_configs", kTritonFields};

inline constexpr auto kUyuniFields = join_fields(
    std::array{
        Field{.key = "server", .type = Type::Url, .flags = kShown},
        Field{.key = "username", .flags = kShown},
        Field{.key = "password", .type = Type::Secret, .flags = kShown},
    },
    client_fields(),
    std::array{
        Field{.key = "entitlement", .preset = "monitoring_entitled"},
        Field{.key = "separator", .preset = ","},
        Field{.key = "refresh_interval", .type = Type::Duration, .preset = "1m"},
    });
inline constexpr Table kUyuniTable{"uyuni_sd_configs", kUyuniFields};

inline constexpr auto kVultrFields = join_fields(
    client_fields(),
    std::array{
        Field{.key = "refresh_interval", .type = Type::Duration, .flags = kShown, .preset = "60s"},
        Field{.key = "port", .type = Type::Int, .flags = kShown, .preset = "80"},
    });
inline constexpr Table kVultrTable{"vultr_sd_configs", kVultrFields};

inline constexpr std::array kZookeeperFields = {
    Field{.key = "servers", .type = Type::List, .flags = kShown},
    Field{.key = "prefix", .flags = kShown, .preset = "/petrel/sd"},
    Field{.key = "session_timeout", .type = Type::Duration, .preset = "30s"},
    Field{.key = "refresh_interval", .type = Type::Duration, .preset = "5m"},
};
inline constexpr Table kZookeeperTable{"zookeeper_sd_configs", kZookeeperFields};

// The lists of a scrape_config or an Alertmanager, in the order in which they are shown.
inline constexpr std::array kDiscoveryFields = {
    Field{.key = "azure_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kAzureTable},
    Field{.key = "consul_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kConsulTable},
    Field{.key = "digitalocean_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kDigitaloceanTable},
    Field{
        .key = "dns_sd_configs", .type = Type::List, .element = Type::Mapping, .table = &kDnsTable},
    Field{.key = "docker_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kDockerTable},
    Field{.key = "dockerswarm_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kDockerswarmTable},
    Field{.key = "ec2_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kEc2Table},
    Field{.key = "etcd_sd_configs",
          .type = Type::List,
          .element = Type::Mapping,
          .table = &kEtcdTable},
    Field{.key = "eureka_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kEurekaTable},
    Field{.key = "file_sd_configs",
          .type = Type::List,
          .element = Type::Mapping,
          .table = &kFileTable},
    Field{.key = "gce_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kGceTable},
    Field{.key = "hetzner_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kHetznerTable},
    Field{.key = "http_sd_configs",
          .type = Type::List,
          .element = Type::Mapping,
          .table = &kHttpTable},
    Field{.key = "ionos_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kIonosTable},
    Field{.key = "kubernetes_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kKubernetesTable},
    Field{.key = "kuma_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kKumaTable},
    Field{.key = "lightsail_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kLightsailTable},
    Field{.key = "linode_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kLinodeTable},
    Field{.key = "marathon_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kMarathonTable},
    Field{.key = "nerve_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kNerveTable},
    Field{.key = "nomad_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kNomadTable},
    Field{.key = "openstack_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kOpenstackTable},
    Field{.key = "ovhcloud_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kOvhcloudTable},
    Field{.key = "puppetdb_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kPuppetdbTable},
    Field{.key = "scaleway_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kScalewayTable},
    Field{.key = "serverset_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kServersetTable},
    Field{.key = "stackit_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kStackitTable},
    Field{.key = "static_configs",
          .type = Type::List,
          .element = Type::Mapping,
          .table = &kStaticTable},
    Field{.key = "triton_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kTritonTable},
    Field{.key = "uyuni_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kUyuniTable},
    Field{.key = "vultr_sd_configs",
          .type = Type::List,
          .flags = kNotBuilt,
          .element = Type::Mapping,
          .table = &kVultrTable},
    Field{.key = "zookeeper_sd_configs",
          .type = Type::List,
          .element = Type::Mapping,
          .table = &kZookeeperTable},
};

}  // namespace config
