#include "templates/template_set.h"

#include <doctest/doctest.h>

using templates::Html;
using templates::List;
using templates::Record;
using templates::TemplateSet;
using templates::Time;
using templates::Value;

namespace {

constexpr int64_t kNowMs = 1'700'000'300'000;

Value labels(std::initializer_list<std::pair<const char*, const char*>> pairs) {
  Record record;
  record.kind = Record::Kind::Labels;
  for (const auto& [name, value] : pairs) record.fields.emplace(name, Value(value));
  return Value(std::move(record));
}

Value alert(const char* status, const char* instance, int64_t ends_at_ms) {
  Record record;
  record.kind = Record::Kind::Struct;
  record.fields = {{"Status", Value(status)},
                   {"Labels", labels({{"alertname", "Down"}, {"instance", instance}})},
                   {"Annotations", labels({{"summary", "<b>& down"}})},
                   {"StartsAt", Value(Time{1'700'000'000'123, ""})},
                   {"EndsAt", Value(Time{ends_at_ms, ""})},
                   {"GeneratorURL", Value("http://petrel/graph?g0.expr=up+%3D%3D+0&g0.tab=1")},
                   {"Fingerprint", Value("00ff")}};
  return Value(std::move(record));
}

Value example() {
  Record record;
  record.kind = Record::Kind::Struct;
  record.fields = {{"Receiver", Value("team a")},
                   {"Status", Value("firing")},
                   {"Alerts", Value(List{alert("firing", "a", templates::kZeroTimeMs),
                                         alert("resolved", "b", 1'700'000'200'000)})},
                   {"GroupLabels", labels({{"alertname", "Down"}})},
                   {"CommonLabels", labels({{"alertname", "Down"}, {"job", "node"}})},
                   {"CommonAnnotations", labels({{"summary", "<b>& down"}})},
                   {"ExternalURL", Value("http://petrel")}};
  return Value(std::move(record));
}

std::string expand(std::string_view text) {
  const auto out = TemplateSet().expand(text, example(), kNowMs);
  return out ? *out : "error: " + out.error().message;
}

std::string html(std::string_view text) {
  const auto out = TemplateSet().expand_html(text, example(), kNowMs);
  return out ? *out : "error: " + out.error().message;
}

void check_all(std::initializer_list<std::pair<std::string_view, std::string_view>> cases) {
  for (const auto& [text, expected] : cases) {
    CAPTURE(text);
    CHECK(expand(text) == expected);
  }
}

}  // namespace

// What amtool template render prints for the same templates and data.
TEST_CASE("notification templates see alerts, labels and their methods") {
  check_all({
      {"{{ .Alerts.Firing | len }}/{{ len .Alerts.Resolved }}/{{ .Alerts | len }}", "1/1/2"},
      {"{{ .CommonLabels.SortedPairs.Values | join \" \" }}", "Down node"},
      {"{{ .CommonLabels.Names }} {{ .CommonLabels.Values }}", "[alertname job] [Down node]"},
      {"{{ .CommonLabels.Remove .GroupLabels.Names }}", "job=node"},
      {"{{ .CommonLabels }}", "alertname=Down, job=node"},
      {"{{ range .Alerts }}{{ .Labels.instance }}={{ .Status }} {{ end }}", "a=firing b=resolved "},
      {"[{{ .GroupLabels.nosuch }}]", "[]"},
      {"{{ range .GroupLabels.SortedPairs }}{{ .Name }}:{{ .Value }}{{ end }}", "alertname:Down"},
      {"{{ (index .Alerts 0).Labels.instance }}", "a"},
      {"{{ $a := index .Alerts 1 }}{{ $a.EndsAt.Sub $a.StartsAt }}", "3m19.877s"},
      {"{{ with (index .Alerts 0) }}{{ .EndsAt.IsZero }} {{ .StartsAt.Unix }}{{ end }}",
       "true 1700000000"},
  });
  CHECK(expand("{{ .nosuch }}").starts_with("error: 1:4: can't evaluate field nosuch"));
  CHECK(expand("{{ .Status.Nope 1 }}").starts_with("error: 1:4: Nope is not a method of string"));
}

