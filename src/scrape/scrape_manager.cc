#include "scrape/scrape_manager.h"

#include "core/log.h"
#include "scrape/scrape_manager_impl.h"
#include "scrape/scrape_metrics.h"

#include <algorithm>
#include <set>

namespace scrape {

using core::Result;

std::unique_ptr<ScrapeManager> ScrapeManager::create(ScrapeManagerOptions options,
                                                     ScrapeManagerParts parts) {
  return std::make_unique<ScrapeManagerImpl>(std::move(options), std::move(parts));
}

ScrapeManagerImpl::ScrapeManagerImpl(ScrapeManagerOptions options, ScrapeManagerParts parts)
    : options_(std::move(options)),
      parts_(std::move(parts)),
      hasher_(parts_.rng),
      writer_({.kept_samples_max = options_.kept_samples_max}, parts_.sink, parts_.scheduler,
              parts_.executor, [this] { metadata_table_.forget_told(); }) {
  clock_offset_ms_ = parts_.clock.now_ms() - parts_.clock.monotonic_ns() / 1'000'000;
}

ScrapeManagerImpl::~ScrapeManagerImpl() {
  stop();
}

Result<std::shared_ptr<Client>> ScrapeManagerImpl::make_client(const config::ScrapeConfig& config) {
  auto client = std::make_shared<Client>();
  client->http =
      TRY(parts_.make_client ? parts_.make_client(config.client)
                             : net::HttpClient::create(parts_.loop, config.client, parts_.files));
  return client;
}

Result<std::shared_ptr<Feed>> ScrapeManagerImpl::make_feed(const config::DiscoveryConfig& config,
                                                           const std::string& name) {
  const discovery::ProviderParts parts{.scheduler = parts_.scheduler,
                                       .executor = parts_.discovery,
                                       .clock = parts_.clock,
                                       .files = parts_.files,
                                       .rng = parts_.rng,
                                       .loop = parts_.loop,
                                       .state_dir = options_.state_dir};
  auto feed = std::make_shared<Feed>();
  feed->config = config;
  feed->provider = TRY(parts_.make_provider ? parts_.make_provider(config, name, parts)
                                            : discovery::make_provider(config, name, parts));
  return feed;
}

Result<ScrapeManagerImpl::Plan> ScrapeManagerImpl::plan_pool(config::ScrapeConfig config) {
  Plan plan;
  plan.settings = TRY(make_settings(std::move(config)));
  const config::ScrapeConfig& wanted = plan.settings->config;
  std::vector<std::shared_ptr<Feed>> old_feeds;
  bool keeps_client = false;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = pools_.find(wanted.job_name); found != pools_.end()) {
      plan.pool = found->second;
      plan.is_same = is_same(plan.pool->settings->config, wanted);
      if (plan.is_same) return plan;
      old_feeds = plan.pool->feeds;
      keeps_client = plan.pool->settings->config.client == wanted.client;
    }
  }
  if (!keeps_client) plan.client = TRY(make_client(wanted));
  for (size_t i = 0; i < wanted.discoveries.size(); ++i) {
    const auto same = std::find_if(old_feeds.begin(), old_feeds.end(), [&](const auto& feed) {
      return feed->config == wanted.discoveries[i];
    });
    if (same != old_feeds.end()) {
      plan.feeds.push_back(*same);
      old_feeds.erase(same);
      continue;
    }
    plan.feeds.push_back(
        TRY(make_feed(wanted.discoveries[i], fmt::format("{}/{}", wanted.job_name, i))));
    plan.new_feeds.push_back(plan.feeds.back());
  }
  return plan;
}

Result<void> ScrapeManagerImpl::apply(std::vector<config::ScrapeConfig> scrapes,
                                      const model::Labels& /*external_labels*/) {
  const std::lock_guard one_at_a_time(apply_mutex_);
  std::vector<Plan> plans;
  std::set<std::string> names;
  for (config::ScrapeConfig& config : scrapes) {
    const std::string name = config.job_name;
    names.insert(name);
    scrape_metrics().pools.add();
    Result<Plan> plan = plan_pool(std::move(config)).context("scrape_configs: job \"{}\"", name);
    if (!plan) {
      scrape_metrics().pools_failed.add();
      return tl::unexpected(std::move(plan).error());
    }
    plans.push_back(std::move(*plan));
  }

  Retired retired;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return core::fail(core::ErrorCode::Cancelled, "scraping has been stopped");
    for (auto at = pools_.begin(); at != pools_.end();) {
      const auto next = std::next(at);
      if (!names.contains(at->first)) {
        const PoolPtr pool = at->second;
        pools_.erase(at);
        remove_pool(pool, retired);
      }
      at = next;
    }
    for (Plan& plan : plans) {
      if (!plan.is_same) commit(std::move(plan), retired);
    }
    arm(parts_.clock.now_ms());
  }
  // Providers call back while they start, and stopping waits for their callbacks.
  for (const auto& feed : retired.feeds) feed->provider->stop();
  for (const auto& [pool, feed] : retired.to_start) {
    feed->provider->start(
        [this, gate = gate_, pool = pool, feed = feed](std::vector<config::TargetGroup> groups) {
          if (const Gate::Pass pass(*gate); pass) on_update(pool, feed, std::move(groups));
        });
  }
  for (const PoolPtr& pool : retired.changed) sync(pool);
  metadata_table_.purge();
  return {};
}

