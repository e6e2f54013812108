// The queue of an actor's calls on its own.
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "actors/mailbox.hpp"
#include "test/support/catch.hpp"

using troupe::actors::mailbox;

namespace {

/// A call that is never run: what the mailbox links.
class message final : public troupe::detail::actor_call {
 public:
  static constexpr troupe::detail::function_info no_function{"message", true, false, false};
  explicit message(int sender = 0, int n = 0) : actor_call(no_function), from(sender), number(n) {}
  ~message() override = default;
  int from;
  int number;

 private:
  outcome run(void*) override { return outcome::finished; }
  void drop_arguments() noexcept override {}
};

message* pop(mailbox& box) { return static_cast<message*>(box.pop()); }

}  // namespace

TEST_CASE("a mailbox gives out what was pushed, in that order") {
  std::vector<std::unique_ptr<message>> all;
  for (int i = 0; i < 10; ++i) all.push_back(std::make_unique<message>(0, i));
  mailbox box;
  CHECK(box.empty());
  CHECK(box.pop() == nullptr);
  for (const auto& m : all) box.push(*m);
  CHECK_FALSE(box.empty());
  for (const auto& m : all) CHECK(box.pop() == m.get());
  CHECK(box.empty());
  CHECK(box.pop() == nullptr);
}

TEST_CASE("a mailbox that runs empty again and again goes on, also with the same message") {
  message a;
  message b;
  mailbox box;
  for (int i = 0; i < 100; ++i) {
    box.push(a);
    REQUIRE(box.pop() == &a);
    REQUIRE(box.empty());
    box.push(a);
    box.push(b);
    REQUIRE(box.pop() == &a);
    box.push(a);
    REQUIRE(box.pop() == &b);
    REQUIRE(box.pop() == &a);
    REQUIRE(box.pop() == nullptr);
  }
}

TEST_CASE("a mailbox loses nothing and keeps each producer's order under many producers") {
  constexpr int producers = 4;
  constexpr int count = 20'000;
  std::vector<std::vector<std::unique_ptr<message>>> all(producers);
  for (int p = 0; p < producers; ++p) {
    for (int i = 0; i < count; ++i) all[p].push_back(std::make_unique<message>(p, i));
  }
  mailbox box;
  std::vector<std::jthread> threads;
  for (auto& mine : all) {
    threads.emplace_back([&box, &mine] {
      for (const auto& m : mine) box.push(*m);
    });
  }
  std::vector<int> next(producers, 0);
  bool in_order = true;
  for (int left = producers * count; left > 0;) {
    message* const m = pop(box);
    if (m == nullptr) {
      std::this_thread::yield();
      continue;
    }
    in_order &= m->number == next[m->from]++;
    --left;
  }
  CHECK(in_order);
  CHECK(box.pop() == nullptr);
  CHECK(box.empty());
}

TEST_CASE("a mailbox is not empty while a push that met the last pop waits in it") {
  message first;
  message second;
  mailbox box;
  std::atomic<int> round{0};
  std::atomic<int> pushed{0};
  constexpr int rounds = 30'000;
  std::jthread producer([&] {
    for (int i = 1; i <= rounds; ++i) {
      while (round.load() < i) std::this_thread::yield();
      box.push(second);
      pushed.store(i);
    }
  });
  bool sound = true;
  for (int i = 1; i <= rounds; ++i) {
    box.push(first);
    round.store(i);
    // Pops `first`, the only one perhaps, while `second` is pushed.
    sound = sound && box.pop() == &first;
    while (pushed.load() < i) std::this_thread::yield();
    sound = sound && !box.empty();
    sound = sound && box.pop() == &second;
  }
  CHECK(sound);
  CHECK(box.empty());
}
