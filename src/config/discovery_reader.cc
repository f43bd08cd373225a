#include "config/discovery_reader.h"

#include "config/discovery_tables.h"

#include <algorithm>
#include <re2/re2.h>
#include <set>

namespace config {
namespace {

using core::Result;

// A key that must not be empty, and what is said otherwise; or what it may be.
struct Requirement {
  std::string_view kind;
  std::string_view key;
  std::string_view message;
};
constexpr Requirement kRequired[] = {
    {"azure_sd_configs", "subscription_id", "azure SD configuration requires a subscription_id"},
    {"consul_sd_configs", "server", "consul SD configuration requires a server address"},
    {"docker_sd_configs", "host", "host missing"},
    {"dockerswarm_sd_configs", "host", "host missing"},
    {"dockerswarm_sd_configs", "role", "role missing (one of: tasks, services, nodes)"},
    {"etcd_sd_configs", "endpoints", "etcd SD configuration must contain at least one endpoint"},
    {"etcd_sd_configs", "prefix", "etcd SD configuration requires a prefix"},
    {"eureka_sd_configs", "server", "eureka_sd: empty or null eureka server"},
    {"file_sd_configs", "files",
     "file service discovery config must contain at least one path name"},
    {"gce_sd_configs", "project", "GCE SD configuration requires a project"},
    {"gce_sd_configs", "zone", "GCE SD configuration requires a zone"},
    {"hetzner_sd_configs", "role", "role missing (one of: robot, hcloud)"},
    {"http_sd_configs", "url", "URL is missing"},
    {"ionos_sd_configs", "datacenter_id", "datacenter id can't be empty"},
    {"kubernetes_sd_configs", "role",
     "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)"},
    {"kuma_sd_configs", "server", "kuma SD server must not be empty: "},
    {"marathon_sd_configs", "servers", "marathon_sd: must contain at least one Marathon server"},
    {"nerve_sd_configs", "servers", "nerve SD config must contain at least one Zookeeper server"},
    {"nerve_sd_configs", "paths", "nerve SD config must contain at least one path"},
    {"nomad_sd_configs", "server", "nomad SD configuration requires a server address"},
    {"openstack_sd_configs", "role", "role missing (one of: instance, hypervisor, loadbalancer)"},
    {"openstack_sd_configs", "region", "openstack SD configuration requires a region"},
    {"ovhcloud_sd_configs", "endpoint", "endpoint can not be empty"},
    {"ovhcloud_sd_configs", "application_key", "application key can not be empty"},
    {"ovhcloud_sd_configs", "application_secret", "application secret can not be empty"},
    {"ovhcloud_sd_configs", "consumer_key", "consumer key can not be empty"},
    {"puppetdb_sd_configs", "url", "URL is missing"},
    {"puppetdb_sd_configs", "query", "query missing"},
    {"scaleway_sd_configs", "role", "role missing (one of: instance, baremetal)"},
    {"scaleway_sd_configs", "project_id", "project_id is mandatory"},
    {"scaleway_sd_configs", "access_key", "access_key is mandatory"},
    {"serverset_sd_configs", "servers",
     "serverset SD config must contain at least one Zookeeper server"},
    {"serverset_sd_configs", "paths", "serverset SD config must contain at least one path"},
    {"triton_sd_configs", "account", "triton SD configuration requires an account"},
    {"triton_sd_configs", "dns_suffix", "triton SD configuration requires a dns_suffix"},
    {"triton_sd_configs", "endpoint", "triton SD configuration requires an endpoint"},
    {"uyuni_sd_configs", "server", "Uyuni SD configuration requires server host"},
    {"uyuni_sd_configs", "username", "Uyuni SD configuration requires a username"},
    {"uyuni_sd_configs", "password", "Uyuni SD configuration requires a password"},
    {"zookeeper_sd_configs", "servers",
     "zookeeper SD configuration must contain at least one server"},
    {"zookeeper_sd_configs", "prefix", "zookeeper SD configuration requires a prefix"},
};

struct Choice {
  std::string_view kind;
  std::string_view key;
  std::string_view values;   // "|a|b|"
  std::string_view message;  // {} is the value that was found
};
constexpr Choice kChoices[] = {
    {"azure_sd_configs", "authentication_method", "|OAuth|ManagedIdentity|SDK|",
     "unknown authentication_type \"{}\". Supported types are \"OAuth\", \"ManagedIdentity\" or "
     "\"SDK\""},
    {"dockerswarm_sd_configs", "role", "|services|nodes|tasks|",
     "invalid role {}, expected tasks, services, or nodes"},
    {"hetzner_sd_configs", "role", "|robot|hcloud|",
     "unknown role \"{}\", expected robot or hcloud"},
    {"kubernetes_sd_configs", "role", "|node|pod|service|endpoints|endpointslice|ingress|",
     "unknown Kubernetes SD role \"{}\", expected pod, service, endpoints, endpointslice, node or "
     "ingress"},
    {"openstack_sd_configs", "role", "|hypervisor|instance|loadbalancer|",
     "unknown OpenStack SD role \"{}\", expected instance, hypervisor or loadbalancer"},
    {"openstack_sd_configs", "availability", "|public|internal|admin|",
     "unknown availability {}, must be one of admin, internal or public"},
    {"ovhcloud_sd_configs", "service", "|dedicated_server|vps|",
     "unknown service: {}, expected dedicated_server or vps"},
    {"scaleway_sd_configs", "role", "|instance|baremetal|",
     "unknown role \"{}\", expected instance or baremetal"},
    {"triton_sd_configs", "role", "|container|cn|",
     "triton SD configuration requires role to be 'container' or 'cn', found \"{}\""},
};

bool is_blank(const Value& value) {
  if (value.type == Type::Text) return value.text.find_first_not_of(" \t") == std::string::npos;
  return value.is_zero();
}

Result<void> check_members(std::string_view kind, const Value& value, const Source& source) {
  for (const Requirement& required : kRequired) {
    if (required.kind != kind || !is_blank(value.at(required.key))) continue;
    return error_at(source, value, required.message);
  }
  for (const Choice& choice : kChoices) {
    if (choice.kind != kind) continue;
    const Value& member = value.at(choice.key);
    const bool is_known = !member.text.empty() && member.text.find('|') == std::string::npos &&
                          choice.values.find("|" + member.text + "|") != std::string_view::npos;
    if (is_known) continue;
    return error_at(source, member, fmt::format(fmt::runtime(choice.message), member.text));
  }
  return {};
}

// A refresh of nothing would never come, or never end.
Result<int64_t> refresh_interval(const Value& value, const Source& source) {
  const Value& interval = value.at("refresh_interval");
  if (interval.number > 0) return interval.number;
  return error_at(source, interval, "refresh_interval must be greater than 0");
}

Result<model::Labels> take_labels(const Value& labels, const Source& source) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Value& label : labels.items) {
    if (label.key.empty()) return error_at(source, label, "\"\" is not a valid label name");
    pairs.emplace_back(label.key, label.text);
  }
  return model::Labels::of(std::move(pairs));
}

