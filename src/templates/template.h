// The template language of rules: the part of Go's text/template that Prometheus's
// labels and annotations use (pkg.go.dev/text/template), with Prometheus's functions.
//
//   {{ $labels.instance }} is at {{ $value | humanizePercentage }}

#pragma once

#include "core/result.h"
#include "model/labels.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace templates {

// An element of what the function `query` returns.
struct Sample {
  model::Labels labels;
  double value = 0;
};
using Query = std::function<core::Result<std::vector<Sample>>(std::string_view expression)>;

// What a template of a rule sees.
struct Data {
  model::Labels labels;           // $labels, .Labels
  double value = 0;               // $value, .Value
  model::Labels external_labels;  // $externalLabels
  std::string external_url;       // $externalURL
  int64_t now_ms = 0;             // of the evaluation
  Query query;                    // empty: `query` fails
};

// Whose functions and variables a template has.
enum class Dialect : uint8_t { Rules, Notifications };

struct ParseOptions {
  // Off: a bare {{ host }} that is no function stands for {{ $labels.host }}, and a bare
  // {{ value }} for {{ $value }}.
  bool strict = false;
  Dialect dialect = Dialect::Rules;
};

struct Tree;

// Immutable, cheap to copy, thread-safe.
class Template {
 public:
  // InvalidArgument with line:column inside `text`.
  static core::Result<Template> parse(std::string_view text, const ParseOptions& options = {});

  // InvalidArgument when it fails on this data, LimitExceeded when it runs too long.
  core::Result<std::string> expand(const Data& data) const;
  // As expand(); a failure becomes the text "<error expanding template: ...>", because
  // an alert with a bad annotation must still be sent.
  std::string expand_or_error(const Data& data) const;

 private:
  explicit Template(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}

  std::shared_ptr<const Tree> tree_;
};

}  // namespace templates
