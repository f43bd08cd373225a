// What the tsdb_command_*.cc share.

#pragma once

#include "core/clock.h"
#include "core/file_system.h"
#include "core/result.h"
#include "core/rng.h"
#include "tsdb/embedded_log.h"
#include "tsdb/engine.h"
#include "tsdb/manifest.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace app::tsdb_command {

inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;
inline constexpr const char* kDefaultDir = "data/";  // promtool's and the server's

// "petrel tsdb NAME: why" on stderr.
int fail_with(std::string_view name, const core::Error& error, int code = kFailed);

// One command's command line. `dir` is the directory without slashes at its end.
struct CommandLine {
  CommandLine(std::string_view name, std::string_view description);
  // The exit code when there is nothing more to do.
  std::optional<int> parse(const std::vector<std::string>& arguments);

  const std::string name;
  CLI::App cli;
  std::string dir = kDefaultDir;
};

// Checks a flag's text: a whole number, which `expected` describes.
CLI::Validator is_number(std::string expected);

// A data directory that nobody else changes, if `lock` is held; else a Petrel may run on it.
struct DataDir {
  // Fails when the directory does not exist or holds no data of Petrel's.
  static core::Result<std::unique_ptr<DataDir>> open(const std::string& path);
  // The same, and fails when another process has it; the error says what to do then.
  static core::Result<std::unique_ptr<DataDir>> open_alone(const std::string& path);

  bool is_alone() const { return lock != nullptr; }
  std::string blocks_dir() const { return path + "/blocks"; }
  std::string log_dir() const { return path + "/log"; }
  // With a hint at repair when it is damaged.
  core::Result<tsdb::Manifest> manifest();

  std::string path;
  core::PosixFileSystem files;
  std::unique_ptr<core::FileLock> lock;
  std::string lock_error;  // why it is not held; names the other process
  bool is_in_use = false;  // by another process, so that it is not held
};

// What is wrong with a block, of an error that names its path and what queries say of it.
std::string block_damage(const std::string& path, std::string text);

// The engine of a directory, as the server opens it. `files` is the host's, or a view that
// nothing can be written through.
struct OpenEngine {
  static core::Result<std::unique_ptr<OpenEngine>> open(DataDir& dir, core::FileSystem& files,
                                                        tsdb::EngineOptions options = {});

  core::SystemClock clock;
  core::SystemRng rng;
  std::unique_ptr<tsdb::EmbeddedLog> log;
  std::unique_ptr<tsdb::Engine> engine;
};

// A line on stderr that is drawn anew: "reading blocks [####....] 41% 3.1 of 7.5 GiB, 12s
// left". Only where stderr is a terminal, or every 10 seconds a line of its own.
class Progress {
 public:
  Progress(std::string what, uint64_t total_bytes);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void add(uint64_t bytes);

 private:
  void draw();

  const std::string what_;
  const uint64_t total_;
  const bool is_terminal_;
  core::SystemClock clock_;
  int64_t begun_ns_;
  int64_t drawn_ns_;
  uint64_t done_ = 0;
  bool is_drawn_ = false;
};

// Rows of text in columns that are as wide as their widest cell; numbers to the right.
class Table {
 public:
  struct Column {
    std::string title;
    bool is_number = false;
  };
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// "2026-01-02 03:04:05"
std::string human_time(int64_t time_ms);

int run_list(const std::vector<std::string>& arguments);
int run_analyze(const std::vector<std::string>& arguments);
int run_verify(const std::vector<std::string>& arguments);
int run_dump(const std::vector<std::string>& arguments);
int run_dump_openmetrics(const std::vector<std::string>& arguments);
int run_repair(const std::vector<std::string>& arguments);
int run_compact(const std::vector<std::string>& arguments);

}  // namespace app::tsdb_command
