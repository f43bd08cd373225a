#include "app/check_rules.h"

#include "core/file_system.h"
#include "promql/parser.h"
#include "rules/rule_file.h"
#include "rules/rule_manager.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace app {
namespace {

using core::Result;

constexpr int kUsage = 2;
constexpr const char* kUsageText =
    "usage: petrel check rules FILE...\n"
    "\n"
    "Checks rule files; without a FILE, or with \"-\", standard input.\n"
    "\n"
    "  --lint=duplicate-rules    also look for this: all, duplicate-rules (default), none\n"
    "  --lint-fatal              such findings end with status 3\n"
    "  --ignore-unknown-fields   fields that are no rule file's are passed over\n"
    "\n"
    "Exit code: 0 fine, 1 a file is bad, 2 wrong usage, 3 lint (with --lint-fatal).\n";

Result<void> check_expression(std::string_view expression) {
  const auto parsed = promql::parse(expression);
  if (!parsed) return tl::unexpected(parsed.error());
  return {};
}

// What two rules share that store the same series.
struct StoredSeries {
  std::string name;
  alertstore::Annotations labels;

  auto operator<=>(const StoredSeries&) const = default;
};

std::vector<StoredSeries> find_duplicates(const rules::RuleFile& file) {
  std::vector<StoredSeries> all;
  for (const rules::GroupSpec& group : file.groups) {
    for (const rules::RuleSpec& rule : group.rules) all.push_back({rule.name, rule.labels});
  }
  std::ranges::sort(all);
  std::vector<StoredSeries> duplicates;
  for (size_t i = 1; i < all.size(); ++i) {
    const bool is_told = !duplicates.empty() && duplicates.back() == all[i];
    if (all[i] == all[i - 1] && !is_told) duplicates.push_back(all[i]);
  }
  return duplicates;
}

void print_duplicates(const std::vector<StoredSeries>& duplicates) {
  std::fprintf(stderr, "  FAILED:\nlint error %zu duplicate rule(s) found.\n", duplicates.size());
  for (const StoredSeries& series : duplicates) {
    std::fprintf(stderr, "Metric: %s\nLabel(s):\n", series.name.c_str());
    for (const auto& [name, value] : series.labels) {
      std::fprintf(stderr, "\t%s: %s\n", name.c_str(), value.c_str());
    }
  }
  std::fputs("Might cause inconsistency while recording expressions\n", stderr);
}

Result<std::string> read_standard_input() {
  std::string text;
  std::array<char, 65536> buffer;
  size_t size = 0;
  while ((size = std::fread(buffer.data(), 1, buffer.size(), stdin)) > 0) {
    text.append(buffer.data(), size);
  }
  if (std::ferror(stdin) != 0) return core::fail(core::ErrorCode::Io, "read standard input");
  return text;
}

}  // namespace

LintOptions parse_lint(std::string_view list) {
  LintOptions lint;
  lint.duplicate_rules = false;
  bool is_none = false;
  while (true) {
    const std::string_view word = list.substr(0, list.find(','));
    const bool is_all = word == "all";
    if (is_all || word == "duplicate-rules") {
      lint.duplicate_rules = true;
    } else if (word == "none") {
      is_none = true;
    } else if (word != "too-long-scrape-interval") {
      std::printf("WARNING: unknown lint option: \"%.*s\"\n", static_cast<int>(word.size()),
                  word.data());
    }
    if (is_all || word == "too-long-scrape-interval") lint.too_long_scrape_interval = true;
    if (word.size() == list.size()) break;
    list.remove_prefix(word.size() + 1);
  }
  if (is_none) lint.duplicate_rules = lint.too_long_scrape_interval = false;
  return lint;
}

const char* take_value(const std::vector<std::string>& arguments, size_t& index,
                       std::string_view flag) {
  const std::string& argument = arguments[index];
  if (argument == flag && index + 1 < arguments.size()) return arguments[++index].c_str();
  const bool has_value =
      argument.size() > flag.size() && argument[flag.size()] == '=' && argument.starts_with(flag);
  return has_value ? argument.c_str() + flag.size() + 1 : nullptr;
}

bool take_lint_flag(const std::vector<std::string>& arguments, size_t& index, LintOptions& lint) {
  const std::string& argument = arguments[index];
  if (argument == "--lint-fatal") {
    lint.is_fatal = true;
  } else if (argument == "--ignore-unknown-fields") {
    lint.ignore_unknown_fields = true;
  } else if (const char* list = take_value(arguments, index, "--lint")) {
    const LintOptions parsed = parse_lint(list);
    lint.duplicate_rules = parsed.duplicate_rules;
    lint.too_long_scrape_interval = parsed.too_long_scrape_interval;
  } else {
    return false;
  }
  return true;
}

void check_rule_text(const std::string& name, const std::string& text, const LintOptions& lint,
                     CheckOutcome& outcome) {
  std::vector<std::string> errors = rules::check_rule_files({{name, text}}, {}, check_expression);
  if (lint.ignore_unknown_fields) {
    std::erase_if(errors, [](const std::string& error) {
      return error.find(": unknown field \"") != std::string::npos;
    });
  }
  if (!errors.empty()) {
    outcome.has_errors = true;
    std::fputs("  FAILED:\n", stderr);
    for (const std::string& error : errors) std::fprintf(stderr, "%s\n", error.c_str());
    return;
  }
  const rules::RuleFile file = rules::read_rule_file({name, text}, check_expression, false);
  const std::vector<StoredSeries> duplicates =
      lint.duplicate_rules ? find_duplicates(file) : std::vector<StoredSeries>{};
  if (duplicates.empty()) {
    size_t count = 0;
    for (const rules::GroupSpec& group : file.groups) count += group.rules.size();
    std::printf("  SUCCESS: %zu rules found\n", count);
  } else {
    outcome.has_lint = true;
    print_duplicates(duplicates);
  }
  std::printf("\n");
}

void check_rule_file(const std::string& path, const LintOptions& lint, CheckOutcome& outcome) {
  std::printf("Checking %s\n", path.c_str());
  core::PosixFileSystem disk;
  const Result<std::string> text = disk.read_file(path);
  if (!text) {
    std::fprintf(stderr, "  FAILED: %s\n", text.error().message.c_str());
    outcome.has_errors = true;
    return;
  }
  check_rule_text(path, *text, lint, outcome);
}

int run_check_rules(const std::vector<std::string>& arguments) {
  LintOptions lint;
  std::vector<std::string> files;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--help" || argument == "-h") {
      std::fputs(kUsageText, stdout);
      return 0;
    }
    if (take_lint_flag(arguments, i, lint)) continue;
    if (argument.starts_with('-') && argument != "-") {
      std::fprintf(stderr, "unknown flag %s\n%s", argument.c_str(), kUsageText);
      return kUsage;
    }
    files.push_back(argument);
  }
  if (files.empty()) files.emplace_back("-");
  CheckOutcome outcome;
  for (const std::string& path : files) {
    if (path != "-") {
      check_rule_file(path, lint, outcome);
      continue;
    }
    std::printf("Checking standard input\n");
    const Result<std::string> text = read_standard_input();
    if (!text) {
      std::fprintf(stderr, "  FAILED: %s\n", text.error().message.c_str());
      outcome.has_errors = true;
    } else {
      check_rule_text("standard input", *text, lint, outcome);
    }
  }
  return outcome.exit_code(lint);
}

}  // namespace app
