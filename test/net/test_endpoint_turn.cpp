// A thread that waits reads in place of the endpoint's thread.
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "core/idle_work.hpp"
#include "core/parker.hpp"
#include "net/endpoint.hpp"
#include "test/support/armed_faults.hpp"
#include "test/support/catch.hpp"
#include "test/support/endpoints.hpp"

using namespace std::chrono_literals;
using namespace troupe::net;
using namespace troupe::test;
using troupe::core::idle_work;
using troupe::core::parker;
using clock_type = std::chrono::steady_clock;

namespace {

/// Sends back what comes.
struct echo {
  explicit echo(const temp_folder& session) : process(session) {
    process.heard.on_received = [this](process_id from, const message& m) {
      process.endpoint.send(from, numbered(number_of(m)));
    };
  }
  test_process process;
};

/// Asks and waits as `troupe::get` does.
class asker {
 public:
  explicit asker(const temp_folder& session) : process_(session) {
    process_.heard.on_received = [this](process_id, const message& m) {
      last_.store(number_of(m));
      if (parker* const waiting = waiting_.load()) waiting->unpark();
    };
    process_.endpoint.share_reading();
  }
  bool ask(const peer& whom, std::uint64_t number) {
    process_.endpoint.learn(whom);
    parker& sleep = troupe::core::this_thread_parker();
    waiting_.store(&sleep);
    if (!process_.endpoint.send(whom.id, numbered(number))) return false;
    const auto deadline = clock_type::now() + patience;
    while (last_.load() != number) {
      if (clock_type::now() >= deadline) return false;
      idle_work::wait(sleep, deadline);
    }
    return true;
  }
  endpoint::statistics stats() const { return process_.endpoint.stats(); }
  endpoint& net() { return process_.endpoint; }

 private:
  std::atomic<std::uint64_t> last_{~std::uint64_t{0}};
  std::atomic<parker*> waiting_{nullptr};
  test_process process_;
};

/// So many times a wait takes the turn and leaves it, and then nothing would take it again.
bool reads_what_comes_later(std::uint64_t times) {
  const temp_folder session;
  echo other(session);
  test_process here(session);
  here.endpoint.share_reading();
  here.endpoint.learn(other.process.endpoint.self());
  for (std::uint64_t i = 0; i < times; ++i) {
    parker& sleep = troupe::core::this_thread_parker();
    sleep.unpark();
    idle_work::wait(sleep, clock_type::now() + 1ms);
    if (!here.endpoint.send(other.process.id(), numbered(i))) return false;
    if (!here.heard.wait(other.process.id(), i + 1)) return false;
  }
  return here.heard.in_order(other.process.id(), times);
}

}  // namespace

TEST_CASE("one that asks again and again reads the answers itself") {
  const temp_folder session;
  echo other(session);
  asker here(session);
  for (std::uint64_t i = 0; i < 500; ++i) REQUIRE(here.ask(other.process.endpoint.self(), i));
  CHECK(here.stats().guest_readings > 0);
}

TEST_CASE("what comes while nobody waits is read by the endpoint's thread") {
  CHECK(reads_what_comes_later(100));
}

TEST_CASE("what comes is read when the thread that read before was held up while it left") {
  const armed_faults held_up("endpoint.held_up_at_leaving=always");
  CHECK(reads_what_comes_later(20));
}

