// Whether what listened at an address has ended: only what refuses has.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <string>

#include "net/listener_watch.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;

namespace {

/// Listens at a free port of this machine, and never accepts.
class mute_listener {
 public:
  mute_listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) == 0);
    REQUIRE(::listen(fd_, 1) == 0);
    REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }
  ~mute_listener() { end(); }
  void end() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }
  const std::string& address() const { return address_; }

 private:
  int fd_;
  std::string address_;
};

peer node_at(process_id id, const std::string& address) {
  peer result;
  result.id = id;
  result.remote = address;
  return result;
}

}  // namespace

TEST_CASE("a quiet node whose port is closed has ended; one that does not answer has not") {
  mute_listener stopped;
  mute_listener gone;
  gone.end();
  std::promise<process_id> found;
  listener_watch watch([&](process_id id) { found.set_value(id); });
  // They are looked at in the order of their ids: the stopped one first.
  watch.look_for({node_at(1, stopped.address()), node_at(2, gone.address())});
  auto ended = found.get_future();
  REQUIRE(ended.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
  CHECK(ended.get() == 2);
}

TEST_CASE("a node is looked at again when it was heard of in between") {
  mute_listener node;
  std::promise<process_id> found;
  listener_watch watch([&](process_id id) { found.set_value(id); });
  watch.look_for({node_at(1, node.address())});
  watch.look_for({});
  node.end();
  watch.look_for({node_at(1, node.address())});
  auto ended = found.get_future();
  REQUIRE(ended.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
}

TEST_CASE("what is no address is not looked at for long") {
  listener_watch watch([](process_id) { FAIL("nothing has ended"); });
  watch.look_for({node_at(1, ""), node_at(2, "nowhere"), node_at(3, "300.1.1.1:5")});
}
