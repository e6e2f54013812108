// The program that the cluster tests of batched methods run as a driver.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <troupe/troupe.hpp>

#include "test/programs/scenario.hpp"

using namespace std::chrono_literals;
using scenario::fetch;
using scenario::words;
using troupe::batched;
using troupe::object_ref;
using troupe::outcome;
using troupe::with;

namespace {

struct model {
  int pid() const { return ::getpid(); }
  int hold(int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    return 0;
  }
  /// The size of the batch that the call was in.
  std::vector<int> sizes(std::span<const int> batch) {
    return std::vector<int>(batch.size(), static_cast<int>(batch.size()));
  }
  std::vector<outcome<std::string>> names(std::span<const std::string> batch) {
    std::vector<outcome<std::string>> results;
    for (const std::string& one : batch) {
      if (one.empty()) {
        results.emplace_back(std::make_exception_ptr(std::invalid_argument("no name")));
      } else {
        results.emplace_back(one + "!");
      }
    }
    return results;
  }
  std::vector<float> sums(std::span<const std::vector<float>> batch) {
    std::vector<float> results;
    for (const auto& one : batch) {
      float sum = 0;
      for (const float value : one) sum += value;
      results.push_back(sum);
    }
    return results;
  }
  std::vector<int> append(std::span<const int> batch) {
    log_.insert(log_.end(), batch.begin(), batch.end());
    return {batch.begin(), batch.end()};
  }
  int append_plain(int x) {
    log_.push_back(x);
    return x;
  }
  std::vector<int> log() const { return log_; }
  std::vector<int> die_of_13(std::span<const int> batch) {
    if (std::find(batch.begin(), batch.end(), 13) != batch.end()) ::kill(::getpid(), SIGKILL);
    return {batch.begin(), batch.end()};
  }

  std::vector<int> log_;
};

template <auto M, class In>
auto ask(const troupe::actor_handle<model>& actor, const std::vector<In>& inputs) {
  std::vector<decltype(actor.remote<batched<M>>(inputs.front()))> refs;
  for (const In& one : inputs) refs.push_back(actor.remote<batched<M>>(one));
  return refs;
}

template <class E, class T>
bool throws(const object_ref<T>& ref) {
  try {
    fetch(ref);
  } catch (const E&) {
    return true;
  } catch (const std::exception& e) {
    std::cout << "another error: " << e.what() << '\n';
  }
  return false;
}

/// A task that calls an actor of another process.
int ask_for_size(const troupe::actor_handle<model>& actor) {
  return troupe::get(actor.remote<batched<&model::sizes>>(1));
}

void calls() {
  const auto m = with({.name = "model", .max_batch_size = 4, .max_wait = 1h}).remote<model>();
  CHECK(fetch(m.remote<&model::pid>()) != ::getpid());
  for (const auto& ref : ask<&model::sizes, int>(m, {1, 2, 3, 4})) CHECK(fetch(ref) == 4);
  // Callers in other processes, and handles found by name, share its batches.
  const auto found = troupe::get_actor<model>("model");
  std::vector<object_ref<int>> refs{
      troupe::remote<ask_for_size>(m), troupe::remote<ask_for_size>(found),
      m.remote<batched<&model::sizes>>(3), found.remote<batched<&model::sizes>>(4)};
  for (const auto& ref : refs) CHECK(fetch(ref) == 4);
  const auto named = ask<&model::names, std::string>(m, {"a", "", "c", "d"});
  CHECK(fetch(named[0]) == "a!");
  CHECK(throws<std::invalid_argument>(named[1]));
  CHECK(fetch(named[3]) == "d!");
  // Values that lie in the store, and refs to them.
  const std::vector<float> large(1 << 18, 1.0F);
  std::vector<object_ref<float>> sums;
  for (int i = 0; i < 2; ++i) {
    sums.push_back(m.remote<batched<&model::sums>>(large));
    sums.push_back(m.remote<batched<&model::sums>>(troupe::put(large)));
  }
  for (const auto& ref : sums) CHECK(fetch(ref) == static_cast<float>(1 << 18));

  const auto stats = fetch(m.batches());
  CHECK(stats.size() == 3);
  CHECK(stats[0].calls == 8);
  CHECK(stats[0].sizes.quantile(0.5) == 4);
}

void order() {
  const auto m = with({.max_batch_size = 3, .max_wait = 1h}).remote<model>();
  std::vector<int> expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back(i);
    if (i % 5 == 0) {
      m.remote<&model::append_plain>(i);
    } else {
      m.remote<batched<&model::append>>(i);
    }
  }
  CHECK(fetch(m.remote<&model::log>()) == expected);
}

void cancels() {
  const auto m =
      with({.max_pending_calls = 100, .max_batch_size = 8, .max_wait = 1h}).remote<model>();
  const auto refs = ask<&model::sizes, int>(m, {1, 2, 3});
  CHECK(troupe::cancel(refs[1]));
  CHECK(throws<troupe::task_cancelled_error>(refs[1]));
  fetch(m.remote<&model::pid>());                     // sends the batch before it
  CHECK(fetch(refs[0]) == 2 || fetch(refs[0]) == 3);  // the cancel may come later than the call
  const auto waiting = ask<&model::sizes, int>(m, {1, 2});
  troupe::kill(m);
  for (const auto& ref : waiting) CHECK(throws<troupe::actor_died_error>(ref));
}

/// The process of the actor dies in a batch.
void deaths() {
  const auto once =
      with({.max_batch_size = 3, .max_wait = 1h, .isolation = troupe::isolation::process})
          .remote<model>();
  const auto lost = ask<&model::die_of_13, int>(once, {1, 13, 2});
  for (const auto& ref : lost) CHECK(throws<troupe::actor_died_error>(ref));

  const auto again = with({.max_restarts = -1,
                           .max_task_retries = -1,
                           .max_batch_size = 3,
                           .max_wait = 1h,
                           .isolation = troupe::isolation::process})
                         .remote<model>();
  const auto good = again.remote<batched<&model::die_of_13>>(1);
  const auto bad = again.with({.max_task_retries = 2}).remote<batched<&model::die_of_13>>(13);
  const auto late = again.remote<batched<&model::die_of_13>>(2);
  CHECK(throws<troupe::actor_unavailable_error>(bad));
  CHECK(fetch(good) == 1);
  CHECK(fetch(late) == 2);
}

void pools() {
  troupe::actor_pool<model> gathers({.size = 2, .actor = {.max_batch_size = 4, .max_wait = 5ms}});
  std::vector<int> inputs(40, 1);
  int all = 0;
  for (const int size : gathers.map<batched<&model::sizes>>(inputs)) {
    CHECK(size >= 1 && size <= 4);
    ++all;
  }
  CHECK(all == 40);
  troupe::actor_pool<model> pool(2);
  const auto names = pool.batched<&model::names>({.max_batch_size = 3, .max_wait = 1h});
  const auto good = names.remote("a");
  const auto bad = names.remote("");
  const auto last = names.remote("b");
  CHECK(fetch(good) == "a!");
  CHECK(throws<std::invalid_argument>(bad));
  CHECK(fetch(last) == "b!");
  CHECK(pool.stats().batch_sizes.max() == 3);
}

}  // namespace

int main(int argc, char** argv) {
  return scenario::run(argc, argv,
                       {{"calls", [](const words&) { calls(); }},
                        {"order", [](const words&) { order(); }},
                        {"cancels", [](const words&) { cancels(); }},
                        {"deaths", [](const words&) { deaths(); }},
                        {"pools", [](const words&) { pools(); }}});
}
