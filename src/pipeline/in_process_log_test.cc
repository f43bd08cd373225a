#include "pipeline/in_process_log.h"

#include "storage/testing/log_suite.h"

#include <doctest/doctest.h>
#include <memory>
#include <vector>

namespace pipeline {
namespace {

using core::ErrorCode;
using storage::testing::OwnedBatch;

void run_suite(Compression compression) {
  auto topics = std::make_shared<std::vector<std::unique_ptr<InProcessTopic>>>();
  storage::testing::run_log_suite([=]() -> storage::testing::OpenLog {
    topics->push_back(std::make_unique<InProcessTopic>());
    return [topic = topics->back().get(), topics, compression] {
      return std::make_unique<InProcessLog>(InProcessLogOptions{.compression = compression},
                                            *topic);
    };
  });
}

TEST_CASE("the in-process log is a log") {
  run_suite(Compression::None);
}

TEST_CASE("the in-process log is a log with compressed records") {
  run_suite(Compression::Zstd);
}

OwnedBatch batch_of(size_t help_bytes) {
  OwnedBatch batch;
  batch.tenant = "default";
  batch.metadata.push_back(
      {.metric = "m", .type = {}, .unit = {}, .help = std::string(help_bytes, 'h')});
  return batch;
}

TEST_CASE("a full log refuses until it is truncated") {
  InProcessTopic topic;
  InProcessLog log({.bytes_max = 3000, .compression = Compression::None}, topic);
  REQUIRE(log.append(batch_of(1000).view()));
  REQUIRE(log.append(batch_of(1000).view()));
  const auto refused = log.append(batch_of(1000).view());
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::LimitExceeded);
  REQUIRE(log.truncate_before(1));
  CHECK(log.low() == 1);
  CHECK(*log.append(batch_of(1000).view()) == 2);
}

TEST_CASE("a batch above the broker's message size is refused") {
  InProcessTopic topic;
  InProcessLog log({.compression = Compression::None}, topic);
  CHECK(log.append(batch_of(5 << 20).view()).error().code == ErrorCode::TooLarge);
  CHECK(log.high() == 0);
}

TEST_CASE("damage to a record ends the replay with its position") {
  InProcessTopic topic;
  InProcessLog log({}, topic);
  REQUIRE(log.append(batch_of(1).view()));
  REQUIRE(log.append(batch_of(2).view()));
  topic.records[1][3] ^= 1;
  const auto replayed = storage::testing::replay_all(log);
  REQUIRE(!replayed);
  CHECK(replayed.error().code == ErrorCode::Corruption);
  CHECK(replayed.error().message.find("log record 1") != std::string::npos);
}

}  // namespace
}  // namespace pipeline
