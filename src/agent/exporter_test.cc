#include "agent/exporter.h"

#include "agent/text_source.h"
#include "core/testing/fake_clock.h"
#include "ingest/exposition.h"

#include <doctest/doctest.h>
#include <fstream>
#include <map>
#include <unistd.h>

namespace agent {
namespace {

const core::testing::FakeClock kClock(1'700'000'000'500);

ExporterOptions options_of() {
  ExporterOptions options{.collectors = {}, .version = "1.2.3", .own_metrics = false};
  Roots& roots = options.collectors.roots;
  roots.proc = TESTDATA_DIR "/host/proc";
  roots.sys = TESTDATA_DIR "/host/sys";
  roots.etc = TESTDATA_DIR "/host/etc";
  roots.udev_data = TESTDATA_DIR "/host/udev";
  roots.run = TESTDATA_DIR "/host/run";
  roots.mounts_prefix = TESTDATA_DIR "/host/mounts";
  options.collectors.settings["textfile.directory"] = TESTDATA_DIR "/host/textfile";
  return options;
}

std::unique_ptr<Exporter> make(ExporterOptions options) {
  auto made = Exporter::create(std::move(options), kClock);
  REQUIRE_MESSAGE(made, made.error().message);
  return std::move(*made);
}

// Labels and value of every sample, as the parser of scrapes reads them.
std::map<std::string, double> read_back(const std::string& text, ingest::ExpositionFormat format) {
  std::map<std::string, double> samples;
  const auto parser = ingest::make_exposition_parser(format, text, {});
  ingest::Entry entry;
  while (true) {
    const auto result = parser->next(entry);
    REQUIRE_MESSAGE(result, result.error().message);
    if (entry.kind == ingest::EntryKind::End) return samples;
    if (entry.kind != ingest::EntryKind::Sample) continue;
    std::string labels;
    REQUIRE(parser->append_labels(labels));
    samples[model::LabelsView(labels).to_string()] = entry.value;
  }
}

TEST_CASE("both text forms read back to the same samples") {
  const auto exporter = make(options_of());
  auto text =
      read_back(*exporter->scrape({}, TextForm::Text004), ingest::ExpositionFormat::Text004);
  auto open = read_back(*exporter->scrape({}, TextForm::OpenMetrics100),
                        ingest::ExpositionFormat::OpenMetrics100);
  for (auto* samples : {&text, &open}) {
    std::erase_if(*samples, [](const auto& one) {
      // Of this host, and moving.
      return one.first.starts_with("node_timex") || one.first.starts_with("node_filesystem") ||
             one.first.starts_with("node_scrape_collector_duration");
    });
  }
  CHECK(text.size() > 500);
  CHECK(text == open);
  CHECK(text.at(R"(backup_last_success_time_seconds{host="db1", note="a \"quoted\" \\ word"})") ==
        1.7e9);
  CHECK(text.at("node_textfile_scrape_error") == 0);
  CHECK(text.at(R"(node_scrape_collector_success{collector="cpu"})") == 1);
}

TEST_CASE("collect[] and exclude[] select collectors; unknown ones are refused by name") {
  const auto exporter = make(options_of());
  const auto has = [](const std::string& text, std::string_view what) {
    return text.find(what) != text.npos;
  };
  const std::string some =
      *exporter->scrape({.collect = {"loadavg", "stat"}, .exclude = {}}, TextForm::Text004);
  CHECK(has(some, "\nnode_load1 "));
  CHECK(has(some, "\nnode_forks_total "));
  CHECK(!has(some, "node_memory_"));
  const std::string rest =
      *exporter->scrape({.collect = {}, .exclude = {"loadavg"}}, TextForm::Text004);
  CHECK(!has(rest, "node_load1 "));
  CHECK(has(rest, "node_memory_"));
  for (const char* name : {"tcpstat", "nonsense"}) {
    const auto refused = exporter->scrape({.collect = {name}, .exclude = {}}, TextForm::Text004);
    REQUIRE(!refused);
    CHECK(refused.error().code == core::ErrorCode::InvalidArgument);
    CHECK(has(refused.error().message, name));
  }
  CHECK(!exporter->scrape({.collect = {"stat"}, .exclude = {"cpu"}}, TextForm::Text004));
}

TEST_CASE("collectors are switched on and off, and settings are judged") {
  CollectorOptions options;
  options.disable_defaults = true;
  options.chosen["tcpstat"] = true;
  auto made = make_collectors(options, kClock);
  REQUIRE(made);
  REQUIRE(made->size() == 1);
  CHECK(made->front()->name() == "tcpstat");

  options.settings["netdev.device-exclude"] = "(";
  const auto broken = make_collectors(options, kClock);
  REQUIRE(!broken);
  CHECK(broken.error().message.find("--collector.netdev.device-exclude=(") == 0);
  options.settings["netdev.device-exclude"] = "lo";
  options.settings["netdev.device-include"] = "eth0";
  CHECK(!make_collectors(options, kClock));
  options.settings.clear();
  options.chosen["nonsense"] = true;
  CHECK(!make_collectors(options, kClock));
}

TEST_CASE("the better liked of the two text forms is chosen") {
  CHECK(negotiate_text_form("") == TextForm::Text004);
  CHECK(negotiate_text_form("*/*") == TextForm::Text004);
  CHECK(negotiate_text_form("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.6") ==
        TextForm::Text004);
  CHECK(negotiate_text_form("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                            "text/plain;version=0.0.4;q=0.3,*/*;q=0.1") ==
        TextForm::OpenMetrics100);
  CHECK(negotiate_text_form("application/openmetrics-text;version=0.0.1,*/*;q=0.1") ==
        TextForm::Text004);
}

TEST_CASE("a text file with an error gives nothing but the error") {
  const std::string folder = fmt::format("/tmp/petrel_textfile_test.{}", ::getpid());
  REQUIRE(::system(("mkdir -p " + folder).c_str()) == 0);
  ExporterOptions options = options_of();
  options.collectors.settings["textfile.directory"] = folder;
  const auto exporter = make(options);
  const auto scrape = [&] {
    return *exporter->scrape({.collect = {"textfile"}, .exclude = {}}, TextForm::Text004);
  };
  for (const char* text : {"a 1\nb{ 2\n", "a 1 1700000000000\n", "a one\n"}) {
    CAPTURE(text);
    std::ofstream(folder + "/a.prom") << text;
    const std::string found = scrape();
    CHECK(found.find("\nnode_textfile_scrape_error 1\n") != found.npos);
    CHECK(found.find("\na 1") == found.npos);
    CHECK(found.find("mtime") == found.npos);
  }
  std::ofstream(folder + "/a.prom") << "# HELP x One.\n# TYPE x histogram\nx_bucket{le=\"+Inf\"} "
                                       "2\nx_sum 3\nx_count 2\n";
  std::string found = scrape();
  CHECK(found.find("# TYPE x histogram\nx_bucket{le=\"+Inf\"} 2\nx_sum 3\nx_count 2\n") !=
        found.npos);
  std::ofstream(folder + "/b.prom") << "# HELP x Another.\n# TYPE x gauge\nx 1\n";
  found = scrape();
  CHECK(found.find("\nnode_textfile_scrape_error 1\n") != found.npos);
  CHECK(found.find("\nx 1\n") == found.npos);
  CHECK(found.find("\nx_count 2\n") != found.npos);
  REQUIRE(::system(("rm -r " + folder).c_str()) == 0);
}

}  // namespace
}  // namespace agent
