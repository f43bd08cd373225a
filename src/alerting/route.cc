#include "alerting/route.h"

#include "alerting/matchers.h"

#include <map>

namespace alerting {

namespace {

void finish(Route& route, std::map<std::string, uint32_t>& counts) {
  route.ordinal = counts[route.receiver]++;
  for (Route& child : route.routes) {
    sort_matchers(child.matchers);
    child.key = route.key + "/" + matchers_text(child.matchers);
    finish(child, counts);
  }
}

void find(const Route& route, model::LabelsView labels, std::vector<const Route*>& found) {
  const size_t before = found.size();
  for (const Route& child : route.routes) {
    if (!model::matches_all(child.matchers, labels)) continue;
    find(child, labels, found);
    if (!child.continues) break;
  }
  if (found.size() == before) found.push_back(&route);
}

}  // namespace

void finish_routes(Route& root) {
  std::map<std::string, uint32_t> counts;
  finish(root, counts);
}

std::vector<const Route*> find_routes(const Route& root, model::LabelsView labels) {
  std::vector<const Route*> found;
  find(root, labels, found);
  return found;
}

const Route* find_route(const Route& root, std::string_view receiver, uint32_t ordinal) {
  if (root.receiver == receiver && root.ordinal == ordinal) return &root;
  for (const Route& child : root.routes) {
    if (const Route* found = find_route(child, receiver, ordinal)) return found;
  }
  return nullptr;
}

model::Labels group_labels(const Route& route, const model::Labels& labels) {
  if (route.group_by_all) return labels;
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& name : route.group_by) {
    const std::string_view value = labels.get(name);
    if (!value.empty()) pairs.emplace_back(name, value);
  }
  return model::Labels::of(std::move(pairs));
}

}  // namespace alerting
