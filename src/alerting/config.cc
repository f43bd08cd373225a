#include "alerting/config.h"

#include "alerting/config_intervals.h"
#include "alerting/config_receivers.h"
#include "alerting/config_tables.h"
#include "alerting/matchers.h"
#include "core/file_system.h"
#include "core/yaml.h"
#include "templates/template_set.h"

#include <algorithm>
#include <fmt/format.h>
#include <glob.h>
#include <set>

namespace alerting {

using config::Source;
using config::Value;
using core::ErrorCode;
using core::Result;
using core::Yaml;

namespace {

Yaml* member(Yaml& node, std::string_view key) {
  for (auto& [name, value] : node.members) {
    if (name.text == key) return &value;
  }
  return nullptr;
}

// Tables have no word for "anything": what may be of any form is looked at here and
// leaves a text behind.
class AnyForm {
 public:
  explicit AnyForm(std::string_view file) : file_(file) {}

  Result<void> take_out(Yaml& root) {
    // An empty section is as good as none: its defaults stay.
    std::erase_if(root.members, [](const auto& one) {
      return one.first.text == "global" && one.second.kind == Yaml::Kind::Null;
    });
    Yaml* receivers = member(root, "receivers");
    if (receivers == nullptr) return {};
    for (Yaml& receiver : receivers->items) {
      for (auto& [kind, list] : receiver.members) {
        for (Yaml& channel : list.items) TRY(channel_of(kind.text, channel));
      }
    }
    return {};
  }

 private:
  Result<void> channel_of(std::string_view kind, Yaml& channel) {
    // A plain number is nanoseconds, a quoted one is no duration.
    if (const Yaml* timeout = member(channel, "timeout");
        timeout != nullptr && timeout->quoted && config::parse_float(timeout->text)) {
      return tl::unexpected(core::yaml_error(
          file_, *timeout,
          fmt::format("timeout: \"{}\" has no unit, expected a duration such as 10s",
                      timeout->text)));
    }
    if (kind == "webhook_configs") blank(member(channel, "payload"));
    if (kind == "pagerduty_configs") TRY(mapping(member(channel, "details"), "details"));
    if (kind != "jira_configs") return {};
    TRY(mapping(member(channel, "fields"), "fields"));
    for (const std::string_view key : {"summary", "description"}) {
      Yaml* text = member(channel, key);
      if (text == nullptr || text->kind != Yaml::Kind::Mapping) continue;
      for (const auto& [name, value] : text->members) {
        if (name.text != "template" && name.text != "enable_update") {
          return tl::unexpected(core::yaml_error(
              file_, name, fmt::format("unknown key \"{}\" in {}", name.text, key)));
        }
      }
      blank(text);
    }
    return {};
  }

  Result<void> mapping(Yaml* node, std::string_view key) {
    if (node == nullptr || node->kind == Yaml::Kind::Null) return {};
    if (node->kind != Yaml::Kind::Mapping) {
      return tl::unexpected(
          core::yaml_error(file_, *node, fmt::format("{}: expected a mapping", key)));
    }
    blank(node);
    return {};
  }

  static void blank(Yaml* node) {
    if (node == nullptr || node->kind == Yaml::Kind::Null) return;
    node->kind = Yaml::Kind::Scalar;
    node->items.clear();
    node->members.clear();
    node->text.clear();
  }

