// What systemd tells of its units over D-Bus: the system bus, or, where there is none,
// the socket of systemd itself (root only).

#include "agent/collectors/dbus.h"
#include "agent/collectors/table.h"
#include "agent/text_file.h"

#include <algorithm>
#include <array>
#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kUnitState = {"node_systemd_unit_state", MetricType::Gauge, "Systemd unit"};
constexpr MetricInfo kUnits = {"node_systemd_units", MetricType::Gauge,
                               "Summary of systemd unit states"};
constexpr MetricInfo kRunning = {
    "node_systemd_system_running", MetricType::Gauge,
    "Whether the system is operational (see 'systemctl is-system-running')"};
constexpr MetricInfo kVersion = {"node_systemd_version", MetricType::Gauge,
                                 "Detected systemd version"};
constexpr MetricInfo kTrigger = {"node_systemd_timer_last_trigger_seconds", MetricType::Gauge,
                                 "Seconds since epoch of last trigger."};
constexpr MetricInfo kAccepted = {"node_systemd_socket_accepted_connections_total",
                                  MetricType::Counter,
                                  "Total number of accepted socket connections"};
constexpr MetricInfo kCurrent = {"node_systemd_socket_current_connections", MetricType::Gauge,
                                 "Current number of socket connections"};
constexpr MetricInfo kRefused = {"node_systemd_socket_refused_connections_total", MetricType::Gauge,
                                 "Total number of refused socket connections"};
constexpr MetricInfo kTasksCurrent = {"node_systemd_unit_tasks_current", MetricType::Gauge,
                                      "Current number of tasks per Systemd unit"};
constexpr MetricInfo kTasksMax = {"node_systemd_unit_tasks_max", MetricType::Gauge,
                                  "Maximum number of tasks per Systemd unit"};
constexpr MetricInfo kRestarts = {"node_systemd_service_restart_total", MetricType::Counter,
                                  "Service unit count of Restart triggers"};
constexpr MetricInfo kStarted = {"node_systemd_unit_start_time_seconds", MetricType::Gauge,
                                 "Start time of the unit since unix epoch in seconds."};

constexpr std::array<std::string_view, 5> kStates = {"active", "activating", "deactivating",
                                                     "inactive", "failed"};
constexpr std::string_view kSystemd = "org.freedesktop.systemd1";
constexpr std::string_view kManagerPath = "/org/freedesktop/systemd1";
constexpr std::string_view kManager = "org.freedesktop.systemd1.Manager";
constexpr std::string_view kService = "org.freedesktop.systemd1.Service";
constexpr std::string_view kSocket = "org.freedesktop.systemd1.Socket";
constexpr std::string_view kTimer = "org.freedesktop.systemd1.Timer";
constexpr std::string_view kUnit = "org.freedesktop.systemd1.Unit";
constexpr double kMicroseconds = 1e6;

struct Unit {
  std::string name;
  std::string load_state;
  std::string active_state;
  std::string path;
};

core::Result<DbusValue> property(DbusConnection& systemd, std::string_view path,
                                 std::string_view interface, std::string_view name) {
  const std::string body = TRY(systemd.call({.destination = kSystemd,
                                             .path = path,
                                             .interface = "org.freedesktop.DBus.Properties",
                                             .member = "Get",
                                             .arguments = {interface, name}}));
  DbusReader reader(body);
  return read_variant(reader);
}

std::optional<double> number(DbusConnection& systemd, std::string_view path,
                             std::string_view interface, std::string_view name) {
  const core::Result<DbusValue> value = property(systemd, path, interface, name);
  const double* found = value ? std::get_if<double>(&*value) : nullptr;
  return found == nullptr ? std::nullopt : std::optional(*found);
}

std::string text(DbusConnection& systemd, std::string_view path, std::string_view interface,
                 std::string_view name) {
  const core::Result<DbusValue> value = property(systemd, path, interface, name);
  const std::string* found = value ? std::get_if<std::string>(&*value) : nullptr;
  return found == nullptr ? "" : *found;
}

// a(ssssssouso)
core::Result<std::vector<Unit>> list_units(DbusConnection& systemd) {
  const std::string body = TRY(systemd.call({.destination = kSystemd,
                                             .path = kManagerPath,
                                             .interface = kManager,
                                             .member = "ListUnits",
                                             .arguments = {}}));
  std::vector<Unit> units;
  DbusReader reader(body);
  const size_t end = reader.array_end(8);
  while (reader.is_before(end)) {
    Unit unit;
    reader.align(8);
    unit.name = reader.string();
    reader.string();  // description
    unit.load_state = reader.string();
    unit.active_state = reader.string();
    reader.string();  // sub state
    reader.string();  // followed unit
    unit.path = reader.string();
    reader.uint32();  // job
    reader.string();
    reader.string();
    units.push_back(std::move(unit));
  }
  if (!reader.is_good()) return core::fail(core::ErrorCode::Io, "systemd: an odd list of units");
  return units;
}