Result<StaticDiscovery> take_static(const Value& groups, const Source& source) {
  StaticDiscovery discovery;
  for (const Value& group : groups.items) {
    TargetGroup& taken = discovery.groups.emplace_back();
    taken.source = std::to_string(discovery.groups.size() - 1);
    taken.labels = TRY(take_labels(group.at("labels"), source));
    for (const Value& target : group.at("targets").items) {
      taken.targets.push_back(model::Labels::of({{"__address__", target.text}}));
    }
  }
  return discovery;
}

Result<FileDiscovery> take_file(const Value& value, const Source& source) {
  static const re2::RE2 kFileName(R"([^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML))");
  FileDiscovery discovery;
  for (const Value& file : value.at("files").items) {
    if (!re2::RE2::FullMatch(file.text, kFileName)) {
      return error_at(source, file,
                      fmt::format("path name \"{}\" is not valid for file discovery, expected a "
                                  "name that ends in .json, .yml or .yaml with '*' only in its "
                                  "last part",
                                  file.text));
    }
    discovery.files.push_back(file.text);
  }
  discovery.refresh_interval_ms = TRY(refresh_interval(value, source));
  return discovery;
}

Result<void> check_http_url(const Value& url, const Source& source) {
  const UrlParts parts = url_parts(url.text);
  if (parts.scheme != "http" && parts.scheme != "https") {
    return error_at(source, url, "URL scheme must be 'http' or 'https'");
  }
  if (parts.host.empty()) return error_at(source, url, "host is missing in URL");
  return {};
}

