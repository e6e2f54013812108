// A store and its clients, each over its own socket: memory is shared, and freed with who ends.
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/error.hpp>

#include "net/messages.hpp"
#include "net/object_store.hpp"
#include "net/pack.hpp"
#include "net/store_client.hpp"
#include "net/store_socket.hpp"
#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/endpoints.hpp"
#include "test/support/runtime.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe::net;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

/// A node's part: an endpoint without peers, and the store.
struct node_part {
  explicit node_part(std::uint64_t capacity = 4 * mib, bool spills = true)
      : endpoint({.session_dir = folder.path().string()}, handler),
        store({.node = "n",
               .socket_path = path(),
               .capacity = capacity,
               .spill_dir = spills ? folder.path().string() + "/spill" : "",
               .patience = 500ms},
              endpoint) {}
  std::string path() const { return folder.path().string() + "/store"; }

  temp_folder folder;
  recorder handler;
  troupe::net::endpoint endpoint;
  object_store store;
};

stored_id put(store_client& to, process_id owner, std::uint64_t size, char fill) {
  const auto block = to.create(size, {owner, "test"});
  std::memset(block.bytes.data(), fill, block.bytes.size());
  to.seal(block.id);
  return block.id;
}

}  // namespace

TEST_CASE("what one process writes another one reads, in the same memory") {
  node_part node;
  const auto writer = store_client::connect(node.path(), 100);
  const auto reader = store_client::connect(node.path(), 200);
  const stored_id id = put(*writer, 100, mib, 'x');
  const auto seen = reader->pin(id, {}, {});
  CHECK(seen->size() == mib);
  CHECK(seen->front() == std::byte{'x'});
  CHECK(seen->back() == std::byte{'x'});
  CHECK(reader->region().contains(seen->data()));
  CHECK(reinterpret_cast<std::uintptr_t>(seen->data()) % 64 == 0);
}

TEST_CASE("a reader that comes first waits for the seal") {
  node_part node;
  const auto writer = store_client::connect(node.path(), 100);
  const auto reader = store_client::connect(node.path(), 200);
  const auto block = writer->create(mib, {100, "test"});
  std::jthread later([&] { writer->seal(block.id); });
  CHECK(reader->pin(block.id, {}, {})->size() == mib);
}

TEST_CASE("a client that ends frees what it owned, wrote and read") {
  node_part node;
  const auto stays = store_client::connect(node.path(), 100);
  auto goes = store_client::connect(node.path(), 200);
  const stored_id read = put(*stays, 100, mib, 'a');
  put(*goes, 200, mib, 'b');
  static_cast<void>(goes->create(mib, {200, "test"}));
  auto seen = goes->pin(read, {}, {});
  CHECK(eventually([&] { return node.store.use().used == 3 * mib; }));
  seen.reset();
  goes.reset();
  CHECK(eventually([&] { return node.store.use().used == mib; }));
}

TEST_CASE("what a process of the node reads stays in place until it ends, also when it has left") {
  node_part node;
  const auto owner = store_client::connect(node.path(), 100);
  auto leaves = store_client::connect(node.path(), 200);
  put(*owner, 100, mib, 'a');
  auto seen = leaves->pin(put(*owner, 100, mib, 'b'), {}, {});
  node.store.process_gone(200, "it left in good order");
  node.store.process_gone(100, "it left in good order");
  CHECK(eventually([&] { return node.store.use().used == mib; }));
  static_cast<void>(owner->create(2 * mib, {100, "test"}));
  CHECK(seen->front() == std::byte{'b'});
  CHECK(seen->back() == std::byte{'b'});
  seen.reset();
  leaves.reset();
  CHECK(eventually([&] { return node.store.use().used == 2 * mib; }));
}

TEST_CASE("memory that is read stays mapped when its client was let go of") {
  node_part node;
  auto client = store_client::connect(node.path(), 100);
  const auto seen = client->pin(put(*client, 100, mib, 'x'), {}, {});
  client.reset();
  CHECK(seen->front() == std::byte{'x'});
}

TEST_CASE("what does not fit goes to the disk and comes back as it was") {
  node_part node;
  const auto client = store_client::connect(node.path(), 100);
  std::vector<stored_id> ids;
  for (char c = 'a'; c < 'm'; ++c) ids.push_back(put(*client, 100, mib, c));
  CHECK(eventually([&] { return node.store.use().spilled >= 8 * mib; }));
  char expected = 'a';
  for (const stored_id id : ids) {
    const auto seen = client->pin(id, {}, {});
    CHECK(seen->front() == static_cast<std::byte>(expected));
    CHECK(seen->back() == static_cast<std::byte>(expected++));
  }
}

TEST_CASE("a request for memory that never comes free fails in time, and says what holds it") {
  node_part node(2 * mib);
  const auto client = store_client::connect(node.path(), 100);
  const auto held = client->pin(put(*client, 100, 2 * mib, 'x'), {}, {});
  try {
    client->create(mib, {100, "test"});
    FAIL("there was no memory");
  } catch (const troupe::out_of_memory_error& e) {
    CHECK_THAT(e.what(), contains("2 MiB are being read"));
  }
  CHECK_THROWS_AS(client->create(3 * mib, {100, "test"}), troupe::out_of_memory_error);
}

