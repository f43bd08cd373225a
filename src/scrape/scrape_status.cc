// What the API shows of scraping.

#include "core/metrics.h"
#include "scrape/scrape_manager_impl.h"

#include <algorithm>

namespace scrape {
namespace {

struct UrlParts {
  std::string_view scheme;
  std::string_view host;  // without brackets
  std::string_view port;  // with ':'
  std::string_view rest;
};

UrlParts split(std::string_view url) {
  UrlParts parts;
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) return parts;
  parts.scheme = url.substr(0, colon);
  std::string_view rest = url.substr(colon + 3);
  const size_t path = rest.find_first_of("/?#");
  std::string_view authority = rest.substr(0, path);
  parts.rest = path == std::string_view::npos ? std::string_view() : rest.substr(path);
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    authority.remove_prefix(at + 1);
  }
  const size_t port = authority.rfind(':');
  const bool has_port =
      port != std::string_view::npos && authority.find(']', port) == std::string_view::npos;
  parts.host = authority.substr(0, has_port ? port : authority.size());
  if (has_port) parts.port = authority.substr(port);
  return parts;
}

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

std::string_view health_of(const ScrapeTarget& target) {
  if (target.last_scrape_ms == 0) return "unknown";
  return target.last_error.empty() ? "up" : "down";
}

}  // namespace

// A target on loopback can be reached from elsewhere under this server's own name.
std::string ScrapeManagerImpl::global_url(const std::string& url) const {
  const UrlParts target = split(url);
  const UrlParts own = split(options_.external_url);
  if (own.host.empty() || !is_loopback(target.host)) return url;
  return fmt::format("{}://{}{}{}", target.scheme, own.host, target.port, target.rest);
}

template <typename Visit>
void ScrapeManagerImpl::for_each_pool(std::string_view name, Visit visit) const {
  for (const auto& [pool_name, pool] : pools_) {
    if (name.empty() || name == pool_name) visit(*pool);
  }
}

std::vector<std::string> ScrapeManagerImpl::pools() const {
  std::vector<std::string> names;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, pool] : pools_) names.push_back(name);
  return names;
}

std::vector<PoolView> ScrapeManagerImpl::pool_views(std::string_view name) const {
  std::vector<PoolView> views;
  std::vector<std::vector<std::shared_ptr<Feed>>> feeds;
  {
    const std::lock_guard lock(mutex_);
    for_each_pool(name, [&](const ScrapePool& pool) {
      PoolView view{.name = pool.name,
                    .active = pool.targets.size(),
                    .dropped = pool.dropped_count,
                    .up = 0,
                    .discoveries = {},
                    .error = pool.error};
      for (const auto& [key, target] : pool.targets) {
        view.up += health_of(*target) == "up" ? 1 : 0;
      }
      views.push_back(std::move(view));
      feeds.push_back(pool.feeds);
    });
  }
  // Providers have locks of their own.
  for (size_t i = 0; i < views.size(); ++i) {
    for (const auto& feed : feeds[i]) {
      discovery::ProviderStatus status = feed->provider->status();
      views[i].discoveries.push_back({std::move(status.kind), std::move(status.last_error),
                                      status.last_success_ms, std::move(status.invalid)});
    }
  }
  return views;
}

std::vector<TargetView> ScrapeManagerImpl::active(std::string_view name) const {
  std::vector<TargetView> views;
  {
    const std::lock_guard lock(mutex_);
    for_each_pool(name, [&](const ScrapePool& pool) {
      for (const auto& [key, target] : pool.targets) {
        views.push_back({.pool = pool.name,
                         .discovered = target->discovered,
                         .labels = target->labels,
                         .url = target->url,
                         .global_url = {},
                         .health = std::string(health_of(*target)),
                         .last_error = target->last_error,
                         .last_scrape_ms = target->last_scrape_ms,
                         .last_duration_s = target->last_duration_s,
                         .interval_ms = target->schedule.options().interval_ms,
                         .timeout_ms = target->schedule.options().timeout_ms,
                         .samples_scraped = target->samples_scraped,
                         .samples_after_relabel = target->samples_after_relabel,
                         .bytes = target->bytes,
                         .slow_lane = target->schedule.is_slow()});
      }
    });
  }
  for (TargetView& view : views) view.global_url = global_url(view.url);
  // By pool, then labels: pages and people look for a target, not for a hash.
  std::sort(views.begin(), views.end(), [](const TargetView& a, const TargetView& b) {
    if (a.pool != b.pool) return a.pool < b.pool;
    const int order = model::compare(a.labels, b.labels);
    return order != 0 ? order < 0 : a.url < b.url;
  });
  return views;
}

std::vector<DroppedView> ScrapeManagerImpl::dropped(std::string_view name) const {
  std::vector<DroppedView> views;
  const std::lock_guard lock(mutex_);
  for_each_pool(name, [&](const ScrapePool& pool) {
    views.insert(views.end(), pool.dropped.begin(), pool.dropped.end());
  });
  return views;
}

std::vector<MetadataView> ScrapeManagerImpl::metadata(
    const std::string& metric, const std::function<bool(model::LabelsView)>& is_wanted,
    size_t limit) const {
  std::vector<TargetPtr> targets;
  {
    const std::lock_guard lock(mutex_);
    for_each_pool("", [&](const ScrapePool& pool) {
      for (const auto& [key, target] : pool.targets) targets.push_back(target);
    });
  }
  std::vector<MetadataView> views;
  for (const TargetPtr& target : targets) {
    if (is_wanted && !is_wanted(target->labels)) continue;
    for (const SharedMetadata& one : target->series.metadata.list()) {
      if (!metric.empty() && one->metric != metric) continue;
      if (limit > 0 && views.size() >= limit) return views;
      views.push_back({target->labels, *one});
    }
  }
  return views;
}

core::Result<std::vector<RelabelStepView>> ScrapeManagerImpl::relabel_steps(
    std::string_view name, const model::Labels& labels) const {
  std::shared_ptr<const PoolSettings> settings;
  {
    const std::lock_guard lock(mutex_);
    const auto found = pools_.find(name);
    if (found == pools_.end()) {
      return core::fail(core::ErrorCode::NotFound, "scrape pool \"{}\" not found", name);
    }
    settings = found->second->settings;
  }
  std::vector<RelabelStepView> steps;
  model::LabelsBuilder builder(labels);
  bool is_kept = true;
  for (const model::RelabelRule& rule : settings->config.relabel_rules) {
    is_kept = is_kept && rule.apply(builder);
    steps.push_back({rule.config(), is_kept ? builder.build() : model::Labels(), is_kept});
  }
  return steps;
}

}  // namespace scrape
