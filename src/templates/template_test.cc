#include "templates/template.h"

#include <doctest/doctest.h>
#include <limits>

using templates::Data;
using templates::Sample;
using templates::Template;

namespace {

Data example(double value = 0.5) {
  Data data;
  data.labels = model::Labels::of({{"instance", "web.example.com:9100"}, {"host", "web"}});
  data.value = value;
  data.external_labels = model::Labels::of({{"region", "eu"}});
  data.external_url = "http://petrel.example/base";
  data.now_ms = 1'700'000'000'500;
  data.query = [](std::string_view expression) -> core::Result<std::vector<Sample>> {
    if (expression == "bad") return core::fail(core::ErrorCode::InvalidArgument, "no such thing");
    if (expression == "none") return std::vector<Sample>();
    return std::vector<Sample>{{model::Labels::of({{"i", "b"}, {"__value__", "s"}}), 2},
                               {model::Labels::of({{"i", "a"}}), 1}};
  };
  return data;
}

std::string expand(std::string_view text, double value = 0.5) {
  const auto parsed = Template::parse(text);
  if (!parsed) return "parse: " + parsed.error().message;
  return parsed->expand_or_error(example(value));
}

std::string parse_error(std::string_view text, bool strict = false) {
  const auto parsed = Template::parse(text, {.strict = strict});
  return parsed ? "no error" : parsed.error().message;
}

struct Case {
  std::string_view text;
  std::string_view expected;
};

void check_all(std::initializer_list<Case> cases) {
  for (const Case& one : cases) {
    CAPTURE(one.text);
    CHECK(expand(one.text) == one.expected);
  }
}

}  // namespace

TEST_CASE("rule templates see labels, value and external labels") {
  check_all({
      {"plain", "plain"},
      {"", ""},
      {"{{ $labels.instance }} {{ .Labels.instance }} {{ $.Labels.host }}",
       "web.example.com:9100 web.example.com:9100 web"},
      {"{{$value}} {{ .Value }}", "0.5 0.5"},
      {"{{ $externalLabels.region }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
       "eu http://petrel.example/base http://petrel.example/base /base"},
      {"[{{ $labels.absent }}]", "[]"},
      {"{{ index $labels \"host\" }}", "web"},
      {"{{ len $labels }}", "2"},
  });
}

TEST_CASE("a bare word that is no function is a label, unless strict") {
  CHECK(expand("CPU of {{ host }} is {{ value }}") == "CPU of web is 0.5");
  CHECK(expand("{{ host | toUpper }} {{ toUpper host }}") == "WEB WEB");
  CHECK(expand("{{ range query \"up\" }}{{ host }}{{ end }}") == "webweb");
  CHECK(expand("[{{ nothing }}]") == "[]");
  CHECK(parse_error("{{ host }}", true) == "1:4: function \"host\" not defined");
  CHECK(parse_error("{{ humanise $value }}") == "1:4: function \"humanise\" not defined");
  CHECK(parse_error("{{ $value | humanise }}") == "1:13: function \"humanise\" not defined");
}

TEST_CASE("floats print as Go prints them") {
  const std::pair<double, const char*> cases[] = {
      {123456, "123456"},
      {100000, "100000"},
      {1234567, "1.234567e+06"},
      {0.0001, "0.0001"},
      {0.00001, "1e-05"},
      {1e21, "1e+21"},
      {0.1, "0.1"},
      {0, "0"},
      {-2.5, "-2.5"},
      {1e6, "1e+06"},
      {999999.5, "999999.5"},
      {std::numeric_limits<double>::infinity(), "+Inf"},
      {std::numeric_limits<double>::quiet_NaN(), "NaN"}};
  for (const auto& [value, text] : cases) CHECK(expand("{{ $value }}", value) == text);
}

