// The routing tree: which receivers hear of an alert, and how its messages are grouped.
// Alertmanager's rules: depth first; the first child that matches ends the search among
// its siblings unless it says `continue`; a node none of whose children match stands for
// itself.

#pragma once

#include "model/labels.h"
#include "model/matcher.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace alerting {

// Values that a child leaves out are its parent's already.
struct Route {
  std::string receiver;
  std::vector<std::string> group_by;
  bool group_by_all = false;  // group_by: ['...']
  int64_t group_wait_ms = 30'000;
  int64_t group_interval_ms = 5 * 60'000;
  int64_t repeat_interval_ms = 4 * 3'600'000;

  model::Matchers matchers{};  // all of them; none in the root
  bool continues = false;
  std::vector<Route> routes{};
  // Set by finish_routes(): `{}/{team="a"}`, of the matchers from the root to here, and
  // the number of this route among those with its receiver, depth first.
  std::string key = "{}";
  uint32_t ordinal = 0;
};

// Fills in keys and ordinals below `root`.
void finish_routes(Route& root);

// Those that take an alert with these labels, in order; never empty.
std::vector<const Route*> find_routes(const Route& root, model::LabelsView labels);

// nullptr when there is none.
const Route* find_route(const Route& root, std::string_view receiver, uint32_t ordinal);

// What of the labels names the group.
model::Labels group_labels(const Route& route, const model::Labels& labels);

}  // namespace alerting
