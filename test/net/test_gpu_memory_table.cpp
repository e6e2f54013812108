#include <string>
#include <vector>

#include "net/gpu_memory_table.hpp"
#include "test/support/catch.hpp"

using namespace troupe;

namespace {

net::gpu_memory part(const std::string& uuid, std::uint64_t bytes) {
  return {uuid, "H200", 1000, bytes, 1};
}

}  // namespace

TEST_CASE("arrays of several processes on a device are shown together") {
  net::gpu_memory_table table;
  CHECK(table.set(1, {part("b", 10), part("a", 1)}));
  CHECK(table.set(2, {part("b", 20)}));
  CHECK(table.set(3, {part("b", 0)}));
  const std::vector<net::gpu_memory> all = table.all();
  REQUIRE(all.size() == 2);
  CHECK(all[0] == part("a", 1));
  CHECK(all[1] == net::gpu_memory{"b", "H200", 1000, 30, 2});
}

TEST_CASE("a process's arrays are those that it told last, until it is gone") {
  net::gpu_memory_table table;
  CHECK(table.set(1, {part("a", 10)}));
  CHECK_FALSE(table.set(1, {part("a", 10)}));
  CHECK(table.set(1, {part("a", 5)}));
  CHECK(table.all() == std::vector{part("a", 5)});
  CHECK_FALSE(table.keep([](net::process_id) { return true; }));
  CHECK(table.keep([](net::process_id) { return false; }));
  CHECK(table.all().empty());
}

TEST_CASE("a process cannot fill the table with devices") {
  net::gpu_memory_table table;
  std::vector<net::gpu_memory> many;
  for (int i = 0; i < 1000; ++i) many.push_back(part(std::to_string(i), 1));
  table.set(1, many);
  CHECK(table.all().size() <= 128);
}
