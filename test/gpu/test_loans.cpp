// Device memory that one process lends to another: here both are this process, over a driver in the
// host's memory.
#include <unistd.h>

#include <numeric>
#include <string>
#include <vector>

#include <troupe/archive.hpp>
#include <troupe/gpu/array.hpp>
#include <troupe/gpu/copy.hpp>
#include <troupe/gpu/error.hpp>

#include "test/gpu/fake_driver.hpp"
#include "test/gpu/receiver_is.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"

using namespace troupe::test;
namespace gpu = troupe::gpu;
using troupe::detail::archive_receiver;

namespace {

std::vector<int> numbers() {
  std::vector<int> result(100'000);
  std::iota(result.begin(), result.end(), 0);
  return result;
}

gpu::array<int> read(const troupe::detail::encoded& from) {
  return troupe::detail::decode<gpu::array<int>>(from.inline_bytes, from.segments);
}

/// A lender and a borrower, as two processes with the same device have them.
struct world {
  world() {
    for (fake_devices* const one : {&lender, &borrower}) {
      one->driver.run_at_once();
      one->driver.shares = true;
    }
  }
  gpu::array<int> make() {
    gpu::detail::engine::replace_for_test(&lender.engine);
    return gpu::to_device(numbers());
  }
  troupe::detail::encoded lend(const gpu::array<int>& what) {
    gpu::detail::engine::replace_for_test(&lender.engine);
    return troupe::detail::encode(what);
  }
  gpu::array<int> borrow(const troupe::detail::encoded& from) {
    gpu::detail::engine::replace_for_test(&borrower.engine);
    return read(from);
  }
  std::size_t loans() { return lender.engine.lends().loans(); }

  fake_devices lender;
  fake_devices borrower;
  receiver_is near{archive_receiver::same_machine};
};

}  // namespace

TEST_CASE("a process of the machine gets a loan, whatever the size, and reads the same memory") {
  world w;
  const auto made = w.make();
  const auto bytes = w.lend(made);
  CHECK(bytes.total_size() < 300);
  const auto there = w.borrow(bytes);
  CHECK(w.loans() == 1);
  CHECK(there.data() == made.data());
  CHECK(there.device() == 0);
  CHECK(gpu::to_host(there) == numbers());
}

TEST_CASE("lent memory stays until the borrower gives it back") {
  world w;
  std::optional<gpu::array<int>> there;
  {
    const auto made = w.make();
    there = w.borrow(w.lend(made));
  }
  CHECK(gpu::to_host(*there) == numbers());
  CHECK(w.lender.driver.allocated() == 1);
  there.reset();
  CHECK(eventually([&] { return w.lender.driver.allocated() == 0; }));
  CHECK(eventually([&] { return w.loans() == 0; }));
}

TEST_CASE("a loan that is not opened needs no device, and can be passed on") {
  world w;
  const auto made = w.make();
  std::optional<gpu::array<int>> second;
  {
    const auto first = w.borrow(w.lend(made));
    second = read(troupe::detail::encode(first));  // by the borrower
  }
  CHECK(w.borrower.driver.opened_pools == 0);
  CHECK(eventually([&] { return w.loans() == 1; }));
  CHECK(gpu::to_host(*second) == numbers());
  CHECK(w.borrower.driver.opened_pools == 1);
}

TEST_CASE("a lender's pool is opened once for all its loans") {
  world w;
  const auto made = w.make();
  const auto first = w.borrow(w.lend(made));
  const auto second = w.borrow(w.lend(made));
  CHECK(first.data() == second.data());
  CHECK(w.borrower.driver.opened_pools == 1);
}

TEST_CASE("memory that cannot be opened is copied") {
  world w;
  w.borrower.driver.imports_fail = true;
  const auto made = w.make();
  const auto there = w.borrow(w.lend(made));
  CHECK(there.data() != made.data());
  CHECK(gpu::to_host(there) == numbers());
  // What the copy has become is what is passed on.
  there.data()[0] = 7;
  CHECK(gpu::to_host(read(troupe::detail::encode(there)))[0] == 7);
}

TEST_CASE("a device that cannot share has its content sent") {
  world w;
  w.lender.driver.shares = false;
  const auto made = w.make();
  const auto bytes = w.lend(made);
  CHECK(bytes.total_size() >= numbers().size() * sizeof(int));
  CHECK(gpu::to_host(w.borrow(bytes)) == numbers());
}

TEST_CASE("another machine gets the content") {
  world w;
  const receiver_is far(archive_receiver::elsewhere);
  const auto made = w.make();
  CHECK(w.lend(made).total_size() >= numbers().size() * sizeof(int));
}

TEST_CASE("a loan that comes back to its lender is the memory itself") {
  world w;
  const auto made = w.make();
  const auto bytes = w.lend(made);
  CHECK(read(bytes) == made);
  CHECK(w.loans() == 0);
}

TEST_CASE("a loan of a process that is gone is told as lost") {
  world w;
  const auto made = w.make();
  auto bytes = w.lend(made);
  // The name of the lender's socket follows mark, count, number, size and its own length.
  auto* const name = reinterpret_cast<char*>(bytes.inline_bytes.data()) + 1 + 4 * 8;
  REQUIRE(std::string(name, 7) == "troupe-");
  name[0] = 'x';
  CHECK_THROWS_AS(w.borrow(bytes), troupe::object_lost_error);
}

TEST_CASE("a loan whose size does not fit its elements is refused") {
  world w;
  const auto made = w.make();
  auto bytes = w.lend(made);
  bytes.inline_bytes[1] ^= std::byte{1};
  CHECK_THROWS_AS(w.borrow(bytes), troupe::detail::archive_error);
}

TEST_CASE("whatever a stranger says to a lender, it goes on") {
  world w;
  const auto made = w.make();
  const auto bytes = w.lend(made);
  const std::string name = w.lender.engine.lends().name();
  for (const std::uint32_t verb : {0U, 3U, 4U, 5U, 99U}) {
    const auto socket = gpu::wire::connect_to(name);
    gpu::wire::send_one(socket.get(), gpu::wire::request{gpu::wire::verb{verb}, 1, 12345});
    gpu::wire::answer said;
    if (gpu::wire::receive_one(socket.get(), said)) CHECK(said.ok == 0);
  }
  CHECK(gpu::to_host(w.borrow(bytes)) == numbers());
}
