// petrel check rules [FILE...]: promtool's checks of rule files, its lint and exit codes.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace app {

struct LintOptions {
  bool duplicate_rules = true;
  bool too_long_scrape_interval = false;
  bool is_fatal = false;  // lint errors end with status 3
  bool ignore_unknown_fields = false;
};

// What checking has found, of all files so far.
struct CheckOutcome {
  bool has_errors = false;
  bool has_lint = false;

  // 0 fine, 1 errors, 3 lint only and that is fatal.
  int exit_code(const LintOptions& lint) const {
    if (has_errors) return 1;
    return has_lint && lint.is_fatal ? 3 : 0;
  }
};

// `list` as in --lint: names with commas between. Unknown ones are warned of.
LintOptions parse_lint(std::string_view list);

// Takes one of --lint, --lint-fatal and --ignore-unknown-fields off `arguments` at
// `index`; false when it is none of them. `value` of "--flag value" is taken as well.
bool take_lint_flag(const std::vector<std::string>& arguments, size_t& index, LintOptions& lint);
// The value of "--flag=value" or "--flag value" at `index`, or nullptr.
const char* take_value(const std::vector<std::string>& arguments, size_t& index,
                       std::string_view flag);

// Tells on stdout and stderr, as promtool does.
void check_rule_text(const std::string& name, const std::string& text, const LintOptions& lint,
                     CheckOutcome& outcome);
void check_rule_file(const std::string& path, const LintOptions& lint, CheckOutcome& outcome);

// `arguments` follow the word "rules".
int run_check_rules(const std::vector<std::string>& arguments);

}  // namespace app