void ScrapeManagerImpl::commit(Plan plan, Retired& retired) {
  PoolPtr pool = plan.pool;
  const bool is_new = !pool;
  if (is_new) {
    pool = std::make_shared<ScrapePool>();
    pool->name = plan.settings->config.job_name;
    pools_.emplace(pool->name, pool);
  } else {
    scrape_metrics().pool_reloads.add();
  }
  const auto former = std::exchange(pool->settings, plan.settings);
  if (plan.client) {
    if (pool->client) retire_client(std::move(pool->client));
    pool->client = std::move(plan.client);
  }
  for (const auto& feed : pool->feeds) {
    if (std::find(plan.feeds.begin(), plan.feeds.end(), feed) != plan.feeds.end()) continue;
    feed->is_retired = true;
    for (const auto& [source, group] : feed->groups) pool->former_groups.push_back(group);
    retired.feeds.push_back(feed);
  }
  pool->feeds = std::move(plan.feeds);
  for (auto& feed : plan.new_feeds) retired.to_start.emplace_back(pool, std::move(feed));
  if (former && !makes_same_series(former->config, pool->settings->config)) {
    for (const auto& [key, target] : pool->targets) target->keys_are_outdated = true;
    for (const auto& [key, target] : pool->ending) target->keys_are_outdated = true;
  }
  pool->is_dirty = true;
  retired.changed.push_back(pool);
}

// Prometheus leaves the series of a job that is removed without stale markers; here they
// get them, as if discovery had removed the targets.
void ScrapeManagerImpl::remove_pool(const PoolPtr& pool, Retired& retired) {
  pool->is_removed = true;
  pool->dropped.clear();
  pool->dropped_count = 0;
  for (const auto& feed : pool->feeds) {
    feed->is_retired = true;
    retired.feeds.push_back(feed);
  }
  pool->feeds.clear();
  std::vector<TargetPtr> all;
  for (const auto& [key, target] : pool->targets) all.push_back(target);
  pool->targets.clear();
  for (const TargetPtr& target : all) end_target(target);
  publish_pool_metrics(*pool);
  retire_client(std::move(pool->client));
}

void ScrapeManagerImpl::retire_client(std::shared_ptr<Client> client) {
  if (client) retired_clients_.push_back(std::move(client));
}

// To be destroyed without the mutex, on a thread that is none of the client's.
std::vector<std::shared_ptr<Client>> ScrapeManagerImpl::take_idle_clients() {
  std::vector<std::shared_ptr<Client>> idle;
  const auto is_idle = [&](const std::shared_ptr<Client>& client) {
    if (client->in_flight != 0) return false;
    idle.push_back(client);
    return true;
  };
  std::erase_if(retired_clients_, is_idle);
  return idle;
}

void ScrapeManagerImpl::stop() {
  const std::lock_guard one_at_a_time(apply_mutex_);
  std::vector<std::shared_ptr<Feed>> feeds;
  std::vector<std::shared_ptr<Client>> clients;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true)) return;
    parts_.scheduler.cancel(tick_timer_);
    for (const auto& [name, pool] : pools_) {
      feeds.insert(feeds.end(), pool->feeds.begin(), pool->feeds.end());
      clients.push_back(pool->client);
    }
    clients.insert(clients.end(), retired_clients_.begin(), retired_clients_.end());
  }
  for (const auto& feed : feeds) feed->provider->stop();
  gate_->close();
  // Answers of now are turned away at the gate.
  for (const auto& client : clients) client->http.reset();

  // What had been received is written; nobody else is left to do it.
  std::deque<ScrapeAnswer> rest;
  {
    const std::lock_guard lock(answers_mutex_);
    rest.swap(answers_);
  }
  std::vector<ScrapeAnswer> answers(std::make_move_iterator(rest.begin()),
                                    std::make_move_iterator(rest.end()));
  std::erase_if(answers,
                [](const ScrapeAnswer& one) { return one.kind != ScrapeAnswer::Kind::Fetched; });
  if (!answers.empty()) {
    ScrapeReader reader(hasher_, metadata_table_);
    auto batch = writer_.take_empty();
    batch->batch.tenant = options_.tenant;
    for (ScrapeAnswer& one : answers) read_one(reader, one, *batch);
    writer_.write(std::move(batch));
  }
  writer_.stop();

  // Pools and targets refer to each other, also those of removed jobs that were to end.
  std::set<PoolPtr> pools;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, pool] : pools_) pools.insert(pool);
    for (; !timers_.empty(); timers_.pop()) pools.insert(timers_.top().target->pool);
    pools_.clear();
    slow_waiting_.clear();
    retired_clients_.clear();
  }
  for (const PoolPtr& pool : pools) {
    pool->targets.clear();
    pool->ending.clear();
  }
}

}  // namespace scrape