Result<HttpDiscovery> take_http(Value& value, const Source& source) {
  HttpDiscovery discovery;
  const Value& url = value.at("url");
  TRY(check_http_url(url, source));
  discovery.url = url.text;
  discovery.refresh_interval_ms = TRY(refresh_interval(value, source));
  discovery.client = TRY(take_client_config(value, source));
  return discovery;
}

Result<uint16_t> port_of(const Value& port, const Source& source) {
  if (port.number >= 0 && port.number <= 65535) return static_cast<uint16_t>(port.number);
  return error_at(source, port,
                  fmt::format("port: {} is not a port, expected 0 to 65535", port.number));
}

Result<DnsDiscovery> take_dns(const Value& value, const Source& source) {
  DnsDiscovery discovery;
  discovery.names = value.at("names").texts();
  if (discovery.names.empty()) {
    return error_at(source, value, "DNS-SD config must contain at least one SRV record name");
  }
  const Value& type = value.at("type");
  discovery.type = type.text;
  for (char& c : discovery.type) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c ^ 0x20);
  }
  constexpr std::string_view kTypes[] = {"SRV", "A", "AAAA", "MX", "NS"};
  if (std::ranges::count(kTypes, discovery.type) == 0) {
    return error_at(
        source, type,
        fmt::format("invalid DNS-SD records type {}, expected SRV, A, AAAA, MX or NS", type.text));
  }
  discovery.port = TRY(port_of(value.at("port"), source));
  if (discovery.type != "SRV" && discovery.port == 0) {
    return error_at(source, value,
                    "a port is required in DNS-SD configs for all record types except SRV");
  }
  discovery.refresh_interval_ms = TRY(refresh_interval(value, source));
  return discovery;
}

Result<EtcdDiscovery> take_etcd(const Value& value, const Source& source) {
  EtcdDiscovery discovery;
  for (const Value& endpoint : value.at("endpoints").items) {
    const UrlParts parts = url_parts(endpoint.text);
    if ((parts.scheme != "http" && parts.scheme != "https") || parts.host.empty()) {
      return error_at(source, endpoint,
                      fmt::format("endpoints: \"{}\" is not an etcd endpoint, expected "
                                  "http://host:port or https://host:port",
                                  hide_password(endpoint.text)));
    }
    discovery.endpoints.push_back(endpoint.text);
  }
  discovery.prefix = value.at("prefix").text;
  discovery.username = value.at("username").text;
  discovery.password = {.value = core::Secret(value.at("password").text),
                        .file = value.at("password_file").text};
  if (!discovery.password.value.empty() && !discovery.password.file.empty()) {
    return error_at(source, value, "at most one of password & password_file must be configured");
  }
  if (discovery.username.empty() && !discovery.password.empty()) {
    return error_at(source, value, "a password for etcd needs a username");
  }
  discovery.tls = TRY(take_tls_config(value.at("tls_config"), source));
  discovery.refresh_interval_ms = TRY(refresh_interval(value, source));
  return discovery;
}

Result<ZookeeperDiscovery> take_zookeeper(const Value& value, const Source& source) {
  ZookeeperDiscovery discovery;
  for (const Value& server : value.at("servers").items) {
    const size_t colon = server.text.rfind(':');
    const std::string_view port = colon == std::string::npos
                                      ? std::string_view()
                                      : std::string_view(server.text).substr(colon + 1);
    const bool is_port = !port.empty() && port.size() <= 5 &&
                         std::ranges::all_of(port, [](char c) { return c >= '0' && c <= '9'; });
    if (!is_port || colon == 0 || server.text.find('/') != std::string::npos) {
      return error_at(source, server,
                      fmt::format("servers: \"{}\" is not a ZooKeeper server, expected host:port",
                                  server.text));
    }
    discovery.servers.push_back(server.text);
  }
  const Value& prefix = value.at("prefix");
  if (!prefix.text.starts_with('/')) {
    return error_at(source, prefix, fmt::format("prefix: \"{}\" must begin with '/'", prefix.text));
  }
  discovery.prefix = prefix.text;
  const Value& timeout = value.at("session_timeout");
  if (timeout.number <= 0) {
    return error_at(source, timeout, "session_timeout must be greater than 0");
  }
  discovery.session_timeout_ms = timeout.number;
  discovery.refresh_interval_ms = TRY(refresh_interval(value, source));
  return discovery;
}

bool has_client_fields(const Value& value) {
  return std::ranges::any_of(value.items, [](const Value& v) { return v.key == "http_headers"; });
}

