#include "core/descriptor.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <type_traits>
#include <utility>

#include "test/support/catch.hpp"

using troupe::core::descriptor;

namespace {

int new_fd() { return ::eventfd(0, EFD_CLOEXEC); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

static_assert(!std::is_copy_constructible_v<descriptor>);
static_assert(!std::is_copy_assignable_v<descriptor>);
static_assert(std::is_nothrow_move_constructible_v<descriptor>);
static_assert(std::is_nothrow_move_assignable_v<descriptor>);
static_assert(!std::is_convertible_v<int, descriptor>);

TEST_CASE("a descriptor is closed with its owner") {
  int fd = -1;
  {
    const descriptor owner(new_fd());
    fd = owner.get();
    REQUIRE(owner);
    CHECK(is_open(fd));
  }
  CHECK(!is_open(fd));
}

TEST_CASE("an owner without a descriptor says so, and closes none") {
  descriptor owner;
  CHECK(!owner);
  CHECK(owner.get() == -1);
  owner.reset();
  CHECK(!owner);
}

TEST_CASE("a descriptor moves to one owner") {
  descriptor first(new_fd());
  const int fd = first.get();
  descriptor second(std::move(first));
  CHECK(!first);  // NOLINT: what a moved descriptor is
  CHECK(second.get() == fd);

  descriptor third(new_fd());
  const int old = third.get();
  third = std::move(second);
  CHECK(!second);  // NOLINT: as above
  CHECK(third.get() == fd);
  CHECK(is_open(fd));
  CHECK(!is_open(old));
}

TEST_CASE("a descriptor that is moved to itself stays") {
  descriptor owner(new_fd());
  const int fd = owner.get();
  descriptor& same = owner;
  owner = std::move(same);
  CHECK(owner.get() == fd);
  CHECK(is_open(fd));
}

TEST_CASE("a released descriptor stays open") {
  descriptor first(new_fd());
  const int fd = first.release();
  CHECK(!first);
  CHECK(is_open(fd));
  const descriptor second(fd);
  CHECK(second.get() == fd);
}

TEST_CASE("a reset closes the old descriptor and takes the new one") {
  descriptor owner(new_fd());
  const int old = owner.get();
  const int fd = new_fd();
  owner.reset(fd);
  CHECK(owner.get() == fd);
  CHECK(!is_open(old));
  CHECK(is_open(fd));
  owner.reset();
  CHECK(!owner);
  CHECK(!is_open(fd));
}
