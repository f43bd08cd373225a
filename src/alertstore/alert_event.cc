#include "alertstore/alert_event.h"

#include "core/bytes.h"
#include "core/varint.h"

#include <charconv>
#include <fmt/format.h>

namespace alertstore {

namespace {

constexpr char kVersion = 1;
constexpr size_t kSequenceDigits = 20;

}  // namespace

void append_annotations(std::string& out, const Annotations& annotations) {
  core::append_varint(out, annotations.size());
  for (const auto& [name, value] : annotations) {
    core::append_string(out, name);
    core::append_string(out, value);
  }
}

bool take_annotations(std::string_view& bytes, Annotations& annotations) {
  uint64_t count = 0;
  if (!core::take_varint(bytes, count) || count > bytes.size()) return false;
  for (uint64_t i = 0; i < count; ++i) {
    auto& [name, value] = annotations.emplace_back();
    if (!core::take_string(bytes, name) || !core::take_string(bytes, value)) return false;
  }
  return true;
}

void append_event(std::string& out, const AlertEvent& event) {
  core::append_string(out, event.id);
  core::append_string(out, event.tenant);
  out.push_back(static_cast<char>(event.transition));
  core::append_string(out, event.rule_group);
  core::append_string(out, event.labels.bytes());
  append_annotations(out, event.annotations);
  core::append_le(out, event.value);
  core::append_zigzag(out, event.starts_at_ms);
  core::append_zigzag(out, event.ends_at_ms);
  core::append_string(out, event.generator_url);
  core::append_string(out, event.reason);
}

bool take_event(std::string_view& bytes, AlertEvent& event) {
  std::string_view labels;
  if (!core::take_string(bytes, event.id) || !core::take_string(bytes, event.tenant) ||
      bytes.empty())
    return false;
  event.transition = static_cast<Transition>(bytes.front());
  if (event.transition != Transition::Firing && event.transition != Transition::Resolved) {
    return false;
  }
  bytes.remove_prefix(1);
  if (!core::take_string(bytes, event.rule_group) || !core::take_string(bytes, labels))
    return false;
  event.labels = model::Labels::from_canonical(labels);
  if (!take_annotations(bytes, event.annotations) || bytes.size() < sizeof(double)) return false;
  event.value = core::load_le<double>(bytes);
  bytes.remove_prefix(sizeof(double));
  return core::take_zigzag(bytes, event.starts_at_ms) &&
         core::take_zigzag(bytes, event.ends_at_ms) &&
         core::take_string(bytes, event.generator_url) && core::take_string(bytes, event.reason);
}

std::string encode_event(const AlertEvent& event) {
  std::string out(1, kVersion);
  append_event(out, event);
  return out;
}

core::Result<AlertEvent> decode_event(std::string_view bytes) {
  if (bytes.empty() || bytes.front() != kVersion) {
    return core::fail(core::ErrorCode::Corruption, "alert event: unknown version");
  }
  std::string_view rest = bytes.substr(1);
  AlertEvent event;
  if (!take_event(rest, event) || !rest.empty()) {
    return core::fail(core::ErrorCode::Corruption, "alert event: malformed at byte {} of {}",
                      bytes.size() - rest.size(), bytes.size());
  }
  return event;
}

std::string outbox_prefix(std::string_view tenant) {
  return fmt::format("{}{}/", kOutboxPrefix, tenant);
}

std::string outbox_key(std::string_view tenant, uint64_t sequence) {
  return fmt::format("{}{}/{:020}", kOutboxPrefix, tenant, sequence);
}

core::Result<uint64_t> outbox_sequence(std::string_view key) {
  uint64_t sequence = 0;
  if (key.size() > kSequenceDigits) {
    const char* end = key.data() + key.size();
    const auto [rest, error] = std::from_chars(end - kSequenceDigits, end, sequence);
    if (error == std::errc() && rest == end) return sequence;
  }
  return core::fail(core::ErrorCode::Corruption, "outbox key \"{}\" has no sequence", key);
}

std::string fingerprint(model::LabelsView labels) {
  uint64_t hash = 14695981039346656037ULL;  // FNV-1a offset basis
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) {
      hash ^= static_cast<uint8_t>(c);
      hash *= 1099511628211ULL;
    }
    hash ^= 0xff;
    hash *= 1099511628211ULL;
  };
  for (const model::Label& label : labels) {
    add(label.name);
    add(label.value);
  }
  return fmt::format("{:016x}", hash);
}

}  // namespace alertstore