  std::string_view file_;
};

bool is_classic_label(std::string_view name) {
  const auto is_letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !name.empty() && is_letter(name[0]) &&
         std::ranges::all_of(name, [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

class Reader {
 public:
  Reader(const Source& source, const ReadFile& read_file, LoadedConfig& loaded)
      : source_(source), read_file_(read_file), loaded_(loaded) {}

  Result<void> read(Value& root) {
    TRY(check_global(root.at("global"), source_));
    loaded_.config.resolve_timeout_ms = root.at("global").at("resolve_timeout").number;
    for (Value& receiver : root.at("receivers").items) {
      if (receiver.given) TRY(receiver_of(receiver, root.at("global")));
    }
    TRY(intervals(root));
    for (const Value& rule : root.at("inhibit_rules").items) {
      if (rule.given) TRY(inhibit_rule(rule));
    }
    TRY(root_route(root.at("route")));
    const Value& tracing = root.at("tracing");
    if (tracing.given) TRY(check_tracing(tracing));
    TRY(check_recorder(root.at("event_recorder")));
    return template_files(root.at("templates"));
  }

 private:
  tl::unexpected<core::Error> fail(const Value& where, std::string_view message) const {
    return config::error_at(source_, where, message);
  }

  Result<void> receiver_of(Value& value, const Value& global) {
    Receiver receiver = TRY(take_receiver(value, global, source_));
    if (loaded_.config.find_receiver(receiver.name) != nullptr) {
      return fail(value.at("name"),
                  fmt::format("notification config name \"{}\" is not unique", receiver.name));
    }
    std::string unbuilt;
    for (const ChannelKind& kind : channel_kinds()) {
      const Value& list = value.at(kind.list);
      if (kind.built || list.items.empty()) continue;
      loaded_.unsupported.push_back(fmt::format("{} of receiver \"{}\" ({}:{}:{})", kind.list,
                                                receiver.name, source_.file, list.line,
                                                list.column));
      unbuilt += (unbuilt.empty() ? "" : ", ") + std::string(kind.list);
    }
    const bool incomplete = !value.at("webhook_configs").items.empty() && receiver.webhooks.empty();
    if (incomplete) {
      unbuilt += (unbuilt.empty() ? "" : ", ") +
                 std::string("webhook_configs with oauth2 or a template in the url");
    }
    if (!unbuilt.empty() && !receiver.sends()) {
      mute_receivers_.emplace_back(receiver.name, std::move(unbuilt));
    }
    loaded_.config.receivers.push_back(std::move(receiver));
    return {};
  }

  Result<void> intervals(const Value& root) {
    for (const auto& [key, what] : {std::pair{"mute_time_intervals", "mute time interval"},
                                    std::pair{"time_intervals", "time interval"}}) {
      for (const Value& named : root.at(key).items) {
        const std::string name = named.given ? named.at("name").text : "";
        if (name.empty()) return fail(named, fmt::format("missing name in {}", what));
        if (!interval_names_.insert(name).second) {
          return fail(named.at("name"), fmt::format("{} \"{}\" is not unique", what, name));
        }
        for (const Value& interval : named.at("time_intervals").items) {
          if (interval.given) TRY(check_time_interval(interval, source_));
        }
      }
    }
    return {};
  }

  // `match`, `match_re` and `matchers` with a prefix ("source_").
  Result<model::Matchers> matchers(const Value& node, std::string_view prefix) {
    model::Matchers all;
    const auto add = [&](const Value& pair, model::MatchType type) -> Result<void> {
      if (!is_classic_label(pair.key)) {
        return fail(pair, fmt::format("invalid label name \"{}\"", pair.key));
      }
      if (type == model::MatchType::Regex && !pair.given) {
        return fail(pair, fmt::format("invalid regexp value for \"{}\"", pair.key));
      }
      // Anchored in words too, because keys of groups tell it so.
      const bool regex = type == model::MatchType::Regex;
      Result<model::Matcher> matcher = model::Matcher::create(
          type, pair.key, regex ? fmt::format("^(?:{})$", pair.text) : pair.text);
      if (!matcher) return fail(pair, matcher.error().message);
      all.push_back(std::move(*matcher));
      return {};
    };
    for (const Value& pair : node.at(fmt::format("{}match", prefix)).items) {
      TRY(add(pair, model::MatchType::Equal));
    }
    for (const Value& pair : node.at(fmt::format("{}match_re", prefix)).items) {
      TRY(add(pair, model::MatchType::Regex));
    }
    for (const Value& line : node.at(fmt::format("{}matchers", prefix)).items) {
      Result<model::Matchers> parsed = parse_matchers(line.text);
      if (!parsed) return fail(line, fmt::format("matchers: {}", parsed.error().message));
      std::ranges::move(*parsed, std::back_inserter(all));
    }
    return all;
  }

  Result<void> inhibit_rule(const Value& rule) {
    TRY(matchers(rule, "source_"));
    TRY(matchers(rule, "target_"));
    for (const Value& label : rule.at("equal").items) {
      if (label.text.empty()) return fail(label, "invalid label name \"\" in equal list");
    }
    return {};
  }

  Result<void> root_route(const Value& value) {
    if (!value.given) return fail(value, "no route provided in config");
    if (value.at("receiver").text.empty()) {
      return fail(value, "root route must specify a default receiver");
    }
    for (const std::string_view key : {"match", "match_re", "matchers"}) {
      if (!value.at(key).items.empty()) {
        return fail(value.at(key), "root route must not have any matchers");
      }
    }
    for (const auto& [key, what] :
         {std::pair{"mute_time_intervals", "mute"}, std::pair{"active_time_intervals", "active"}}) {
      if (!value.at(key).items.empty()) {
        return fail(value.at(key),
                    fmt::format("root route must not have any {} time intervals", what));
      }
    }
    if (value.at("continue").is_on()) {
      return fail(value.at("continue"), "cannot have continue in root route");
    }
    Route& root = loaded_.config.route;
    TRY(route(value, root));
    finish_routes(root);
    for (const auto& [name, kinds] : mute_receivers_) {
      if (find_route(root, name, 0) == nullptr) continue;
      loaded_.unreachable.push_back(fmt::format(
          "{}: receiver \"{}\" has only channels that are not built yet ({}): its pages "
          "would reach nobody; give it webhook_configs or email_configs",
          source_.file, name, kinds));
    }
    return {};
  }

  // `out` holds what is inherited.
  Result<void> route(const Value& value, Route& out) {
    const Value& receiver = value.at("receiver");
    if (!receiver.text.empty()) {
      out.receiver = receiver.text;
      if (loaded_.config.find_receiver(out.receiver) == nullptr) {
        return fail(receiver, fmt::format("undefined receiver \"{}\" used in route", out.receiver));
      }
    }
    const auto duration = [&](std::string_view key, int64_t& to, bool zero) -> Result<void> {
      const Value& given = value.at(key);
      if (!given.given) return {};
      if (given.number == 0 && !zero) return fail(given, fmt::format("{} cannot be zero", key));
      to = given.number;
      return {};
    };
    TRY(duration("group_wait", out.group_wait_ms, true));
    TRY(duration("group_interval", out.group_interval_ms, false));
    TRY(duration("repeat_interval", out.repeat_interval_ms, false));
    if (value.at("group_by").given) TRY(group_by(value.at("group_by"), out));
    out.matchers = TRY(matchers(value, ""));
    out.continues = value.at("continue").is_on();
    for (const std::string_view key : {"mute_time_intervals", "active_time_intervals"}) {
      for (const Value& name : value.at(key).items) {
        if (!interval_names_.contains(name.text)) {
          return fail(name, fmt::format("undefined time interval \"{}\" used in route", name.text));
        }
      }
    }
    for (const Value& child : value.at("routes").items) {
      if (!child.given) return fail(child, "a route must be a mapping");
      Route inherited = out;
      inherited.routes.clear();
      inherited.matchers.clear();
      inherited.continues = false;
      TRY(route(child, inherited));
      out.routes.push_back(std::move(inherited));
    }
    return {};
  }

  Result<void> group_by(const Value& value, Route& out) {
    out.group_by.clear();
    out.group_by_all = false;
    for (const Value& label : value.items) {
      if (label.text == "...") {
        out.group_by_all = true;
      } else if (label.text.empty()) {
        return fail(label, "invalid label name \"\" in group_by list");
      } else if (std::ranges::count(out.group_by, label.text) > 0) {
        return fail(label, fmt::format("duplicated label \"{}\" in group_by", label.text));
      } else {
        out.group_by.push_back(label.text);
      }
    }
    if (out.group_by_all && !out.group_by.empty()) {
      return fail(value, "cannot have wildcard group_by (`...`) and other labels at the same time");
    }
    return {};
  }

  Result<void> check_tracing(const Value& tracing) {
    const std::string& type = tracing.at("client_type").text;
    if (!type.empty() && type != "http" && type != "grpc") {
      return fail(tracing.at("client_type"),
                  fmt::format("expected tracing client type to be http or grpc, but got {}", type));
    }
    if (tracing.at("endpoint").text.empty()) return fail(tracing, "tracing endpoint must be set");
    const std::string& compression = tracing.at("compression").text;
    if (!compression.empty() && compression != "gzip") {
      return fail(
          tracing.at("compression"),
          fmt::format("invalid compression type {} provided, valid options: gzip", compression));
    }
    return {};
  }

  Result<void> check_recorder(const Value& recorder) {
    for (const Value& output : recorder.at("file_outputs").items) {
      if (output.given && output.at("path").text.empty()) {
        return fail(output, "event_recorder file output requires a path");
      }
    }
    for (const Value& output : recorder.at("webhook_outputs").items) {
      if (output.given && output.at("url").text.empty()) {
        return fail(output, "event_recorder webhook output requires a url");
      }
    }
    return {};
  }

  Result<void> template_files(const Value& patterns) {
    auto set = std::make_shared<templates::TemplateSet>();
    for (const Value& pattern : patterns.items) {
      if (!pattern.given) continue;
      if (const size_t open = pattern.text.rfind('[');
          open != std::string::npos && pattern.text.find(']', open) == std::string::npos) {
        return fail(pattern, "syntax error in pattern");
      }
      glob_t found{};
      const int code = glob(pattern.text.c_str(), 0, nullptr, &found);
      std::vector<std::string> paths(found.gl_pathv, found.gl_pathv + found.gl_pathc);
      globfree(&found);
      if (code != 0 && code != GLOB_NOMATCH) {
        return fail(pattern,
                    fmt::format("templates: cannot read the folder of \"{}\"", pattern.text));
      }
      for (const std::string& path : paths) {
        const Result<std::string> text = read_file_(path);
        if (!text) return fail(pattern, text.error().message);
        if (const Result<void> added = set->add(*text); !added) {
          return tl::unexpected(
              core::Error{added.error().code, fmt::format("{}:{}", path, added.error().message)});
        }
      }
    }
    loaded_.config.templates = std::move(set);
    return {};
  }

  const Source& source_;
  const ReadFile& read_file_;
  LoadedConfig& loaded_;
  std::set<std::string> interval_names_;
  // Name, and what of it is not built.
  std::vector<std::pair<std::string, std::string>> mute_receivers_;
};

}  // namespace

const Receiver* Config::find_receiver(std::string_view name) const {
  for (const Receiver& receiver : receivers) {
    if (receiver.name == name) return &receiver;
  }
  return nullptr;
}

Result<LoadedConfig> read_config(std::string_view text, std::string_view file,
                                 const ReadFile& read_file) {
  Yaml root = TRY(core::parse_yaml(text, file));
  TRY(AnyForm(file).take_out(root));
  LoadedConfig loaded;
  const Source source{.file = std::string(file),
                      .folder = config::folder_of(std::string(file)),
                      .unsupported = &loaded.unsupported};
  Value value = TRY(config::read_mapping(kFileTable, root, source));
  core::PosixFileSystem disk;
  const ReadFile from_disk = [&disk](const std::string& path) { return disk.read_file(path); };
  TRY(Reader(source, read_file ? read_file : from_disk, loaded).read(value));
  return loaded;
}

Result<LoadedConfig> load_config(std::string_view text, std::string_view file,
                                 const ReadFile& read_file) {
  LoadedConfig loaded = TRY(read_config(text, file, read_file));
  if (loaded.unreachable.empty()) return loaded;
  std::string all;
  for (const std::string& one : loaded.unreachable) all += (all.empty() ? "" : "; ") + one;
  return core::fail(ErrorCode::Unsupported, "{}", all);
}

Result<Config> webhook_config(std::string_view url) {
  if (!check_http_url(url)) {
    return core::fail(ErrorCode::InvalidArgument,
                      "a webhook address starts with http:// or https:// and names a host");
  }
  Config config;
  config.route = {.receiver = "webhook",
                  .group_by = {"alertname"},
                  .group_by_all = false,
                  .group_wait_ms = 1'000,
                  .group_interval_ms = 5'000,
                  .repeat_interval_ms = 4 * 3'600'000};
  WebhookConfig webhook;
  webhook.url = core::Secret(std::string(url));
  config.receivers.push_back({"webhook", {std::move(webhook)}, {}});
  return config;
}

Config no_receivers() {
  Config config;
  config.route.receiver = "none";
  config.receivers.push_back({"none", {}, {}});
  return config;
}

}  // namespace alerting