TEST_CASE("humanize functions give promtool's golden values") {
  const auto one = [](const char* function, double value) {
    return expand(std::string("{{ ") + function + " $value }}", value);
  };
  CHECK(one("humanize", 123456) == "123.5k");
  CHECK(one("humanize", 1234567) == "1.235M");
  CHECK(one("humanize", 0.0001) == "100u");
  CHECK(one("humanize", 1e21) == "1Z");
  CHECK(one("humanize", 0) == "0");
  CHECK(one("humanize", -12345) == "-12.35k");
  CHECK(one("humanize1024", 1048576) == "1Mi");
  CHECK(one("humanize1024", 1023) == "1023");
  CHECK(one("humanize1024", 0.5) == "0.5");
  CHECK(one("humanizePercentage", 123456) == "1.235e+07%");
  CHECK(one("humanizePercentage", 0.1) == "10%");
  CHECK(one("humanizePercentage", 0.12345) == "12.35%");
  CHECK(one("humanizeDuration", 123456) == "1d 10h 17m 36s");
  CHECK(one("humanizeDuration", 0.1) == "100ms");
  CHECK(one("humanizeDuration", 0.00001) == "10us");
  CHECK(one("humanizeDuration", 0) == "0s");
  CHECK(one("humanizeDuration", 59.5) == "59.5s");
  CHECK(one("humanizeDuration", 3661) == "1h 1m 1s");
  CHECK(one("humanizeDuration", -61) == "-1m 1s");
  CHECK(one("humanizeTimestamp", 1435065584.128) == "2015-06-23 13:19:44.128 +0000 UTC");
  CHECK(one("humanizeTimestamp", 0) == "1970-01-01 00:00:00 +0000 UTC");
  CHECK(one("humanize", std::numeric_limits<double>::infinity()) == "+Inf");
  CHECK(expand("{{ humanize \"1500\" }}") == "1.5k");
  CHECK(expand("{{ \"1h30m\" | parseDuration | humanizeDuration }}") == "1h 30m 0s");
  CHECK(expand("{{ toDuration 3661.5 }} {{ toDuration 0.25 }}") == "1h1m1.5s 250ms");
}

TEST_CASE("text functions") {
  check_all({
      {"{{ toUpper \"aB\" }}{{ toLower \"aB\" }}{{ title \"aa bb\" }}", "ABabAa Bb"},
      {"{{ match \"a+\" \"caat\" }} {{ match \"^x\" \"caat\" }}", "true false"},
      {"{{ reReplaceAll \"(.*):\\\\d+\" \"$1\" \"localhost:9090\" }}", "localhost"},
      {"{{ reReplaceAll \"a\" \"${0}$$$9x\" \"ba\" }}", "ba$"},
      {"{{ reReplaceAll \"\" \"-\" \"ab\" }}", "-a-b-"},
      {"{{ reReplaceAll \"a*\" \"x\" \"baac\" }}", "xbxcx"},
      {"{{ stripPort \"h:1\" }} {{ stripPort \"[::1]:1\" }} {{ stripPort \"h\" }}", "h ::1 h"},
      {"{{ stripDomain \"h.d.e:1\" }} {{ stripDomain \"10.0.0.1:1\" }}", "h:1 10.0.0.1:1"},
      {"{{ urlQueryEscape \"a b&c\" }} {{ \"<b>\" | html }}", "a+b%26c &lt;b&gt;"},
      {"{{ graphLink \"up == 0\" }}", "/graph?g0.expr=up+%3D%3D+0&g0.tab=0"},
      {"{{ js \"it's\" }} {{ safeHtml \"<b>\" }}", "it\\'s <b>"},
      {"{{ slice \"abcdef\" 1 3 }} {{ len \"abc\" }}", "bc 3"},
  });
}

TEST_CASE("printf has Go's verbs and Go's complaints") {
  check_all({
      {"{{ printf \"%.2f %5.1f|%-6s|%q\" $value 1.25 \"ab\" \"c\" }}", "0.50   1.2|ab    |\"c\""},
      {"{{ printf \"%d %x %05d %v %t %%\" 7 255 -42 nil true }}", "7 ff -0042 <nil> true %"},
      {"{{ printf \"%d\" $value }}", "%!d(float64=0.5)"},
      {"{{ printf \"%s\" }} {{ printf \"a\" 1 }}", "%!s(MISSING) a%!(EXTRA int=1)"},
      {"{{ printf \"%e %g %+d\" 1500.0 1500.0 3 }}", "1.500000e+03 1500 +3"},
      {"{{ $value | printf \"%.0f%%\" }}", "0%"},
      {"{{ print 1 2 \"a\" 3 }} {{ println 1 \"a\" }}", "1 2a3 1 a\n"},
  });
}

