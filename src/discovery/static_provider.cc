#include "discovery/static_provider.h"

#include "discovery/refresh_loop.h"

namespace discovery {
namespace {

class StaticProvider final : public Provider {
 public:
  StaticProvider(config::StaticDiscovery config, const std::string& name,
                 const ProviderParts& parts)
      : config_(std::move(config)), loop_(RefreshLoop::create({"static", name, 0}, parts)) {
    for (size_t i = 0; i < config_.groups.size(); ++i) {
      config_.groups[i].source = fmt::format("{}", i);
    }
  }
  ~StaticProvider() override { loop_->stop(); }

  void start(Update update) override {
    loop_->start(std::move(update), [this](const RefreshLoop::Done& done) {
      done(Refreshed{config_.groups, {}, {}});
    });
  }
  void stop() override { loop_->stop(); }
  ProviderStatus status() const override { return loop_->status(); }

 private:
  config::StaticDiscovery config_;
  const std::shared_ptr<RefreshLoop> loop_;
};

}  // namespace

core::Result<std::unique_ptr<Provider>> make_static_provider(const config::StaticDiscovery& config,
                                                             const std::string& name,
                                                             const ProviderParts& parts) {
  return std::make_unique<StaticProvider>(config, name, parts);
}

}  // namespace discovery
