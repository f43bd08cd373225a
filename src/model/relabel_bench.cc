// What relabelling costs per target and per series.

#include "model/relabel.h"

#include <benchmark/benchmark.h>
#include <string>

namespace {

using model::RelabelAction;

model::RelabelRules rules_of(std::vector<model::RelabelConfig> configs) {
  model::RelabelRules rules;
  for (model::RelabelConfig& config : configs) {
    rules.push_back(*model::RelabelRule::create(std::move(config), model::NameScheme::Utf8));
  }
  return rules;
}

// A pod as Kubernetes discovery finds it, and the rules that everybody uses for it.
void relabel_target(benchmark::State& state) {
  std::vector<std::pair<std::string, std::string>> pairs = {
      {"__address__", "10.1.2.3:8080"},
      {"__meta_kubernetes_namespace", "shop"},
      {"__meta_kubernetes_pod_annotation_prometheus_io_scrape", "true"},
      {"__meta_kubernetes_pod_annotation_prometheus_io_port", "9102"},
      {"__meta_kubernetes_pod_name", "cart-5d8f7c9b6-x2x4q"},
      {"__meta_kubernetes_pod_phase", "Running"},
      {"__metrics_path__", "/metrics"},
      {"__scheme__", "http"},
      {"__scrape_interval__", "10s"},
      {"__scrape_timeout__", "10s"},
      {"job", "pods"}};
  for (int i = 0; i < 12; ++i) {
    pairs.emplace_back("__meta_kubernetes_pod_label_l" + std::to_string(i), "value");
  }
  const model::Labels labels = model::Labels::of(pairs);
  const auto rules = rules_of({
      {.source_labels = {"__meta_kubernetes_pod_annotation_prometheus_io_scrape"},
       .regex = "true",
       .action = RelabelAction::Keep},
      {.source_labels = {"__address__", "__meta_kubernetes_pod_annotation_prometheus_io_port"},
       .regex = "([^:]+)(?::\\d+)?;(\\d+)",
       .target_label = "__address__",
       .replacement = "$1:$2"},
      {.regex = "__meta_kubernetes_pod_label_(.+)", .action = RelabelAction::LabelMap},
      {.source_labels = {"__meta_kubernetes_namespace"}, .target_label = "namespace"},
      {.source_labels = {"__meta_kubernetes_pod_name"}, .target_label = "pod"},
      {.source_labels = {"__meta_kubernetes_pod_phase"},
       .regex = "Pending|Succeeded|Failed|Completed",
       .action = RelabelAction::Drop},
  });
  model::LabelsBuilder builder;
  for (auto _ : state) {
    builder.reset(labels);
    benchmark::DoNotOptimize(model::relabel(rules, builder));
    benchmark::DoNotOptimize(builder.build());
  }
}
BENCHMARK(relabel_target);

void drop_metric(benchmark::State& state) {
  const model::Labels labels = model::Labels::of({{"__name__", "http_requests_total"},
                                                  {"code", "200"},
                                                  {"instance", "10.1.2.3:9102"},
                                                  {"job", "pods"}});
  const auto rules = rules_of({{.source_labels = {"__name__"},
                                .regex = "go_.*|process_.*|promhttp_metric_handler_requests_total",
                                .action = RelabelAction::Drop},
                               {.regex = "pod_template_hash", .action = RelabelAction::LabelDrop}});
  model::LabelsBuilder builder;
  for (auto _ : state) {
    builder.reset(labels);
    benchmark::DoNotOptimize(model::relabel(rules, builder));
    benchmark::DoNotOptimize(builder.build());
  }
}
BENCHMARK(drop_metric);

}  // namespace

BENCHMARK_MAIN();
