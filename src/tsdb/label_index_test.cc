#include "tsdb/label_index.h"

#include <doctest/doctest.h>
#include <map>

using model::Labels;

namespace {

struct World {
  tsdb::LabelIndex index;
  std::map<tsdb::SeriesRef, std::vector<tsdb::PairId>> pairs;
  tsdb::SeriesRef next = 1;

  tsdb::SeriesRef add(const std::string& value) {
    const tsdb::SeriesRef ref = next++;
    index.add(ref, Labels::of({{"__name__", "m"}, {"host", value}}), pairs[ref]);
    return ref;
  }

  void remove(const std::vector<tsdb::SeriesRef>& refs) {
    index.remove(refs,
                 [this](tsdb::SeriesRef ref) { return std::span<const tsdb::PairId>(pairs[ref]); });
  }

  std::string values() const {
    std::string text;
    index.for_each_value_in_order("host", [&](std::string_view value, tsdb::Postings postings) {
      text.append(value).append(":").append(std::to_string(postings.size())).append(" ");
    });
    return text;
  }
};

}  // namespace

TEST_CASE("values come in order, whenever they came and went") {
  World world;
  CHECK(world.values().empty());
  world.add("m");
  const tsdb::SeriesRef c = world.add("c");
  const tsdb::SeriesRef x = world.add("x");
  world.add("m");
  CHECK(world.values() == "c:1 m:2 x:1 ");

  world.add("a");
  world.add("n");
  CHECK(world.values() == "a:1 c:1 m:2 n:1 x:1 ");

  // One of the sorted ones and one that came later go.
  const tsdb::SeriesRef b = world.add("b");
  world.remove({c, b});
  world.add("z");
  world.add("d");
  CHECK(world.values() == "a:1 d:1 m:2 n:1 x:1 z:1 ");
  world.remove({x});
  CHECK(world.values() == "a:1 d:1 m:2 n:1 z:1 ");
}
