// One request to etcd's gateway over net::StreamClient: where it goes, and what its end
// means.

#pragma once

#include "config/discovery_config.h"
#include "core/file_system.h"
#include "core/result.h"
#include "net/stream_client.h"

#include <string>
#include <string_view>

namespace discovery::etcd {

inline constexpr int64_t kCallTimeoutMs = 10'000;
// Of one answer or one message of a watch. A page of the largest entries has 44 MB.
inline constexpr size_t kAnswerSizeMax = 64 << 20;

// InvalidArgument unless there is one and none holds a password, which would show in
// errors.
core::Result<void> check_endpoints(const config::EtcdDiscovery& config);

// `path` as in "kv/range"; `token` "": without one. `timeout_ms` 0: none.
net::StreamRequest make_request(const std::string& endpoint, std::string_view path,
                                std::string body, const std::string& token, int64_t timeout_ms);

// The body of a good answer, or etcd's error.
core::Result<std::string> judge_answer(const core::Result<int>& end, std::string body,
                                       const std::string& endpoint);

// The configured password, read now.
core::Result<std::string> read_password(const config::EtcdDiscovery& config,
                                        core::FileSystem& files);

}  // namespace discovery::etcd
