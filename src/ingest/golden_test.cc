// Runs testdata/<protocol>/*.in against the *.samples beside them. Remote write requests
// are written in hexadecimal, `#` starts a comment. With PETREL_UPDATE_GOLDEN set the
// .samples are written instead; read the difference before committing it.

#include "core/result.h"
#include "ingest/decompress.h"
#include "ingest/json_import.h"
#include "ingest/line_import.h"
#include "ingest/remote_write.h"
#include "ingest/testing/describe.h"

#include <algorithm>
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace ingest {
namespace {

constexpr int64_t kReceivedAtMs = 1'700'000'000'123;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string from_hex(std::string_view text) {
  std::string out;
  std::string digits;
  bool comment = false;
  for (const char c : text) {
    comment = c != '\n' && (comment || c == '#');
    if (comment || std::isxdigit(static_cast<unsigned char>(c)) == 0) continue;
    digits += c;
    if (digits.size() < 2) continue;
    out += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return out;
}

struct Outcome {
  std::string message;  // what the batch borrows from
  storage::WriteBatch batch;
  storage::AppendSummary refused;
};

core::Result<void> decode(std::string_view protocol, const std::string& input, Outcome& outcome) {
  const Limits limits;
  if (protocol == "json") {
    return decode_json_import(input, kReceivedAtMs, limits, outcome.batch, outcome.refused);
  }
  if (protocol == "line") {
    return decode_line_import(input, limits, outcome.batch, outcome.refused);
  }
  TRY(decompress(ContentEncoding::Snappy, from_hex(input), limits, outcome.message));
  return decode_remote_write(outcome.message, limits, outcome.batch, outcome.refused);
}

void run_folder(const std::string& protocol) {
  std::vector<std::filesystem::path> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(TESTDATA_DIR "/" + protocol)) {
    if (entry.path().extension() == ".in") inputs.push_back(entry.path());
  }
  std::sort(inputs.begin(), inputs.end());
  REQUIRE(!inputs.empty());
  for (std::filesystem::path path : inputs) {
    CAPTURE(path.string());
    const std::string input = read_file(path);
    Outcome outcome;
    const core::Result<void> result = decode(protocol, input, outcome);
    const std::string found = testing::describe(result, outcome.batch, outcome.refused);
    path.replace_extension(".samples");
    if (std::getenv("PETREL_UPDATE_GOLDEN") != nullptr) {
      std::ofstream(path, std::ios::binary) << found;
    }
    CHECK(found == read_file(path));
  }
}

TEST_CASE("remote write requests decode to their golden samples") {
  run_folder("remote_write");
}
TEST_CASE("JSON imports decode to their golden samples") {
  run_folder("json");
}
TEST_CASE("line imports decode to their golden samples") {
  run_folder("line");
}

}  // namespace
}  // namespace ingest