// "252.38-1~deb12u1" as 252.38.
std::optional<double> leading_number(std::string_view version) {
  const size_t begin = std::min(version.find_first_of("0123456789"), version.size());
  version.remove_prefix(begin);
  version = version.substr(0, version.find_first_not_of("0123456789."));
  const size_t dot = version.find('.');
  if (dot != version.npos) version = version.substr(0, version.find('.', dot + 1));
  return to_number(version);
}

class SystemdCollector final : public Collector {
 public:
  explicit SystemdCollector(const Settings& settings)
      : bus_(settings.roots().run + "/dbus/system_bus_socket"),
        private_(settings.roots().run + "/systemd/private"),
        filter_(settings.filter("systemd.unit")),
        with_tasks_(settings.is_on("systemd.enable-task-metrics")),
        with_restarts_(settings.is_on("systemd.enable-restarts-metrics")),
        with_start_time_(settings.is_on("systemd.enable-start-time-metrics")) {}

  std::string_view name() const override { return "systemd"; }

  core::Result<void> collect(Output& out) override {
    core::Result<DbusConnection> systemd = DbusConnection::connect(bus_, true);
    if (!systemd) {
      core::Result<DbusConnection> direct = DbusConnection::connect(private_, false);
      if (!direct) return tl::unexpected(std::move(direct).error());
      return collect_from(*direct, out);
    }
    return collect_from(*systemd, out);
  }

 private:
  core::Result<void> collect_from(DbusConnection& systemd, Output& out) {
    const std::vector<Unit> units = TRY(list_units(systemd));
    std::map<std::string_view, double> summary;
    for (const std::string_view state : kStates) summary[state] = 0;
    for (const Unit& unit : units) {
      ++summary[unit.active_state];
      const bool is_wanted = filter_.include.matches(unit.name) &&
                             !filter_.exclude.matches(unit.name) && unit.load_state == "loaded";
      if (is_wanted) add_unit(systemd, unit, out);
    }
    for (const auto& [state, count] : summary) out.add(kUnits, {{"state", state}}, count);
    const std::string state = text(systemd, kManagerPath, kManager, "SystemState");
    out.add(kRunning, state == "running" ? 1 : 0);
    const std::string version = text(systemd, kManagerPath, kManager, "Version");
    if (const auto value = leading_number(version))
      out.add(kVersion, {{"version", version}}, *value);
    return {};
  }

  void add_unit(DbusConnection& systemd, const Unit& unit, Output& out) const {
    const bool is_service = unit.name.ends_with(".service");
    const std::string type = is_service ? text(systemd, unit.path, kService, "Type") : "";
    for (const std::string_view state : kStates) {
      out.add(kUnitState, {{"name", unit.name}, {"state", state}, {"type", type}},
              state == unit.active_state ? 1 : 0);
    }
    const auto add = [&](const MetricInfo& metric, std::string_view interface,
                         std::string_view field, double divisor = 1) {
      const auto value = number(systemd, unit.path, interface, field);
      if (value) out.add(metric, {{"name", unit.name}}, *value / divisor);
    };
    if (is_service && with_restarts_) add(kRestarts, kService, "NRestarts");
    if (is_service && with_tasks_) {
      add(kTasksCurrent, kService, "TasksCurrent");
      add(kTasksMax, kService, "TasksMax");
    }
    if (with_start_time_ && unit.active_state == "active") {
      add(kStarted, kUnit, "ActiveEnterTimestamp", kMicroseconds);
    } else if (with_start_time_) {
      out.add(kStarted, {{"name", unit.name}}, 0);  // of a unit that does not run
    }
    if (unit.name.ends_with(".timer")) add(kTrigger, kTimer, "LastTriggerUSec", kMicroseconds);
    if (unit.name.ends_with(".socket")) {
      add(kAccepted, kSocket, "NAccepted");
      add(kCurrent, kSocket, "NConnections");
      add(kRefused, kSocket, "NRefused");
    }
  }

  const std::string bus_;
  const std::string private_;
  const DeviceFilter filter_;
  const bool with_tasks_;
  const bool with_restarts_;
  const bool with_start_time_;
};

}  // namespace

std::unique_ptr<Collector> make_systemd_collector(const Settings& settings) {
  return std::make_unique<SystemdCollector>(settings);
}

}  // namespace agent
