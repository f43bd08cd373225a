// Parsing of what targets expose: a page like node_exporter's, once per sample as it is for
// a series already known (next() only) and once with its labels.

#include "core/result.h"
#include "ingest/exposition.h"
#include "ingest/testing/wire_writer.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <fstream>
#include <iterator>

namespace ingest {
namespace {

struct Page {
  std::string text;
  std::string openmetrics;
  std::string protobuf;
  int64_t samples = 0;
};

void add_family(Page& page, std::string_view name, std::string_view type, int series) {
  const bool counter = type == "counter";
  page.text += fmt::format("# HELP {} How much of it there is by cpu, mode and device.\n", name);
  page.text += fmt::format("# TYPE {} {}\n", name, type);
  const std::string_view base = counter ? name.substr(0, name.size() - 6) : name;
  page.openmetrics += fmt::format("# TYPE {} {}\n", base, type);
  testing::WireWriter family;
  family.bytes(1, name).bytes(2, "How much of it there is by cpu, mode and device.");
  family.varint(3, counter ? 0 : 1);
  constexpr const char* kModes[] = {"idle", "iowait", "irq", "nice", "softirq", "steal", "user"};
  for (int i = 0; i < series; ++i) {
    const char* const mode = kModes[i % 7];
    const double value = i % 3 == 0 ? i * 1.0 : i % 3 == 1 ? i * 1234.56 : 1.5e9 + i * 4096;
    const std::string number = i % 3 == 2 ? fmt::format("{:.9e}", value) : fmt::format("{}", value);
    const std::string line = fmt::format("{}{{cpu=\"{}\",device=\"eth{}\",mode=\"{}\"}} {}\n", name,
                                         i / 7, i % 4, mode, number);
    page.text += line;
    page.openmetrics += line;
    testing::WireWriter metric;
    for (const auto& [key, label] :
         {std::pair<const char*, std::string>{"cpu", std::to_string(i / 7)},
          {"device", fmt::format("eth{}", i % 4)},
          {"mode", mode}}) {
      metric.bytes(1, testing::WireWriter().bytes(1, key).bytes(2, label));
    }
    metric.bytes(counter ? 3 : 2, testing::WireWriter().float64(1, value));
    family.bytes(4, metric);
    ++page.samples;
  }
  core::append_string(page.protobuf, family.str());
}

const Page& page() {
  static const Page kPage = [] {
    Page page;
    for (int i = 0; i < 40; ++i) {
      add_family(page, fmt::format("node_network_receive_{}_bytes_total", i), "counter", 20);
      add_family(page, fmt::format("node_memory_{}_bytes", i), "gauge", 2);
    }
    page.openmetrics += "# EOF\n";
    return page;
  }();
  return kPage;
}

void parse(benchmark::State& state, ExpositionFormat format, std::string_view body, bool labels) {
  Entry entry;
  std::string bytes;
  int64_t samples = 0;
  for (auto _ : state) {
    const auto parser = make_exposition_parser(format, body, {});
    do {
      ENSURE(parser->next(entry));
      if (entry.kind != EntryKind::Sample) continue;
      ++samples;
      if (!labels) continue;
      bytes.clear();
      ENSURE(parser->append_labels(bytes));
    } while (entry.kind != EntryKind::End);
  }
  state.SetItemsProcessed(samples);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}

void text(benchmark::State& state) {
  parse(state, ExpositionFormat::Text004, page().text, false);
}
BENCHMARK(text);

// As a reader that remembers the order of the last time.
void text_in_known_order(benchmark::State& state) {
  std::vector<std::string> keys;
  Entry entry;
  int64_t samples = 0;
  for (auto _ : state) {
    const auto parser = make_exposition_parser(ExpositionFormat::Text004, page().text, {});
    size_t next = 0;
    do {
      if (next < keys.size()) parser->expect(keys[next]);
      ENSURE(parser->next(entry));
      if (entry.kind != EntryKind::Sample) continue;
      if (next == keys.size()) keys.emplace_back(entry.key);
      ENSURE(entry.key == keys[next]);
      ++next;
      ++samples;
    } while (entry.kind != EntryKind::End);
  }
  state.SetItemsProcessed(samples);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(page().text.size()));
}
BENCHMARK(text_in_known_order);

void text_with_labels(benchmark::State& state) {
  parse(state, ExpositionFormat::Text004, page().text, true);
}
BENCHMARK(text_with_labels);

void openmetrics(benchmark::State& state) {
  parse(state, ExpositionFormat::OpenMetrics100, page().openmetrics, false);
}
BENCHMARK(openmetrics);

void protobuf(benchmark::State& state) {
  parse(state, ExpositionFormat::Protobuf, page().protobuf, false);
}
BENCHMARK(protobuf);

void protobuf_with_labels(benchmark::State& state) {
  parse(state, ExpositionFormat::Protobuf, page().protobuf, true);
}
BENCHMARK(protobuf_with_labels);

// A page of a real target, when one is named.
void text_of_file(benchmark::State& state) {
  const char* const path = std::getenv("PETREL_EXPOSITION");
  if (path == nullptr) {
    state.SkipWithError("PETREL_EXPOSITION names no file");
    return;
  }
  std::ifstream file(path, std::ios::binary);
  const std::string body{std::istreambuf_iterator<char>(file), {}};
  parse(state, ExpositionFormat::Text004, body, false);
}
BENCHMARK(text_of_file);

}  // namespace
}  // namespace ingest

BENCHMARK_MAIN();
