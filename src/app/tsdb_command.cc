#include "app/tsdb_command.h"

#include "app/help_format.h"
#include "app/sizes.h"
#include "app/tsdb_command_impl.h"
#include "core/log.h"
#include "core/time.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <unistd.h>

namespace app {

using core::ErrorCode;
using core::Result;

namespace {

struct Subcommand {
  std::string_view name;
  std::string_view what;
  int (*run)(const std::vector<std::string>& arguments);
};

constexpr Subcommand kSubcommands[] = {
    {"list", "list blocks", tsdb_command::run_list},
    {"analyze", "churn and cardinality of a block, and where its bytes go",
     tsdb_command::run_analyze},
    {"verify", "read everything, name what is damaged", tsdb_command::run_verify},
    {"dump", "write samples as text or JSON", tsdb_command::run_dump},
    {"dump-openmetrics", "write samples as OpenMetrics", tsdb_command::run_dump_openmetrics},
    {"repair", "make a damaged manifest anew, set unreadable blocks aside",
     tsdb_command::run_repair},
    {"compact", "merge blocks, drop deleted samples", tsdb_command::run_compact},
};

std::string usage() {
  std::string text = "usage: petrel tsdb COMMAND [FLAGS] [DIR]\n\n";
  for (const Subcommand& one : kSubcommands) {
    text += fmt::format("  {:<18}{}\n", one.name, one.what);
  }
  return text +
         "\nDIR is a data directory, by default data/. petrel tsdb COMMAND --help tells more.\n";
}

}  // namespace

int run_tsdb(const std::vector<std::string>& arguments) {
  const std::string_view name = arguments.empty() ? std::string_view() : arguments[0];
  if (name == "--help" || name == "-h") {
    std::fputs(usage().c_str(), stdout);
    return 0;
  }
  // What the library logs is for a server's log; problems come back as errors. A merge may go
  // on after one.
  constexpr auto kNothing =
      static_cast<core::LogLevel>(static_cast<int>(core::LogLevel::Error) + 1);
  core::set_log_level(name == "compact" ? core::LogLevel::Error : kNothing);
  for (const Subcommand& one : kSubcommands) {
    if (one.name == name) return one.run({arguments.begin() + 1, arguments.end()});
  }
  if (!name.empty()) {
    std::fprintf(stderr, "petrel tsdb: nothing is called \"%s\"\n", arguments[0].c_str());
  }
  std::fputs(usage().c_str(), stderr);
  return tsdb_command::kUsage;
}

namespace tsdb_command {

int fail_with(std::string_view name, const core::Error& error, int code) {
  std::fprintf(stderr, "petrel tsdb %s: %s\n", std::string(name).c_str(), error.message.c_str());
  return code;
}

CommandLine::CommandLine(std::string_view command, std::string_view description)
    : name(command), cli(std::string(description), "petrel tsdb " + std::string(command)) {
  cli.set_help_flag("-h,--help", "Print this help and exit.");
  cli.formatter(help_format());
  cli.add_option("DIR", dir, "Data directory.")->capture_default_str();
}

CLI::Validator is_number(std::string expected) {
  return CLI::Validator(
      [expected = std::move(expected)](const std::string& text) -> std::string {
        int64_t number = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
        if (error == std::errc() && end == text.data() + text.size()) return "";
        return fmt::format("{}: expected {}", text, expected);
      },
      "");
}

std::optional<int> CommandLine::parse(const std::vector<std::string>& arguments) {
  // CLI11 takes the arguments from the back.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    cli.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::fputs(cli.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ExtrasError&) {
    const std::vector<std::string> extra = cli.remaining();
    return fail_with(
        name,
        {ErrorCode::InvalidArgument, fmt::format("unexpected {}; see petrel tsdb {} --help",
                                                 extra.empty() ? "argument" : extra.front(), name)},
        kUsage);
  } catch (const CLI::ParseError& error) {
    return fail_with(name,
                     {ErrorCode::InvalidArgument,
                      fmt::format("{}; see petrel tsdb {} --help", error.what(), name)},
                     kUsage);
  }
  while (dir.size() > 1 && dir.ends_with('/')) dir.pop_back();
  return std::nullopt;
}

Result<std::unique_ptr<DataDir>> DataDir::open(const std::string& path) {
  auto dir = std::make_unique<DataDir>();
  dir->path = path;
  core::FileSystem& files = dir->files;
  if (!files.exists(path)) {
    return core::fail(ErrorCode::NotFound, "{}: no such directory", path);
  }
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    return core::fail(ErrorCode::InvalidArgument, "{}: not a directory{}", path,
                      path.ends_with(".block") ? "; expected the data directory that has it" : "");
  }
  // Before what is in it, which nobody sees who may not read it.
  TRY(files.list(path));
  const bool has_data = files.exists(tsdb::Manifest::path_in(path)) ||
                        files.exists(dir->blocks_dir()) || files.exists(dir->log_dir());
  if (!has_data) {
    const bool is_prometheus = files.exists(path + "/chunks_head") || files.exists(path + "/wal");
    return core::fail(ErrorCode::NotFound,
                      "{}: no data of Petrel: neither manifest nor blocks/ nor "
                      "log/ is there{}",
                      path, is_prometheus ? "; it looks like data of Prometheus" : "");
  }
  auto lock = files.lock(path + "/lock");
  if (lock) {
    dir->lock = *std::move(lock);
  } else {
    dir->is_in_use = lock.error().code == ErrorCode::Conflict;
    dir->lock_error = std::move(lock.error().message);
  }
  return dir;
}

