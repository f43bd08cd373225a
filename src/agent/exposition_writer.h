// Collects the samples of one scrape by family and writes them as text 0.0.4 or
// OpenMetrics 1.0, sorted.

#pragma once

#include "agent/collector.h"

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace agent {

enum class TextForm : uint8_t { Text004, OpenMetrics100 };

// What the client likes best of the two, by the q of its Accept header; Text004 where it
// says nothing.
TextForm negotiate_text_form(std::string_view accept);
std::string_view content_type_of(TextForm form);

// Confined to one scrape.
class ExpositionWriter final : public Output {
 public:
  explicit ExpositionWriter(TextForm form) : form_(form) {}

  using Output::add;
  void add(std::string_view metric, model::MetricType type, std::string_view help,
           std::span<const LabelPair> labels, double value) override {
    add_part(metric, type, help, metric, labels, value);
  }
  // Of a series that comes twice (a mount listed twice, say) the first one stays.
  void add_part(std::string_view family, model::MetricType type, std::string_view help,
                std::string_view metric, std::span<const LabelPair> labels, double value) override;

  std::string text() const;

 private:
  struct Family {
    model::MetricType type;
    std::string help;
    std::string lines;
    std::set<std::string, std::less<>> series;
  };

  const TextForm form_;
  std::map<std::string, Family, std::less<>> families_;
  std::string series_;
};

}  // namespace agent
