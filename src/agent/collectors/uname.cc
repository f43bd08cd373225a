// uname(2).

#include "agent/collectors/table.h"

#include <cerrno>
#include <cstring>
#include <sys/utsname.h>

namespace agent {

namespace {

constexpr MetricInfo kInfo = {"node_uname_info", model::MetricType::Gauge,
                              "Labeled system information as provided by the uname system call."};

class UnameCollector final : public Collector {
 public:
  std::string_view name() const override { return "uname"; }

  core::Result<void> collect(Output& out) override {
    utsname names{};
    if (::uname(&names) != 0) {
      return core::fail(core::ErrorCode::Io, "uname: {}", std::strerror(errno));
    }
    out.add(kInfo,
            {{"sysname", names.sysname},
             {"release", names.release},
             {"version", names.version},
             {"machine", names.machine},
             {"nodename", names.nodename},
             {"domainname", names.domainname}},
            1);
    return {};
  }
};

}  // namespace

std::unique_ptr<Collector> make_uname_collector(const Settings& /*settings*/) {
  return std::make_unique<UnameCollector>();
}

}  // namespace agent
