// /etc/os-release, or /usr/lib/os-release (os-release(5)): NAME="Debian GNU/Linux".

#include "agent/collectors/table.h"
#include "agent/text_file.h"
#include "core/text.h"

#include <algorithm>
#include <ctime>
#include <map>

namespace agent {

using model::MetricType;

namespace {

constexpr MetricInfo kInfo = {
    "node_os_info", MetricType::Gauge,
    "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, "
    "image_version, name, pretty_name, variant, variant_id, version, version_codename, "
    "version_id."};
constexpr MetricInfo kVersion = {"node_os_version", MetricType::Gauge,
                                 "Metric containing the major.minor part of the OS version."};

constexpr MetricInfo kSupportEnd = {"node_os_support_end_timestamp_seconds", MetricType::Gauge,
                                    "Metric containing the end-of-life date timestamp of the OS."};

constexpr std::string_view kFields[] = {
    "build_id",    "id",      "id_like",    "image_id", "image_version",    "name",
    "pretty_name", "variant", "variant_id", "version",  "version_codename", "version_id"};

// Values follow the rules of the shell: quotes around, backslashes before \ " $ `.
std::string unquoted(std::string_view value) {
  if (value.size() < 2 || (value.front() != '"' && value.front() != '\'') ||
      value.front() != value.back()) {
    return std::string(value);
  }
  const bool escapes = value.front() == '"';
  value = value.substr(1, value.size() - 2);
  std::string out;
  for (size_t i = 0; i < value.size(); ++i) {
    if (escapes && value[i] == '\\' && i + 1 < value.size()) ++i;
    out += value[i];
  }
  return out;
}

// "12", "22.04", "8.5.2111" as major.minor.
std::optional<double> major_minor(std::string_view version) {
  const size_t first = version.find('.');
  if (first == version.npos) return to_number(version);
  return to_number(version.substr(0, version.find('.', first + 1)));
}

class OsCollector final : public Collector {
 public:
  explicit OsCollector(const Roots& roots)
      : paths_{roots.etc + "/os-release", roots.usr_lib + "/os-release"} {}

  std::string_view name() const override { return "os"; }

  core::Result<void> collect(Output& out) override {
    if (!read_text(paths_[0], text_)) TRY(read_text(paths_[1], text_));
    if (text_ != parsed_) parse();
    std::vector<LabelPair> labels;
    for (const std::string_view field : kFields) labels.emplace_back(field, values_[field]);
    out.add(kInfo, labels, 1);
    if (const std::optional<double> version = major_minor(values_["version_id"])) {
      out.add(kVersion,
              {{"id", values_["id"]}, {"id_like", values_["id_like"]}, {"name", values_["name"]}},
              *version);
    }
    if (const auto at = values_.find("support_end"); at != values_.end()) {
      std::tm day{};
      if (::strptime(at->second.c_str(), "%Y-%m-%d", &day) != nullptr) {
        out.add(kSupportEnd, static_cast<double>(::timegm(&day)));
      }
    }
    return {};
  }

 private:
  void parse() {
    values_.clear();
    std::string_view rest = text_;
    while (!rest.empty()) {
      const std::string_view line = take_line(rest);
      const size_t equals = line.find('=');
      if (equals == line.npos || line.starts_with('#')) continue;
      const std::string key = core::lower(line.substr(0, equals));
      const auto field = std::find(std::begin(kFields), std::end(kFields), key);
      if (key == "support_end") values_["support_end"] = unquoted(line.substr(equals + 1));
      if (field != std::end(kFields)) values_[*field] = unquoted(line.substr(equals + 1));
    }
    parsed_ = text_;
  }

  const std::string paths_[2];
  std::string text_;
  std::string parsed_;
  std::map<std::string_view, std::string> values_;
};

}  // namespace

std::unique_ptr<Collector> make_os_collector(const Settings& settings) {
  return std::make_unique<OsCollector>(settings.roots());
}

}  // namespace agent
