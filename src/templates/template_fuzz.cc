// Any text: a parse error, or a template whose expansion ends within its bounds.

#include "templates/template.h"
#include "templates/template_set.h"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  for (const bool strict : {false, true}) {
    const auto parsed = templates::Template::parse(text, {.strict = strict});
    if (!parsed) continue;
    templates::Data data;
    data.labels = model::Labels::of({{"host", "a.example:9100"}, {"job", "node"}});
    data.value = 0.25;
    data.query = [](std::string_view) -> core::Result<std::vector<templates::Sample>> {
      return std::vector<templates::Sample>(3);
    };
    (void)parsed->expand_or_error(data);
  }
  templates::Record labels;
  labels.kind = templates::Record::Kind::Labels;
  labels.fields.emplace("alertname", templates::Value("X"));
  templates::Record alert;
  alert.kind = templates::Record::Kind::Struct;
  alert.fields = {{"Status", templates::Value("firing")},
                  {"Labels", templates::Value(labels)},
                  {"StartsAt", templates::Value(templates::Time{1'700'000'000'123})}};
  templates::Record root;
  root.kind = templates::Record::Kind::Struct;
  root.fields = {{"Alerts", templates::Value(templates::List{templates::Value(alert)})},
                 {"GroupLabels", templates::Value(labels)}};
  templates::TemplateSet set;
  (void)set.add(text);
  (void)set.expand(text, templates::Value(root), 0);
  (void)set.expand_html(text, templates::Value(root), 0);
  return 0;
}