Result<void> check_kubernetes(const Value& value, const net::ClientConfig& client,
                              const Source& source) {
  const bool has_server = value.at("api_server").given;
  const bool has_file = !value.at("kubeconfig_file").is_zero();
  const bool has_client = client != net::ClientConfig{};
  const bool own_namespace = value.at("namespaces").at("own_namespace").is_on();
  if (has_server && has_file) {
    return error_at(source, value, "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
  }
  if (has_file && has_client) {
    return error_at(
        source, value,
        "cannot use a custom HTTP client configuration together with 'kubeconfig_file'");
  }
  if (!has_server && has_client) {
    return error_at(source, value,
                    "to use custom HTTP client configuration please provide the 'api_server' URL "
                    "explicitly");
  }
  if ((has_server || has_file) && own_namespace) {
    return error_at(source, value,
                    fmt::format("cannot use '{}' and 'namespaces.own_namespace' simultaneously",
                                has_server ? "api_server" : "kubeconfig_file"));
  }
  return {};
}

// Which objects a role's selectors may be about (discovery/kubernetes).
std::string_view selectors_of(std::string_view role) {
  if (role == "endpointslice") return "pod, service, endpointslice";
  if (role == "endpoints") return "pod, service, endpoints";
  return role;
}

Result<void> check_selectors(const Value& value, const Source& source) {
  const std::string& role = value.at("role").text;
  const std::string_view allowed = selectors_of(role);
  std::set<std::string> seen;
  for (const Value& selector : value.at("selectors").items) {
    if (!selector.given) return error_at(source, selector, "empty or null section in selectors");
    const std::string& own = selector.at("role").text;
    if (!seen.insert(own).second) {
      return error_at(source, selector, fmt::format("duplicated selector role: {}", own));
    }
    const std::string list = fmt::format(", {},", allowed);
    if (list.find(fmt::format(", {},", own)) == std::string::npos) {
      return error_at(source, selector,
                      fmt::format("{} role supports only {} selectors", role, allowed));
    }
    std::string_view rest = selector.at("field").text;
    while (!rest.empty()) {
      const std::string_view term = rest.substr(0, rest.find(','));
      rest.remove_prefix(std::min(rest.size(), term.size() + 1));
      if (term.find('=') != std::string_view::npos) continue;
      return error_at(source, selector.at("field"),
                      fmt::format("invalid selector: '{}'; can't understand '{}'",
                                  selector.at("field").text, term));
    }
  }
  return {};
}

Result<void> check_azure(const Value& value, const Source& source) {
  if (value.at("authentication_method").text != "OAuth") return {};
  for (const std::string_view key : {"tenant_id", "client_id", "client_secret"}) {
    if (!value.at(key).is_zero()) continue;
    return error_at(source, value, fmt::format("azure SD configuration requires a {}", key));
  }
  return {};
}

Result<void> check_marathon(const Value& value, const Source& source) {
  const Value& token = value.at("auth_token");
  const Value& file = value.at("auth_token_file");
  if (token.is_zero() && file.is_zero()) return {};
  std::string_view message;
  if (!token.is_zero() && !file.is_zero()) {
    message = "marathon_sd: at most one of auth_token & auth_token_file must be configured";
  } else if (value.at("basic_auth").given) {
    message =
        "marathon_sd: at most one of basic_auth, auth_token & auth_token_file must be configured";
  } else if (!value.at("bearer_token").is_zero() || !value.at("bearer_token_file").is_zero()) {
    message =
        "marathon_sd: at most one of bearer_token, bearer_token_file, auth_token & "
        "auth_token_file must be configured";
  } else if (value.at("authorization").given) {
    message =
        "marathon_sd: at most one of auth_token, auth_token_file & authorization must be "
        "configured";
  } else {
    return {};
  }
  return error_at(source, value, message);
}

// Addresses that must be whole URLs, each with its own words for it.
Result<void> check_server_url(std::string_view kind, const Value& value, const Source& source) {
  const bool is_kuma = kind == "kuma_sd_configs";
  if (!is_kuma && kind != "eureka_sd_configs") return {};
  const Value& server = value.at("server");
  const UrlParts parts = url_parts(server.text);
  if (!parts.scheme.empty() && !parts.host.empty()) return {};
  if (!is_kuma) return error_at(source, server, "eureka_sd: invalid eureka server URL");
  return error_at(
      source, server,
      fmt::format("kuma SD server must not be empty and have a scheme: {}", server.text));
}

// What is not built is held to Prometheus's rules all the same, as far as they are simple.
Result<void> check_other(std::string_view kind, Value& value, const Source& source) {
  if (kind == "consul_sd_configs" && value.at("basic_auth").given &&
      !(value.at("username").is_zero() && value.at("password").is_zero())) {
    return error_at(source, value.at("basic_auth"),
                    "at most one of consul SD configuration username and password and basic auth "
                    "can be configured");
  }
  if (kind == "azure_sd_configs") TRY(check_azure(value, source));
  if (kind == "marathon_sd_configs") TRY(check_marathon(value, source));
  if (kind == "ec2_sd_configs") {
    for (const Value& filter : value.at("filters").items) {
      if (filter.given && !filter.at("values").is_zero()) continue;
      return error_at(source, filter, "EC2 SD configuration filter values cannot be empty");
    }
  }
  if (kind == "stackit_sd_configs") {
    const Value& endpoint = value.at("endpoint");
    if (const Result<void> url = check_url(endpoint.text); !url) {
      return error_at(source, endpoint,
                      fmt::format("stackit_sd: invalid endpoint {}", url.error().message));
    }
  }
  TRY(check_server_url(kind, value, source));
  if (kind == "puppetdb_sd_configs") TRY(check_http_url(value.at("url"), source));
  if (kind == "serverset_sd_configs" || kind == "nerve_sd_configs") {
    for (const Value& path : value.at("paths").items) {
      if (path.text.starts_with('/')) continue;
      return error_at(source, path,
                      fmt::format("{} SD config paths must begin with '/': {}",
                                  kind.substr(0, kind.find('_')), path.text));
    }
  }
  if (kind == "scaleway_sd_configs") {
    const bool has_key = !value.at("secret_key").is_zero();
    if (has_key == !value.at("secret_key_file").is_zero()) {
      return error_at(source, value,
                      fmt::format("{} of secret_key & secret_key_file must be configured",
                                  has_key ? "at most one" : "one"));
    }
  }
  if (!has_client_fields(value)) return {};
  const net::ClientConfig client = TRY(take_client_config(value, source));
  if (kind == "kubernetes_sd_configs") {
    TRY(check_kubernetes(value, client, source));
    TRY(check_selectors(value, source));
  }
  return {};
}

Result<void> take_one(std::string_view kind, Value& value, const Source& source,
                      std::vector<DiscoveryConfig>& taken) {
  TRY(check_members(kind, value, source));
  if (kind == "file_sd_configs") {
    taken.emplace_back(TRY(take_file(value, source)));
  } else if (kind == "http_sd_configs") {
    taken.emplace_back(TRY(take_http(value, source)));
  } else if (kind == "dns_sd_configs") {
    taken.emplace_back(TRY(take_dns(value, source)));
  } else if (kind == "etcd_sd_configs") {
    taken.emplace_back(TRY(take_etcd(value, source)));
  } else if (kind == "zookeeper_sd_configs") {
    taken.emplace_back(TRY(take_zookeeper(value, source)));
  } else {
    TRY(check_other(kind, value, source));
  }
  return {};
}

}  // namespace

Result<std::vector<DiscoveryConfig>> take_discoveries(Value& value, const Source& source) {
  std::vector<DiscoveryConfig> taken;
  const Value* static_groups = nullptr;
  for (const Field& field : kDiscoveryFields) {
    Value& list = value.at(field.key);
    for (Value& item : list.items) {
      if (!item.given) {
        return error_at(source, item, fmt::format("empty or null section in {}", field.key));
      }
      if (field.key != "static_configs") TRY(take_one(field.key, item, source, taken));
    }
    if (field.key == "static_configs" && !list.items.empty()) static_groups = &list;
  }
  if (static_groups != nullptr) {
    taken.emplace_back(TRY(take_static(*static_groups, source)));
  }
  return taken;
}

Result<void> check_static_targets(const Value& value, const Source& source) {
  for (const Value& group : value.at("static_configs").items) {
    for (const Value& target : group.at("targets").items) {
      if (target.text.find('/') == std::string::npos) continue;
      return error_at(source, target,
                      fmt::format("\"{}\" is not a valid hostname, expected host:port without a "
                                  "scheme or path",
                                  target.text));
    }
  }
  return {};
}

}  // namespace config