TEST_CASE("a wait for a value ends at its deadline, and leaves nothing behind") {
  node_part node;
  const auto writer = store_client::connect(node.path(), 100);
  const auto reader = store_client::connect(node.path(), 200);
  const auto block = writer->create(mib, {100, "test"});
  CHECK_THROWS_AS(reader->pin(block.id, {}, std::chrono::steady_clock::now() + 30ms),
                  troupe::get_timeout_error);
  writer->abort(block.id);
  CHECK(eventually([&] { return node.store.use().used == 0; }));
}

// The seal comes by the writer's socket, the question of another node by the network.
TEST_CASE("a node that asks for a value before its seal has come waits for it") {
  node_part node;
  test_process asks(node.folder);
  node.endpoint.learn(asks.endpoint.self());
  asks.endpoint.learn(node.endpoint.self());
  const auto writer = store_client::connect(node.path(), 100);
  const auto block = writer->create(mib, {100, "test"});
  node.store.received(asks.id(), pack(pull_value{block.id, true}));
  // What the store was told before is done when it has answered twice.
  for (int i = 0; i < 2; ++i) writer->abort(writer->create(mib, {100, "test"}).id);
  writer->seal(block.id);
  REQUIRE(asks.heard.wait(node.endpoint.id(), 1));
  const auto answer = unpack<value_source>(asks.heard.taken(node.endpoint.id()).at(0));
  CHECK(answer.refused.empty());
  CHECK(answer.size == mib);
}

TEST_CASE("a value that is not there is lost") {
  node_part node;
  const auto client = store_client::connect(node.path(), 100);
  CHECK_THROWS_AS(client->pin({node.endpoint.id(), 99}, {}, {}), troupe::object_lost_error);
}

TEST_CASE("a value of a node whose end was told is lost at once, also when it is asked for later") {
  node_part node;
  node_part other;  // it is there still, and answers nothing
  const auto client = store_client::connect(node.path(), 100);
  node.store.process_gone(other.endpoint.id(), "it was stopped");
  CHECK_THROWS_AS(client->pin({other.endpoint.id(), 1}, other.endpoint.self(),
                              std::chrono::steady_clock::now() + patience),
                  troupe::object_lost_error);
}

TEST_CASE("clients of a store that ends get an error, and what they read stays readable") {
  auto node = std::make_unique<node_part>();
  int found_gone = 0;
  const auto client = store_client::connect(node->path(), 100, [&] { ++found_gone; });
  const stored_id id = put(*client, 100, mib, 'x');
  const auto seen = client->pin(id, {}, {});
  const std::string path = node->path();
  node.reset();
  CHECK(seen->back() == std::byte{'x'});
  CHECK(found_gone == 0);
  CHECK_THROWS_AS(client->create(mib, {100, "test"}), troupe::connection_error);
  CHECK(found_gone == 1);
  CHECK_THROWS_AS(store_client::connect(path, 300), troupe::connection_error);
}

TEST_CASE("a connection that says what cannot be read is closed, and harms nobody else") {
  node_part node;
  const auto client = store_client::connect(node.path(), 100);
  for (const std::size_t size : {1, 7, 100, 3'000}) {
    const auto stranger = connect_to_store(node.path());
    const std::vector<char> noise(size, '\x7f');
    REQUIRE(::send(stranger.get(), noise.data(), noise.size(), MSG_NOSIGNAL) > 0);
    store_reply reply;
    CHECK_THROWS_AS(receive_reply(stranger, 10'000, reply), troupe::connection_error);
  }
  const auto nobody = connect_to_store(node.path());  // asks before it says who it is
  store_request request;
  request.what = store_request::kind::create;
  request.size = mib;
  REQUIRE(send_request(nobody, request));
  store_reply reply;
  CHECK_THROWS_AS(receive_reply(nobody, 10'000, reply), troupe::connection_error);
  CHECK(client->pin(put(*client, 100, mib, 'x'), {}, {})->size() == mib);
}

TEST_CASE("many threads of many clients write and read at once") {
  node_part node(16 * mib);
  std::vector<std::jthread> threads;
  std::atomic<int> wrong{0};
  for (process_id self = 100; self < 104; ++self) {
    const auto client = store_client::connect(node.path(), self);
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([client, self, t, &wrong] {
        for (int i = 0; i < 60; ++i) {
          const auto fill = static_cast<char>('a' + (self + t + i) % 26);
          const stored_id id = put(*client, self, 64 * 1024 * (1 + i % 8), fill);
          const auto seen = client->pin(id, {}, {});
          if (seen->front() != static_cast<std::byte>(fill) || seen->back() != seen->front()) {
            ++wrong;
          }
        }
      });
    }
  }
  threads.clear();
  CHECK(wrong.load() == 0);
  CHECK(eventually([&] { return node.store.use().used == 0 && node.store.use().spilled == 0; }));
}
