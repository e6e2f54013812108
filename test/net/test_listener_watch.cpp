// Whether what listened at an address has ended: only what refuses has.
#include <future>
#include <string>

#include "net/listener_watch.hpp"
#include "test/support/bound_port.hpp"
#include "test/support/catch.hpp"

using namespace troupe::net;
using troupe::test::bound_port;

namespace {

/// Listens and never answers.
class mute_listener : public bound_port {
 public:
  mute_listener() { listen(); }
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
  watch.look_for({stopped.process(1), gone.process(2)});
  auto ended = found.get_future();
  REQUIRE(ended.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
  CHECK(ended.get() == 2);
}

TEST_CASE("a node is looked at again when it was heard of in between") {
  mute_listener node;
  std::promise<process_id> found;
  listener_watch watch([&](process_id id) { found.set_value(id); });
  watch.look_for({node.process(1)});
  watch.look_for({});
  node.end();
  watch.look_for({node.process(1)});
  auto ended = found.get_future();
  REQUIRE(ended.wait_for(std::chrono::seconds(30)) == std::future_status::ready);
}

TEST_CASE("what is no address is not looked at for long") {
  listener_watch watch([](process_id) { FAIL("nothing has ended"); });
  watch.look_for({node_at(1, ""), node_at(2, "nowhere"), node_at(3, "300.1.1.1:5")});
}
