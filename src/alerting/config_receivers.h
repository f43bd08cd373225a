// One receiver of the configuration file: the checks that Alertmanager makes for every
// kind of channel, and the values of the kinds that are built.

#pragma once

#include "alerting/config.h"
#include "config/schema.h"
#include "core/result.h"

#include <string>
#include <string_view>

namespace alerting {

// `global` is the section of that name, defaults filled in.
core::Result<Receiver> take_receiver(config::Value& value, const config::Value& global,
                                     const config::Source& source);
// What the section says about itself.
core::Result<void> check_global(config::Value& global, const config::Source& source);

// http:// or https:// and a host; the error does not repeat the URL, which may be secret.
core::Result<void> check_http_url(std::string_view url);
// Go's time.ParseDuration: "1h30m", "1.5s"; milliseconds, rounded up.
core::Result<int64_t> parse_go_duration_ms(std::string_view text);

}  // namespace alerting
