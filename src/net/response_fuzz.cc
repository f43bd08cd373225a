// Responses of any server: whole and byte by byte, with the same outcome; never more than
// the bound.

#include "core/result.h"
#include "net/response_parser.h"

#include <cstdint>

namespace {

constexpr uint64_t kBodyMax = 512;

struct Outcome {
  bool is_good = false;
  bool is_done = false;
  int status = 0;
  std::string body{};
};

Outcome run(std::string_view wire, size_t step) {
  net::ResponseParser parser(kBodyMax);
  Outcome outcome{.is_good = true};
  for (size_t at = 0; outcome.is_good && at < wire.size(); at += step) {
    outcome.is_good = parser.feed(wire.substr(at, step)).has_value();
  }
  if (outcome.is_good) outcome.is_good = parser.finish().has_value();
  outcome.is_done = outcome.is_good && parser.is_done();
  if (!outcome.is_good) return outcome;
  outcome.status = parser.status();
  outcome.body = parser.take_body();
  ENSURE(outcome.is_done && outcome.status >= 200 && outcome.status <= 999);
  ENSURE(outcome.body.size() <= kBodyMax);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view wire(reinterpret_cast<const char*>(data), size);
  const Outcome whole = run(wire, size == 0 ? 1 : size);
  const Outcome bytewise = run(wire, 1);
  ENSURE(whole.is_good == bytewise.is_good);
  ENSURE(whole.status == bytewise.status);
  ENSURE(whole.body == bytewise.body);
  return 0;
}
