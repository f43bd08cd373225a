#include "alerting/route.h"

#include "alerting/matchers.h"

#include <doctest/doctest.h>

using namespace alerting;

namespace {

std::string parsed(std::string_view text) {
  const auto matchers = parse_matchers(text);
  return matchers ? matchers_text(*matchers) : "error";
}

Route child(std::string_view matchers, const std::string& receiver, bool continues = false) {
  Route route;
  route.receiver = receiver;
  route.matchers = parse_matchers(matchers).value();
  route.continues = continues;
  return route;
}

std::string receivers(const Route& root, std::vector<std::pair<std::string, std::string>> labels) {
  std::string all;
  for (const Route* route : find_routes(root, model::Labels::of(std::move(labels)))) {
    all += (all.empty() ? "" : ",") + route->receiver;
  }
  return all;
}

}  // namespace

// What amtool config routes show prints for the same matchers.
TEST_CASE("matchers are read in both of Alertmanager's grammars") {
  const std::pair<const char*, const char*> cases[] = {
      {"a=b", R"({a="b"})"},
      {R"(a="b")", R"({a="b"})"},
      {"{a=b,c=d}", R"({a="b",c="d"})"},
      {"a=b,c=d,", R"({a="b",c="d"})"},
      {"{a=b", R"({a="b"})"},
      {"a=b}", R"({a="b"})"},
      {"", "{}"},
      {"{}", "{}"},
      {"{", "{}"},
      {R"("a b"="c")", R"({"a b"="c"})"},
      {"a=b c", R"({a="b c"})"},
      {"a= b ", R"({a="b"})"},
      {"a=", R"({a=""})"},
      {R"(a="")", R"({a=""})"},
      {"a=~b|c", R"({a=~"b|c"})"},
      {"a=b=c", R"({a="b=c"})"},
      {R"(a=\d)", R"({a="\\d"})"},
      {R"(a="\d")", R"({a="\\d"})"},
      {"é=x", R"({é="x"})"},
      {"1a=b", R"({1a="b"})"},
      {"a==b", R"({a="=b"})"},
      {"foo=~.*bar", R"({foo=~".*bar"})"},
      {"a={b}", R"({a="{b"})"},
      {R"(a="x\n")", R"({a="x\n"})"},
      {"a='b'", R"({a="'b'"})"},
      {"a=b~c", R"({a="b~c"})"},
      {R"(""=b)", R"({="b"})"},
      {"a!=b", R"({a!="b"})"},
      {"a!~\"b.*\"", R"({a!~"b.*"})"},
  };
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(parsed(text) == expected);
  }
  for (const char* text :
       {"a=b,,c=d", R"(a=~"[")", "a=b\"c", R"(a="b"c")", "a!b", "a=\"b", "=b", "a", "a=~["}) {
    CAPTURE(text);
    CHECK(parsed(text) == "error");
  }
}

TEST_CASE("an alert goes depth first to the first child that matches, and on if that says so") {
  Route root;
  root.receiver = "root";
  root.routes.push_back(child("team=a", "a", true));
  root.routes[0].routes.push_back(child("severity=page", "a-page"));
  root.routes[0].routes.push_back(child("severity=~\"page|warn\"", "a-any"));
  root.routes.push_back(child("team=~\"a|b\",env!=test", "ab"));
  root.routes.push_back(child("team=b", "b"));
  root.routes.push_back(child("owner=\"\",team=c", "orphan"));
  finish_routes(root);

  CHECK(receivers(root, {{"team", "x"}}) == "root");
  CHECK(receivers(root, {{"team", "a"}}) == "a,ab");
  CHECK(receivers(root, {{"team", "a"}, {"severity", "page"}}) == "a-page,ab");
  CHECK(receivers(root, {{"team", "a"}, {"severity", "warn"}, {"env", "test"}}) == "a-any");
  CHECK(receivers(root, {{"team", "b"}}) == "ab");
  CHECK(receivers(root, {{"team", "b"}, {"env", "test"}}) == "b");
  CHECK(receivers(root, {{"team", "c"}}) == "orphan");
  CHECK(receivers(root, {{"team", "c"}, {"owner", "me"}}) == "root");
}

TEST_CASE("routes to one receiver are numbered, and keys tell the way to a route") {
  Route root;
  root.receiver = "w";
  root.routes.push_back(child("z=1,a=2", "v"));
  root.routes[0].routes.push_back(child("b=~\"x.*\"", "w"));
  root.routes.push_back(child("c=d", "w"));
  finish_routes(root);
  CHECK(root.ordinal == 0);
  CHECK(root.key == "{}");
  CHECK(root.routes[0].ordinal == 0);
  CHECK(root.routes[0].key == R"({}/{a="2",z="1"})");
  CHECK(root.routes[0].routes[0].ordinal == 1);
  CHECK(root.routes[0].routes[0].key == R"({}/{a="2",z="1"}/{b=~"x.*"})");
  CHECK(root.routes[1].ordinal == 2);
  CHECK(find_route(root, "w", 2) == &root.routes[1]);
  CHECK(find_route(root, "w", 3) == nullptr);
  CHECK(find_route(root, "v", 0) == &root.routes[0]);
}

TEST_CASE("groups are named by the labels that are there") {
  Route route;
  route.group_by = {"alertname", "job"};
  const model::Labels labels = model::Labels::of({{"alertname", "X"}, {"i", "1"}});
  CHECK(group_labels(route, labels) == model::Labels::of({{"alertname", "X"}}));
  route.group_by_all = true;
  CHECK(group_labels(route, labels) == labels);
}