Result<std::unique_ptr<DataDir>> DataDir::open_alone(const std::string& path) {
  std::unique_ptr<DataDir> dir = TRY(open(path));
  if (dir->is_alone()) return dir;
  if (!dir->is_in_use) {
    return core::fail(ErrorCode::PermissionDenied,
                      "{}\nThe directory cannot be locked; run this as the user that it belongs to",
                      dir->lock_error);
  }
  return core::fail(ErrorCode::Conflict,
                    "{}\nA Petrel that runs on this directory has to be stopped first; or make a "
                    "snapshot of it (POST /api/v1/admin/tsdb/snapshot) and use that",
                    dir->lock_error);
}

std::string block_damage(const std::string& path, std::string text) {
  const std::string long_form = path + " is quarantined: ";
  if (const size_t at = text.find(long_form); at != text.npos) text.erase(0, at + long_form.size());
  if (text.starts_with(path + ": ")) text.erase(0, path.size() + 2);
  return text;
}

Result<tsdb::Manifest> DataDir::manifest() {
  const std::string manifest_path = tsdb::Manifest::path_in(path);
  if (!files.exists(manifest_path) && files.exists(blocks_dir())) {
    for (const std::string& name : TRY(files.list(blocks_dir()))) {
      if (!name.ends_with(".block")) continue;
      return core::fail(ErrorCode::Corruption,
                        "{}: the file is missing, but {}/{} is there; petrel tsdb repair makes a "
                        "new one",
                        manifest_path, blocks_dir(), name);
    }
  }
  Result<tsdb::Manifest> loaded = tsdb::Manifest::load(files, path);
  if (!loaded && loaded.error().code == ErrorCode::Corruption) {
    loaded.error().message += "; petrel tsdb repair makes a new one";
  }
  return loaded;
}

Result<std::unique_ptr<OpenEngine>> OpenEngine::open(DataDir& dir, core::FileSystem& files,
                                                     tsdb::EngineOptions options) {
  auto opened = std::make_unique<OpenEngine>();
  opened->log =
      TRY(tsdb::EmbeddedLog::open({.dir = dir.log_dir()}, files, opened->clock, opened->rng)
              .context("open the log"));
  options.data_dir = dir.path;
  opened->engine = TRY(tsdb::Engine::open(
      options, {files, opened->clock, opened->rng, *opened->log}, std::move(dir.lock)));
  return opened;
}

Progress::Progress(std::string what, uint64_t total_bytes)
    : what_(std::move(what)),
      total_(total_bytes),
      is_terminal_(isatty(STDERR_FILENO) == 1),
      begun_ns_(clock_.monotonic_ns()),
      drawn_ns_(begun_ns_) {}

Progress::~Progress() {
  if (is_drawn_ && is_terminal_) std::fputs("\r\033[K", stderr);
}

void Progress::add(uint64_t bytes) {
  constexpr int64_t kTerminalEveryNs = 200'000'000;
  constexpr int64_t kLineEveryNs = 10'000'000'000;
  done_ = std::min(done_ + bytes, total_);
  const int64_t now_ns = clock_.monotonic_ns();
  if (now_ns - drawn_ns_ < (is_terminal_ ? kTerminalEveryNs : kLineEveryNs)) return;
  drawn_ns_ = now_ns;
  draw();
}

void Progress::draw() {
  constexpr size_t kWidth = 30;
  const double share = total_ == 0 ? 1 : static_cast<double>(done_) / static_cast<double>(total_);
  const double seconds = static_cast<double>(drawn_ns_ - begun_ns_) / 1e9;
  const auto filled = static_cast<size_t>(share * kWidth);
  const std::string left =
      share > 0.01
          ? fmt::format(
                ", {} left",
                core::format_duration(static_cast<int64_t>(seconds / share * (1 - share)) * 1000))
          : "";
  const std::string line = fmt::format("{} [{}{}] {:.0f}% {} of {}{}", what_,
                                       std::string(filled, '#'), std::string(kWidth - filled, '.'),
                                       share * 100, human_size(static_cast<double>(done_)),
                                       human_size(static_cast<double>(total_)), left);
  std::fprintf(stderr, is_terminal_ ? "\r\033[K%s" : "%s\n", line.c_str());
  std::fflush(stderr);
  is_drawn_ = true;
}

void Table::print() const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = columns_[i].title.size();
    for (const auto& row : rows_) width = std::max(width, row[i].size());
    widths.push_back(width);
  }
  const auto print_row = [&](const auto& cell_of) {
    std::string line;
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string& cell = cell_of(i);
      const std::string padding(widths[i] - cell.size(), ' ');
      line += columns_[i].is_number ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    std::printf("%s\n", line.c_str());
  };
  print_row([&](size_t i) -> const std::string& { return columns_[i].title; });
  for (const auto& row : rows_) {
    print_row([&](size_t i) -> const std::string& { return row[i]; });
  }
}

std::string human_time(int64_t time_ms) {
  std::string text = core::format_rfc3339(time_ms - (time_ms % 1000 + 1000) % 1000);
  if (const size_t t = text.find('T'); t != std::string::npos) text[t] = ' ';
  if (text.ends_with('Z')) text.pop_back();
  return text;
}

}  // namespace tsdb_command
}  // namespace app