TEST_CASE("a wait that reads ends at its deadline") {
  const temp_folder session;
  echo other(session);
  asker here(session);
  for (std::uint64_t i = 0; i < 50; ++i) REQUIRE(here.ask(other.process.endpoint.self(), i));
  parker& sleep = troupe::core::this_thread_parker();
  const auto deadline = clock_type::now() + 20ms;
  while (clock_type::now() < deadline) idle_work::wait(sleep, deadline);
  CHECK(here.ask(other.process.endpoint.self(), 1'000));
}

TEST_CASE("a wait that reads is woken by another thread") {
  const temp_folder session;
  echo other(session);
  asker here(session);
  for (std::uint64_t i = 0; i < 200; ++i) {
    REQUIRE(here.ask(other.process.endpoint.self(), i));
    std::atomic<bool> done{false};
    parker& sleep = troupe::core::this_thread_parker();
    std::jthread waker([&] {
      done.store(true);
      sleep.unpark();
    });
    const auto deadline = clock_type::now() + patience;
    while (!done.load() && clock_type::now() < deadline) idle_work::wait(sleep, deadline);
    REQUIRE(done.load());
  }
}

TEST_CASE("many threads that wait share one turn") {
  const temp_folder session;
  echo other(session);
  test_process here(session);
  constexpr std::size_t threads = 4;
  constexpr std::uint64_t each = 300;
  std::array<std::atomic<std::uint64_t>, threads> answers{};
  std::array<std::atomic<parker*>, threads> waiting{};
  here.heard.on_received = [&](process_id, const message& m) {
    const std::size_t who = number_of(m) >> 32;
    answers[who].store(number_of(m) & 0xffff'ffff);
    waiting[who].load()->unpark();
  };
  here.endpoint.share_reading();
  here.endpoint.learn(other.process.endpoint.self());
  std::atomic<std::size_t> right{0};
  {
    std::vector<std::jthread> all;
    for (std::size_t t = 0; t < threads; ++t) {
      all.emplace_back([&, t] {
        parker& sleep = troupe::core::this_thread_parker();
        waiting[t].store(&sleep);
        for (std::uint64_t i = 1; i <= each; ++i) {
          here.endpoint.send(other.process.id(), numbered(std::uint64_t{t} << 32 | i));
          const auto deadline = clock_type::now() + patience;
          while (answers[t].load() != i && clock_type::now() < deadline) {
            idle_work::wait(sleep, deadline);
          }
          if (answers[t].load() == i) right.fetch_add(1);
        }
      });
    }
  }
  CHECK(right.load() == threads * each);
}

TEST_CASE("an endpoint ends while a thread reads for another one") {
  const temp_folder session;
  echo other(session);
  asker here(session);
  std::atomic<bool> go{false};
  std::atomic<bool> ended{false};
  std::atomic<parker*> known{nullptr};
  std::jthread waiter([&] {
    parker& sleep = troupe::core::this_thread_parker();
    known.store(&sleep);
    while (!ended.load()) {
      if (go.exchange(false)) {
        idle_work::wait(sleep, std::nullopt);
      } else {
        std::this_thread::yield();
      }
    }
  });
  while (known.load() == nullptr) std::this_thread::yield();
  // Until the other thread comes while the turn is free, and keeps it.
  bool reads = false;
  for (std::uint64_t i = 0; !reads && i < 3'000; ++i) {
    REQUIRE(here.ask(other.process.endpoint.self(), i));
    const auto before = here.stats().guest_readings;
    go.store(true);
    const auto until = clock_type::now() + 1ms;
    while (!reads && clock_type::now() < until) reads = here.stats().guest_readings != before;
    if (!reads) known.load()->unpark();
  }
  CHECK(reads);
  { const test_process unshared(session); }
  ended.store(true);
  known.load()->unpark();
}

TEST_CASE("an endpoint ends while a thread reads for it, and that thread sleeps on") {
  const temp_folder session;
  echo other(session);
  std::atomic<bool> woken{false};
  std::atomic<parker*> known{nullptr};
  std::jthread waiter;
  {
    asker here(session);
    for (std::uint64_t i = 0; i < 50; ++i) REQUIRE(here.ask(other.process.endpoint.self(), i));
    waiter = std::jthread([&] {
      parker& sleep = troupe::core::this_thread_parker();
      known.store(&sleep);
      while (!woken.load()) idle_work::wait(sleep, std::nullopt);
    });
    while (known.load() == nullptr) std::this_thread::yield();
    REQUIRE(here.ask(other.process.endpoint.self(), 1'000));
  }
  woken.store(true);
  known.load()->unpark();
  waiter.join();
  CHECK(woken.load());
}