TEST_CASE("notification templates have Alertmanager's functions") {
  check_all({
      {"{{ \"fOO bar-baz\" | title }}", "Foo Bar-Baz"},
      {"{{ toUpper \"a\" }}{{ toLower \"B\" }}{{ trimSpace \" c \\n\" }}", "Abc"},
      {"{{ join \", \" (stringSlice \"a\" \"b\") }}", "a, b"},
      {"{{ match \"^a\" \"abc\" }} {{ reReplaceAll \"b+\" \"x\" \"abbc\" }}", "true axc"},
      {"{{ \"a b&c\" | urlquery }} {{ \"a+b%20c\" | urlUnescape }}", "a+b%26c a b c"},
      {"{{ toJson \"<x>\" }} {{ 5 | toJson }} {{ list 1 \"a\" | toJson }}",
       "\"\\u003cx\\u003e\" 5 [1,\"a\"]"},
      {"{{ dict \"a\" 1 \"b\" \"x\" | toJson }}", "{\"a\":1,\"b\":\"x\"}"},
      {"{{ humanizeDuration 3700 }} {{ since (index .Alerts 0).StartsAt | humanizeDuration }}",
       "1h 1m 40s 4m 59s"},
      {"{{ since (index .Alerts 0).StartsAt }}", "4m59.877s"},
      {"{{ append (list \"a\") \"b\" }}", "[a b]"},
      {"{{ now }}", "2023-11-14 22:18:20 +0000 UTC"},
  });
  CHECK(expand("{{ humanize 5 }}").find("function \"humanize\" not defined") != std::string::npos);
}

TEST_CASE("times print by Go's layouts, in any zone") {
  check_all({
      {"{{ (index .Alerts 0).StartsAt }}", "2023-11-14 22:13:20.123 +0000 UTC"},
      {"{{ (index .Alerts 0).StartsAt.Format \"Mon Jan _2 15:04:05.000 MST 2006\" }}",
       "Tue Nov 14 22:13:20.123 UTC 2023"},
      {"{{ (index .Alerts 0).StartsAt.Format \"02/01/06 3:04PM Monday January\" }}",
       "14/11/23 10:13PM Tuesday November"},
      {"{{ date \"2006-01-02T15:04:05Z07:00\" (index .Alerts 0).StartsAt }}",
       "2023-11-14T22:13:20Z"},
      {"{{ date \"2006-01-02T15:04:05Z07:00 MST\" (tz \"Europe/Berlin\" now) }}",
       "2023-11-14T23:18:20+01:00 CET"},
      {"{{ date \"15:04 -0700 MST\" (tz \"America/New_York\" now) }}", "17:18 -0500 EST"},
      {"{{ (index .Alerts 0).StartsAt.Weekday }} {{ now.Year }}", "Tuesday 2023"},
  });
  CHECK(expand("{{ tz \"Nowhere/X\" now }}").find("unknown time zone Nowhere/X") !=
        std::string::npos);
}

TEST_CASE("values are escaped for the place in the page that they come to") {
  CHECK(html("<p>{{ .CommonAnnotations.summary }}</p>") == "<p>&lt;b&gt;&amp; down</p>");
  CHECK(html("{{ safeHtml \"<b>\" }}") == "<b>");
  CHECK(html("<a title=\"{{ \"a\\\"b\" }}\">") == "<a title=\"a&#34;b\">");
  CHECK(html("<a href=\"{{ (index .Alerts 0).GeneratorURL }}\">x</a>") ==
        "<a href=\"http://petrel/graph?g0.expr=up&#43;%3D%3D&#43;0&amp;g0.tab=1\">x</a>");
  CHECK(html("<a href=\"{{ \"javascript:alert(1)\" }}\">") == "<a href=\"#blocked\">");
  CHECK(html("<a href=\"http://h/?q={{ \"a&b=c\" }}\">") == "<a href=\"http://h/?q=a%26b%3dc\">");
}

TEST_CASE("the default templates work, and a file may replace them") {
  CHECK(expand("{{ template \"email.default.subject\" . }}") == "[FIRING:1] Down (node)");
  const std::string page = html("{{ template \"email.default.html\" . }}");
  CHECK(page.find("[1] Firing") != std::string::npos);
  CHECK(page.find("[1] Resolved") != std::string::npos);
  CHECK(page.find("&lt;b&gt;&amp; down") != std::string::npos);
  CHECK(page.find("<b>&") == std::string::npos);
  CHECK(expand("{{ template \"email.default.text\" . }}").find("instance = a") !=
        std::string::npos);

  TemplateSet set;
  REQUIRE(set.add("{{ define \"__subject\" }}mine {{ .Status }}{{ end }}"));
  CHECK(set.expand("{{ template \"email.default.subject\" . }}", example(), 0).value() ==
        "mine firing");
  CHECK(set.add("{{ define \"x\" }}{{ .a }").error().message.starts_with("1:"));
  CHECK(set.add("\n{{ define \"x\" }}{{ .a | foo }}{{ end }}").error().message ==
        "2:25: function \"foo\" not defined");
}

TEST_CASE("a template that never ends is stopped") {
  TemplateSet set;
  REQUIRE(set.add("{{ define \"a\" }}{{ template \"a\" . }}{{ end }}"));
  CHECK(set.expand("{{ template \"a\" . }}", example(), 0).error().code ==
        core::ErrorCode::LimitExceeded);
}