TEST_CASE("if, else, with, range and variables") {
  check_all({
      {"{{ if gt $value 0.4 }}high{{ else }}low{{ end }}", "high"},
      {"{{ if gt $value 1 }}a{{ else if eq host \"web\" }}b{{ else }}c{{ end }}", "b"},
      {"{{ with $labels.absent }}x{{ else }}none{{ end }}", "none"},
      {"{{ with $h := host }}{{ . }}{{ $h }}{{ end }}", "webweb"},
      {"{{ range query \"up\" }}{{ .Labels.i }}={{ .Value }} {{ end }}", "b=2 a=1 "},
      {"{{ range $i, $s := query \"up\" }}{{ $i }}{{ $s.Labels.i }}{{ end }}", "0b1a"},
      {"{{ range $s := query \"up\" | sortByLabel \"i\" }}{{ label \"i\" $s }}{{ end }}", "ab"},
      {"{{ range query \"none\" }}x{{ else }}empty{{ end }}", "empty"},
      {"{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
       "host=web;instance=web.example.com:9100;"},
      {"{{ range query \"up\" }}{{ break }}x{{ end }}{{ range query \"up\" }}"
       "{{ if eq .Value 2.0 }}{{ continue }}{{ end }}{{ .Value }}{{ end }}",
       "1"},
      {"{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ end }}{{ $x }}", "2"},
      {"{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ end }}{{ $x }}", "1"},
      {"{{ query \"up\" | first | value }} {{ (query \"up\" | first).Value }}", "2 2"},
      {"{{ query \"up\" | first | strvalue }}", "s"},
      {"{{ and 1 0 }} {{ or 0 \"x\" }} {{ not 0 }} {{ and false (query \"bad\") }}",
       "0 x true false"},
      {"{{ eq 1 2 1 }} {{ ne \"a\" \"b\" }} {{ le 1 1.0 }} {{ lt \"a\" \"b\" }} {{ ge 1 2 }}",
       "true true true true false"},
      {"{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" host }}", "<web>"},
      {"{{ block \"b\" 3 }}{{ . }}{{ end }}", "3"},
  });
}

TEST_CASE("trim markers and comments") {
  check_all({
      {"a {{- 1 -}} b", "a1b"},
      {"a\n{{- /* note */ -}}\nb", "ab"},
      {"a {{/* note */}} b", "a  b"},
      {"{{ -1 }} {{- 2 }}", "-12"},
      {"{{ 0x1f }} {{ 1_000 }} {{ 'a' }} {{ 1e3 }} {{ `r\\n` }} {{ \"\\u00e9\\x41\" }}",
       "31 1000 97 1000 r\\n \xc3\xa9"
       "A"},
  });
}

TEST_CASE("bad templates are refused with their place") {
  CHECK(parse_error("{{ if 1 }}x").ends_with("{{if}} without {{end}}"));
  CHECK(parse_error("a\n  {{ $x }}") == "2:6: undefined variable \"$x\"");
  CHECK(parse_error("{{ ").find("unclosed action") != std::string::npos);
  CHECK(parse_error("a {{") == "1:3: unclosed action");
  CHECK(parse_error("{{ end }}") == "1:1: unexpected {{end}}");
  CHECK(parse_error("{{ \"x }}").find("unterminated quoted string") != std::string::npos);
  CHECK(parse_error("{{ }}").find("missing value for command") != std::string::npos);
  CHECK(parse_error("{{ 1 | 2 }}") != "no error");
  CHECK(parse_error("{{ break }}") == "1:1: {{break}} outside {{range}}");
  CHECK(parse_error("{{ ( 1 }}") != "no error");
  CHECK(parse_error("{{ @ }}") == "1:4: unexpected \"@\" in action");
  CHECK(parse_error("{{ 12ab }}") == "1:4: bad number \"12ab\"");
  CHECK(parse_error("{{ /* x }}") != "no error");
  std::string deep;
  for (int i = 0; i < 500; ++i) deep += "{{ if 1 }}";
  CHECK(parse_error(deep).find("nested too deeply") != std::string::npos);
  CHECK(parse_error("{{ " + std::string(500, '(') + " }}").find("too deeply") != std::string::npos);
}

TEST_CASE("a failing expansion becomes its own text") {
  CHECK(expand("{{ query \"bad\" }}") ==
        "<error expanding template: 1:4: error calling query: no such thing>");
  CHECK(expand("{{ query \"none\" | first }}")
            .starts_with("<error expanding template: 1:19: error calling first: "));
  CHECK(expand("{{ .Nothing }}") ==
        "<error expanding template: 1:4: can't evaluate field Nothing>");
  CHECK(expand("{{ humanize \"x\" }}").find("\"x\" is not a number") != std::string::npos);
  CHECK(expand("{{ template \"no\" }}").find("not defined") != std::string::npos);
  CHECK(expand("{{ reReplaceAll \"(\" \"\" \"x\" }}").find("bad pattern") != std::string::npos);
}

TEST_CASE("an expansion that would not end is stopped") {
  CHECK(expand("{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" 1 }}")
            .find("runs too long") != std::string::npos);
  CHECK(expand("{{ range 2000 }}{{ range 2000 }}x{{ end }}{{ end }}").find("runs too long") !=
        std::string::npos);
}
