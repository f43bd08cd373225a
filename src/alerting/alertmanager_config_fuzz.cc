// Any text: an error, or a configuration whose routes take an alert somewhere.

#include "alerting/config.h"
#include "core/result.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  const alerting::ReadFile read = [](const std::string&) -> core::Result<std::string> {
    return std::string("{{ define \"x\" }}{{ end }}");
  };
  const auto loaded = alerting::read_config(text, "am.yml", read);
  if (!loaded) return 0;
  const alerting::Config& config = loaded->config;
  const auto routes =
      alerting::find_routes(config.route, model::Labels::of({{"alertname", "X"}, {"team", "a"}}));
  ENSURE(!routes.empty());
  for (const alerting::Route* route : routes) {
    ENSURE(config.find_receiver(route->receiver) != nullptr);
    ENSURE(alerting::find_route(config.route, route->receiver, route->ordinal) == route);
  }
  return 0;
}
