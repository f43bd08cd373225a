#include "tsdb/incomplete.h"

#include <doctest/doctest.h>

using namespace tsdb;

namespace {

IncompleteList list_of(const std::vector<std::string>& tenants) {
  IncompleteList list;
  for (const std::string& tenant : tenants) {
    add_incomplete(list, {.tenant = tenant, .key = "of " + tenant, .range = {0, 100}, .text = "t"});
  }
  return list;
}

std::string tenants_of(const IncompleteList& list) {
  std::string text;
  for (const Incomplete& one : list) text += one.tenant.empty() ? "/" : one.tenant;
  return text;
}

}  // namespace

TEST_CASE("what is missing is told until retention has taken it from its own tenant") {
  IncompleteList list = list_of({"a", "b", "", "c"});
  // b went on, a stopped long ago and keeps its old blocks.
  forget_incomplete(list, {{"a", 150}, {"b", 900}}, 100);
  CHECK(tenants_of(list) == "a/c");
  forget_incomplete(list, {{"a", 199}, {"b", 900}}, 100);
  CHECK(tenants_of(list) == "a/c");
  forget_incomplete(list, {{"a", 200}, {"b", 900}}, 100);
  CHECK(tenants_of(list) == "c");
}

TEST_CASE("without blocks nothing that is missing is forgotten") {
  IncompleteList list = list_of({"", "a"});
  forget_incomplete(list, {}, 1);
  CHECK(tenants_of(list) == "/a");
}
