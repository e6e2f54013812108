// What one lease runs, and when its CPUs go back to the node.
#include <vector>

#include "net/lease_capacity.hpp"
#include "net/lease_window.hpp"
#include "test/support/catch.hpp"

using troupe::core::grant_order;
using troupe::net::lease_capacity;
using troupe::net::lease_window;
using wish = lease_capacity::wish;

namespace {

struct claim final : troupe::core::claimant {
  void granted() noexcept override { ++grants; }
  int grants = 0;
};

struct lease {
  lease() : capacity([this](wish w) { wishes.push_back(w); }) { capacity.set_shapes(1, 1); }
  std::vector<wish> wishes;
  lease_capacity capacity;
};

}  // namespace

TEST_CASE("a lease runs one after the other") {
  lease l;
  claim a;
  claim b;
  l.capacity.request(a, 1, grant_order::normal);
  l.capacity.request(b, 1, grant_order::normal);
  CHECK(a.grants == 1);
  CHECK(b.grants == 0);
  l.capacity.release(1, {});
  CHECK(b.grants == 1);
  CHECK(l.wishes.empty());
}

TEST_CASE("a task that blocks lets the next one run, and goes on before further ones") {
  lease l;
  claim a;
  claim b;
  claim c;
  l.capacity.request(a, 1, grant_order::normal);
  l.capacity.request(b, 1, grant_order::normal);
  l.capacity.lend(1);  // a blocks
  CHECK(b.grants == 1);
  l.capacity.request(c, 1, grant_order::normal);
  claim a_again;
  l.capacity.request(a_again, 1, grant_order::resume);
  l.capacity.release(1, {});  // b has ended
  CHECK(a_again.grants == 1);
  CHECK(c.grants == 0);
  CHECK(l.wishes.empty());
}

TEST_CASE(
    "the CPUs go back while everything blocks, and are asked for when somebody wants to go on") {
  lease l;
  claim a;
  l.capacity.request(a, 1, grant_order::normal);
  l.capacity.lend(1);
  CHECK(l.wishes == std::vector{wish::suspend});
  claim again;
  l.capacity.request(again, 1, grant_order::resume);
  CHECK(again.grants == 0);
  CHECK(l.wishes == std::vector{wish::suspend, wish::resume});
  l.capacity.resumed();
  CHECK(again.grants == 1);
}

TEST_CASE("a lease of more than CPUs runs no second task while the first one blocks") {
  lease l;
  l.capacity.set_shapes(2, 1);  // a GPU beside the CPUs
  claim a;
  claim b;
  l.capacity.request(a, 2, grant_order::normal);
  l.capacity.request(b, 2, grant_order::normal);
  l.capacity.lend(1);
  CHECK(b.grants == 0);
  claim again;
  l.capacity.request(again, 1, grant_order::resume);
  l.capacity.resumed();
  CHECK(again.grants == 1);
  l.capacity.release(2, {});
  CHECK(b.grants == 1);
}

TEST_CASE("a task that blocks under a lease that is over goes on, and the node hears nothing") {
  lease l;
  claim a;
  l.capacity.request(a, 1, grant_order::normal);
  l.capacity.lend(1);
  CHECK(l.wishes == std::vector{wish::suspend});
  claim before;
  l.capacity.request(before, 1, grant_order::resume);
  CHECK(before.grants == 0);
  l.wishes.clear();
  l.capacity.close();
  CHECK(before.grants == 1);
  l.capacity.lend(1);
  claim after;
  l.capacity.request(after, 1, grant_order::resume);
  CHECK(after.grants == 1);
  CHECK(l.wishes.empty());
}

TEST_CASE("short tasks are sent ahead, long ones are not") {
  using clock = lease_window::clock;
  const clock::time_point start{};
  lease_window fast;
  for (int i = 0; i < 200; ++i) fast.task_ended(start + std::chrono::microseconds(i), 10);
  CHECK(fast.size() == lease_window::most);
  lease_window slow;
  for (int i = 0; i < 200; ++i) slow.task_ended(start + std::chrono::milliseconds(i * 50), 10);
  CHECK(slow.size() == 2);
}
