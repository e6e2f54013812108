// Whether somebody listens at a place.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include "net/connection_attempt.hpp"
#include "test/support/bound_port.hpp"
#include "test/support/catch.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe::net;
using troupe::test::bound_port;
using troupe::test::temp_folder;
using result = connection_attempt::result;

namespace {

result at(const host_and_port& place) {
  return connection_attempt(place).wait(std::chrono::steady_clock::now() +
                                        std::chrono::seconds(60));
}
/// Of a unix socket it is known at once.
result at(const std::string& path) { return connection_attempt(path).look(); }

/// A unix socket at which somebody listens as long as this lives; its path stays.
class local_listener {
 public:
  explicit local_listener(const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un where{};
    where.sun_family = AF_UNIX;
    path.copy(where.sun_path, sizeof where.sun_path - 1);
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0);
    REQUIRE(::listen(fd_, 8) == 0);
  }
  ~local_listener() { ::close(fd_); }
  local_listener(const local_listener&) = delete;
  local_listener& operator=(const local_listener&) = delete;

 private:
  int fd_;
};

}  // namespace

TEST_CASE("a port is refused while nobody listens there, and before and after") {
  bound_port place;
  const host_and_port address{"127.0.0.1", place.port()};
  CHECK(at(address) == result::refused);
  place.listen();
  CHECK(at(address) == result::made);
  place.end();
  CHECK(at(address) == result::refused);
}

TEST_CASE("a unix socket is refused when who listened there has ended, or took it away") {
  const temp_folder folder;
  const std::string path = folder / "socket";
  CHECK(at(path) == result::refused);
  {
    const local_listener here(path);
    CHECK(at(path) == result::made);
  }
  CHECK(at(path) == result::refused);
}

TEST_CASE("of what is no place nothing is known") {
  CHECK(at(host_and_port{"nowhere.invalid", "80"}) == result::failed);
  CHECK(at(host_and_port{"127.0.0.1", "http"}) == result::failed);
  CHECK(at(std::string(200, 'x')) == result::failed);
}
