#include "discovery/dns_provider.h"

#include "core/log.h"
#include "discovery/dns_lookup.h"
#include "discovery/refresh_loop.h"

#include <utility>

namespace discovery {
namespace {

// How long one look may keep a worker busy while servers do not answer. Names that are
// not reached keep their targets and come first the next time.
constexpr int64_t kLookMaxNs = 10'000'000'000;

std::string join_host_port(const std::string& host, uint16_t port) {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

config::TargetGroup make_group(const std::string& name, const std::vector<DnsRecord>& records,
                               DnsType type, uint16_t configured_port) {
  config::TargetGroup group;
  group.source = name;
  for (const DnsRecord& record : records) {
    // The final dot stays in the meta labels and goes from the address.
    std::string host = record.target;
    while (host.ends_with('.')) host.pop_back();
    std::vector<std::pair<std::string, std::string>> labels = {{"__meta_dns_name", name}};
    uint16_t port = configured_port;
    if (type == DnsType::Srv) {
      port = record.port;
      labels.emplace_back("__meta_dns_srv_record_target", record.target);
      labels.emplace_back("__meta_dns_srv_record_port", fmt::format("{}", record.port));
    } else if (type == DnsType::Mx) {
      labels.emplace_back("__meta_dns_mx_record_target", record.target);
    } else if (type == DnsType::Ns) {
      labels.emplace_back("__meta_dns_ns_record_target", record.target);
    }
    labels.emplace_back("__address__", join_host_port(host, port));
    group.targets.push_back(model::Labels::of(std::move(labels)));
  }
  return group;
}

class DnsProvider final : public Provider {
 public:
  DnsProvider(const config::DnsDiscovery& config, DnsType type, const std::string& name,
              const ProviderParts& parts, std::unique_ptr<DnsResolver> resolver)
      : config_(config),
        type_(type),
        clock_(parts.clock),
        loop_(RefreshLoop::create({"dns", name, config.refresh_interval_ms}, parts)),
        resolver_(std::move(resolver)) {}
  ~DnsProvider() override { loop_->stop(); }

  void start(Update update) override {
    loop_->start(std::move(update), [this](const RefreshLoop::Done& done) { refresh(done); });
  }
  void stop() override { loop_->stop(); }
  ProviderStatus status() const override { return loop_->status(); }

 private:
  void refresh(const RefreshLoop::Done& done);

  const config::DnsDiscovery config_;
  const DnsType type_;
  core::Clock& clock_;
  const std::shared_ptr<RefreshLoop> loop_;
  const std::unique_ptr<DnsResolver> resolver_;
  size_t first_ = 0;  // the name to begin with; one look at a time
};

// A name that cannot be asked for keeps its group; when none can, the look has failed.
void DnsProvider::refresh(const RefreshLoop::Done& done) {
  static core::Counter& lookups =
      core::counter("petrel_sd_dns_lookups_total", "DNS lookups for targets.");
  static core::Counter& failures =
      core::counter("petrel_sd_dns_lookup_failures_total", "DNS lookups for targets that failed.");
  Refreshed refreshed;
  const size_t count = config_.names.size();
  const size_t first = std::exchange(first_, 0);
  const int64_t began_ns = clock_.monotonic_ns();
  for (size_t i = 0; i < count; ++i) {
    const size_t index = (first + i) % count;
    const std::string& name = config_.names[index];
    if (loop_->is_stopped()) break;
    if (clock_.monotonic_ns() - began_ns > kLookMaxNs) {
      if (first_ == 0) first_ = index;
      refreshed.kept.insert(name);
      refreshed.invalid.push_back(
          fmt::format("could not resolve \"{}\": other names took too long", name));
      continue;
    }
    lookups.add();
    const auto records = look_up(*resolver_, name, type_);
    if (!records) {
      failures.add();
      refreshed.kept.insert(name);
      refreshed.invalid.push_back(records.error().message);
      continue;
    }
    refreshed.groups.push_back(make_group(name, *records, type_, config_.port));
  }
  if (refreshed.groups.empty() && !refreshed.invalid.empty()) {
    done(core::fail(core::ErrorCode::Unavailable, "{}", refreshed.invalid.front()));
    return;
  }
  done(std::move(refreshed));
}

}  // namespace

core::Result<std::unique_ptr<Provider>> make_dns_provider(const config::DnsDiscovery& config,
                                                          const std::string& name,
                                                          const ProviderParts& parts,
                                                          std::unique_ptr<DnsResolver> resolver) {
  const DnsType type = TRY(parse_dns_type(config.type));
  return std::make_unique<DnsProvider>(config, type, name, parts, std::move(resolver));
}

core::Result<std::unique_ptr<Provider>> make_dns_provider(const config::DnsDiscovery& config,
                                                          const std::string& name,
                                                          const ProviderParts& parts) {
  return make_dns_provider(config, name, parts, system_dns_resolver(config.server));
}

}  // namespace discovery
