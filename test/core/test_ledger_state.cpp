#include <algorithm>
#include <cstddef>
#include <deque>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/ledger_state.hpp"
#include "test/support/catch.hpp"

using namespace troupe::core;

namespace {

using tickets = std::vector<ticket>;

resource_set set_of(std::vector<std::pair<std::string, double>> entries) {
  resource_set set;
  for (const auto& [name, value] : entries)
    set.set(name, resource_amount::from_double(value, name));
  return set;
}

resource_set cpus(double count) { return set_of({{"CPU", count}}); }

/// Calls a ledger and returns what each call granted.
struct ledger_user {
  explicit ledger_user(const resource_set& total) : ledger(total) {}

  tickets request(ticket id, shape_id shape, grant_order order = grant_order::normal) {
    tickets granted;
    ledger.request(id, shape, order, granted);
    return granted;
  }
  tickets resume(ticket id, shape_id shape) { return request(id, shape, grant_order::resume); }
  tickets release(shape_id shape) {
    tickets granted;
    ledger.release(shape, granted);
    return granted;
  }
  tickets withdraw(ticket id) {
    tickets granted;
    REQUIRE(ledger.withdraw(id, granted));
    return granted;
  }

  ledger_state ledger;
};

const tickets none;

}  // namespace

TEST_CASE("equal demands have one shape") {
  ledger_state ledger(cpus(4));
  const shape_id one = ledger.intern(cpus(1));
  const resource_set& kept = ledger.demand(one);
  const shape_id two = ledger.intern(cpus(2));
  REQUIRE(one != two);
  for (int i = 1; i < 1000; ++i) ledger.intern(cpus(i * 0.001));
  REQUIRE(ledger.intern(cpus(1)) == one);
  REQUIRE(kept == cpus(1));
  REQUIRE(ledger.demand(two) == cpus(2));
}

TEST_CASE("a demand that can never be met is told with what is missing and what there is") {
  ledger_state ledger(set_of({{"CPU", 2}, {"memory", 1024}}));
  REQUIRE(ledger.never_fits(set_of({{"CPU", 4}, {"license", 1}})) ==
          "needs 4 CPU, the runtime has 2 CPU; needs 1 license, the runtime has none");
  REQUIRE(ledger.never_fits(set_of({{"memory", 2048}})) ==
          "needs 2048 bytes of memory, the runtime has 1024 bytes of memory");
  REQUIRE_FALSE(ledger.never_fits(cpus(2)));
  REQUIRE_FALSE(ledger.never_fits({}));
  const shape_id impossible = ledger.intern(cpus(4));
  REQUIRE_FALSE(ledger.fits_now(impossible));
  REQUIRE_FALSE(ledger.try_acquire(impossible));
}

TEST_CASE("requests are granted at once while they fit and then wait in order") {
  ledger_user user(cpus(2));
  const shape_id one = user.ledger.intern(cpus(1));
  REQUIRE(user.request(1, one) == tickets{1});
  REQUIRE(user.request(2, one) == tickets{2});
  REQUIRE_FALSE(user.ledger.contended());
  REQUIRE(user.request(3, one) == none);
  REQUIRE(user.request(4, one) == none);
  REQUIRE(user.ledger.contended());
  REQUIRE(user.ledger.waiting() == 2);
  REQUIRE_FALSE(user.ledger.try_acquire(one));
  REQUIRE(user.release(one) == tickets{3});
  REQUIRE(user.release(one) == tickets{4});
  REQUIRE(user.release(one) == none);
  REQUIRE(user.ledger.available() == cpus(1));
  REQUIRE(user.release(one) == none);
  REQUIRE(user.ledger.available() == user.ledger.total());
}

TEST_CASE("one release grants all that fit") {
  ledger_user user(cpus(2));
  const shape_id one = user.ledger.intern(cpus(1));
  const shape_id half = user.ledger.intern(cpus(0.5));
  const shape_id both = user.ledger.intern(cpus(2));
  REQUIRE(user.ledger.try_acquire(both));
  user.request(1, half);
  user.request(2, one);
  user.request(3, half);
  user.request(4, half);
  REQUIRE(user.release(both) == tickets{1, 2, 3});
}

TEST_CASE("a demand for nothing is always granted") {
  ledger_user user(cpus(1));
  const shape_id nothing = user.ledger.intern({});
  const shape_id one = user.ledger.intern(cpus(1));
  REQUIRE(user.ledger.try_acquire(one));
  REQUIRE(user.request(1, one) == none);
  REQUIRE(user.resume(2, one) == none);
  REQUIRE(user.ledger.fits_now(nothing));
  REQUIRE(user.ledger.try_acquire(nothing));
  REQUIRE(user.request(3, nothing) == tickets{3});
  REQUIRE(user.release(nothing) == none);
}

TEST_CASE("a runtime without CPUs serves other resources") {
  ledger_user user(set_of({{"disk", 1}}));
  const shape_id disk = user.ledger.intern(set_of({{"disk", 1}}));
  REQUIRE(user.request(1, disk) == tickets{1});
  REQUIRE(user.request(2, disk) == none);
  REQUIRE(user.release(disk) == tickets{2});
  REQUIRE(user.ledger.available().empty());
}

TEST_CASE("resumes go before normal requests, in their own order") {
  ledger_user user(cpus(1));
  const shape_id one = user.ledger.intern(cpus(1));
  const shape_id half = user.ledger.intern(cpus(0.5));
  REQUIRE(user.request(1, one) == tickets{1});
  user.request(2, half);
  user.resume(3, one);
  user.resume(4, half);
  user.resume(5, half);
  REQUIRE(user.release(one) == tickets{3});
  REQUIRE(user.release(one) == tickets{4, 5});
  REQUIRE(user.release(half) == tickets{2});
}

TEST_CASE("a resume that does not fit is not passed over by a request that fits") {
  ledger_user user(cpus(2));
  const shape_id one = user.ledger.intern(cpus(1));
  const shape_id two = user.ledger.intern(cpus(2));
  REQUIRE(user.ledger.try_acquire(one));
  REQUIRE(user.resume(1, two) == none);
  REQUIRE(user.ledger.fits_now(one));
  REQUIRE_FALSE(user.ledger.try_acquire(one));
  REQUIRE(user.request(2, one) == none);
  REQUIRE(user.resume(3, one) == none);
  REQUIRE(user.release(one) == tickets{1});
  REQUIRE(user.release(two) == tickets{3, 2});
}

TEST_CASE("what waits for one resource leaves the others to the rest") {
  ledger_user user(set_of({{"CPU", 1}, {"GPU", 1}}));
  const shape_id gpu_only = user.ledger.intern(set_of({{"GPU", 1}}));
  const shape_id with_gpu = user.ledger.intern(set_of({{"CPU", 1}, {"GPU", 1}}));
  const shape_id one = user.ledger.intern(cpus(1));
  REQUIRE(user.ledger.try_acquire(gpu_only));  // an actor, for its life
  REQUIRE(user.resume(1, with_gpu) == none);
  REQUIRE(user.request(2, with_gpu) == none);
  for (ticket id = 10; id < 1000; ++id) {
    REQUIRE(user.request(id, one) == tickets{id});
    REQUIRE(user.release(one) == none);
  }

  // Once the GPU is free it is kept for those who wait, and then the CPU as well.
  REQUIRE(user.ledger.try_acquire(one));
  REQUIRE(user.release(gpu_only) == none);
  REQUIRE_FALSE(user.ledger.try_acquire(gpu_only));
  REQUIRE(user.request(3, one) == none);
  REQUIRE(user.release(one) == tickets{1});
  REQUIRE(user.release(with_gpu) == tickets{2});
  REQUIRE(user.release(with_gpu) == tickets{3});
}

TEST_CASE("a big request is passed over by at most 64 small ones") {
  ledger_user user(cpus(2));
  const shape_id one = user.ledger.intern(cpus(1));
  const shape_id two = user.ledger.intern(cpus(2));
  REQUIRE(user.ledger.try_acquire(one));
  REQUIRE(user.request(1, two) == none);
  // One small task runs always, the next starts before it ends: both CPUs are never free.
  std::uint64_t passed = 0;
  for (ticket id = 100; id < 1000; ++id) {
    const bool in_time =
        id % 2 == 0 ? user.ledger.try_acquire(one) : user.request(id, one) == tickets{id};
    if (!in_time) break;
    ++passed;
    REQUIRE(user.release(one) == none);
  }
  REQUIRE(passed == ledger_state::max_pass_overs);
  REQUIRE(user.release(one) == tickets{1});
}

TEST_CASE("small requests that wait already cannot starve a big one either") {
  ledger_user user(cpus(2));
  const shape_id one = user.ledger.intern(cpus(1));
  const shape_id two = user.ledger.intern(cpus(2));
  REQUIRE(user.request(1, one) == tickets{1});
  REQUIRE(user.request(2, one) == tickets{2});
  REQUIRE(user.request(3, two) == none);
  for (ticket id = 100; id < 300; ++id) REQUIRE(user.request(id, one) == none);
  ticket next = 100;
  for (; next < 100 + ledger_state::max_pass_overs; ++next) {
    REQUIRE(user.release(one) == tickets{next});
  }
  REQUIRE(user.release(one) == none);
  REQUIRE(user.release(one) == tickets{3});
  REQUIRE(user.release(two) == tickets{next, next + 1});
}

TEST_CASE("the bound on pass-overs holds within one release as well") {
  ledger_user user(cpus(4));
  const shape_id one = user.ledger.intern(cpus(1));
  const shape_id three = user.ledger.intern(cpus(3));
  const shape_id four = user.ledger.intern(cpus(4));
  REQUIRE(user.ledger.try_acquire(one));
  REQUIRE(user.request(1, four) == none);
  for (std::uint64_t i = 2; i < ledger_state::max_pass_overs; ++i) {
    REQUIRE(user.ledger.try_acquire(one));
    REQUIRE(user.release(one) == none);
  }
  REQUIRE(user.ledger.try_acquire(three));
  for (ticket id = 10; id < 13; ++id) REQUIRE(user.request(id, one) == none);
  REQUIRE(user.release(three) == tickets{10});
  REQUIRE(user.release(one) == none);
  REQUIRE(user.release(one) == tickets{1});
}

TEST_CASE("older requests are no pass-overs and are served first") {
  ledger_user user(cpus(2));
  const shape_id one = user.ledger.intern(cpus(1));
  const shape_id two = user.ledger.intern(cpus(2));
  REQUIRE(user.ledger.try_acquire(two));
  for (ticket id = 100; id < 300; ++id) user.request(id, one);
  user.request(3, two);
  REQUIRE(user.release(two) == tickets{100, 101});
  for (ticket id = 102; id < 300; ++id) REQUIRE(user.release(one) == tickets{id});
  REQUIRE(user.release(one) == none);
  REQUIRE(user.release(one) == tickets{3});
}

TEST_CASE("what a starved request needs not is given to others") {
  ledger_user user(set_of({{"CPU", 8}, {"GPU", 2}}));
  const shape_id gpus = user.ledger.intern(set_of({{"CPU", 1}, {"GPU", 2}}));
  const shape_id gpu = user.ledger.intern(set_of({{"CPU", 1}, {"GPU", 1}}));
  const shape_id one = user.ledger.intern(cpus(1));
  REQUIRE(user.ledger.try_acquire(gpu));
  REQUIRE(user.request(1, gpus) == none);
  for (std::uint64_t i = 0; i < ledger_state::max_pass_overs; ++i) {
    REQUIRE(user.ledger.try_acquire(gpu));
    REQUIRE(user.release(gpu) == none);
  }
  REQUIRE_FALSE(user.ledger.try_acquire(gpu));
  for (int i = 0; i < 7; ++i) REQUIRE(user.ledger.try_acquire(one));
  REQUIRE(user.release(gpu) == tickets{1});
}

TEST_CASE("withdrawing takes a request out of the middle, the front or the end") {
  ledger_user user(cpus(1));
  const shape_id one = user.ledger.intern(cpus(1));
  REQUIRE(user.request(1, one) == tickets{1});
  for (ticket id = 2; id < 8; ++id) user.request(id, one);
  REQUIRE(user.withdraw(4) == none);
  REQUIRE(user.withdraw(2) == none);
  REQUIRE(user.withdraw(7) == none);
  tickets granted;
  REQUIRE_FALSE(user.ledger.withdraw(4, granted));
  REQUIRE_FALSE(user.ledger.withdraw(1, granted));
  REQUIRE(user.ledger.waiting() == 3);
  REQUIRE(user.release(one) == tickets{3});
  REQUIRE(user.release(one) == tickets{5});
  REQUIRE(user.release(one) == tickets{6});
  REQUIRE(user.release(one) == none);
}

TEST_CASE("withdrawing a request that had a claim lets the others go on") {
  ledger_user user(cpus(2));
  const shape_id one = user.ledger.intern(cpus(1));
  const shape_id two = user.ledger.intern(cpus(2));
  REQUIRE(user.ledger.try_acquire(one));
  user.resume(1, two);
  user.request(2, one);
  user.request(3, one);
  REQUIRE(user.withdraw(1) == tickets{2});
}

TEST_CASE("the demands that wait are listed by shape with their number") {
  ledger_user user(cpus(2));
  const shape_id two = user.ledger.intern(cpus(2));
  const shape_id one = user.ledger.intern(cpus(1));
  REQUIRE(user.ledger.pending().empty());
  REQUIRE(user.ledger.try_acquire(two));
  user.request(1, one);
  user.request(2, one);
  user.resume(3, one);
  user.request(4, two);
  const auto pending = user.ledger.pending();
  REQUIRE(pending.size() == 2);
  REQUIRE(pending[0].demand == cpus(2));
  REQUIRE(pending[0].count == 1);
  REQUIRE(pending[1].demand == cpus(1));
  REQUIRE(pending[1].count == 3);
}

namespace {

/// Uses a ledger at random and checks after every step what must hold at any time.
class random_user {
 public:
  random_user(unsigned seed, const resource_set& total, const std::vector<resource_set>& demands)
      : random_(seed), ledger_(total), free_(total) {
    for (const resource_set& demand : demands) shapes_.push_back(ledger_.intern(demand));
  }

  void step() {
    const auto choice = random_() % 16;
    if (choice < 6) {
      request(any_shape(), choice == 0 ? grant_order::resume : grant_order::normal);
    } else if (choice < 8) {
      try_acquire(any_shape());
    } else if (choice < 9 && !waiting_.empty()) {
      withdraw();
    } else if (!held_.empty()) {
      release();
    }
    check();
  }

  /// Everybody releases, nobody asks any more: all that wait must get their turn.
  void wind_down() {
    while (!held_.empty()) {
      release();
      check();
    }
    REQUIRE(waiting_.empty());
    REQUIRE(ledger_.available() == ledger_.total());
  }

  std::uint64_t most_passed() const { return most_passed_; }

 private:
  struct wait {
    shape_id shape;
    grant_order order;
    std::uint64_t passed = 0;
  };

  shape_id any_shape() { return shapes_[random_() % shapes_.size()]; }

  static bool share(const resource_set& a, const resource_set& b) {
    return std::any_of(a.begin(), a.end(),
                       [&](const auto& entry) { return b.get(entry.first).units() > 0; });
  }

  void request(shape_id shape, grant_order order) {
    waiting_[next_] = {shape, order};
    tickets granted;
    ledger_.request(next_++, shape, order, granted);
    REQUIRE(granted.size() <= 1);
    take_all(granted);
  }

  void try_acquire(shape_id shape) {
    waiting_[next_] = {shape, grant_order::normal};
    if (ledger_.try_acquire(shape)) {
      take_all({next_});
    } else {
      waiting_.erase(next_);
    }
    ++next_;
  }

  void withdraw() {
    const auto victim =
        std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(random_() % waiting_.size()));
    tickets granted;
    REQUIRE(ledger_.withdraw(victim->first, granted));
    waiting_.erase(victim);
    take_all(granted);
  }

  void release() {
    std::swap(held_[random_() % held_.size()], held_.back());
    const shape_id shape = held_.back();
    held_.pop_back();
    free_ += ledger_.demand(shape);
    tickets granted;
    ledger_.release(shape, granted);
    take_all(granted);
  }

  void take_all(const tickets& granted) {
    for (const ticket id : granted) {
      const auto at = waiting_.find(id);
      REQUIRE(at != waiting_.end());
      const wait request = at->second;
      const resource_set& demand = ledger_.demand(request.shape);
      REQUIRE(demand.fits_in(free_));  // never more than there is
      free_ -= demand;
      held_.push_back(request.shape);
      for (auto older = waiting_.begin(); older != at; ++older) {
        wait& passed = older->second;
        // First come, first served within a shape.
        REQUIRE_FALSE((passed.shape == request.shape && passed.order == request.order));
        if (passed.order == grant_order::normal && request.order == grant_order::normal &&
            share(ledger_.demand(passed.shape), demand)) {
          most_passed_ = std::max(most_passed_, ++passed.passed);
        }
      }
      waiting_.erase(at);
    }
  }

  void check() {
    REQUIRE(ledger_.available() == free_);
    REQUIRE(ledger_.waiting() == waiting_.size());
    REQUIRE(ledger_.contended() == !waiting_.empty());
    // The first in turn does not wait while it fits.
    const auto is_resume = [](const auto& entry) {
      return entry.second.order == grant_order::resume;
    };
    auto first = std::find_if(waiting_.begin(), waiting_.end(), is_resume);
    if (first == waiting_.end()) first = waiting_.begin();
    if (first != waiting_.end()) REQUIRE_FALSE(ledger_.fits_now(first->second.shape));
  }

  std::mt19937 random_;
  ledger_state ledger_;
  resource_set free_;
  std::vector<shape_id> shapes_;
  std::map<ticket, wait> waiting_;  ///< by ticket, which is by arrival
  std::vector<shape_id> held_;
  ticket next_ = 1;
  std::uint64_t most_passed_ = 0;
};

}  // namespace

TEST_CASE("under random use of CPUs nothing is oversubscribed, starved or lost") {
  std::uint64_t most_passed = 0;
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    random_user user(seed, cpus(8), {cpus(1), cpus(0.5), cpus(1), cpus(3), cpus(8), {}});
    for (int i = 0; i < 1500; ++i) user.step();
    user.wind_down();
    REQUIRE(user.most_passed() <= ledger_state::max_pass_overs);
    most_passed = std::max(most_passed, user.most_passed());
  }
  REQUIRE(most_passed == ledger_state::max_pass_overs);
}

TEST_CASE("under random use of many resources nothing is oversubscribed or lost") {
  const resource_set total = set_of({{"CPU", 4}, {"GPU", 2}, {"disk", 3}, {"memory", 1000}});
  const std::vector<resource_set> demands{cpus(1),
                                          cpus(4),
                                          set_of({{"CPU", 1}, {"GPU", 0.5}}),
                                          set_of({{"CPU", 1}, {"GPU", 2}}),
                                          set_of({{"GPU", 1}, {"disk", 1}}),
                                          set_of({{"CPU", 2}, {"disk", 3}, {"memory", 700}}),
                                          set_of({{"memory", 300}}),
                                          total,
                                          {}};
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    random_user user(seed, total, demands);
    for (int i = 0; i < 1500; ++i) user.step();
    user.wind_down();
  }
}

TEST_CASE("a request for everything is granted while a stream of others never pauses") {
  const resource_set total = set_of({{"CPU", 4}, {"GPU", 2}, {"disk", 2}});
  const std::vector<resource_set> demands{cpus(1), set_of({{"GPU", 1}}), set_of({{"disk", 1}}),
                                          set_of({{"CPU", 1}, {"GPU", 1}}),
                                          set_of({{"CPU", 2}, {"disk", 1}})};
  for (unsigned seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    ledger_user user(total);
    const shape_id everything = user.ledger.intern(total);
    std::vector<shape_id> small;
    for (const resource_set& demand : demands) small.push_back(user.ledger.intern(demand));
    std::map<ticket, shape_id> asked;
    std::deque<shape_id> running;
    bool served = false;
    const auto start = [&](const tickets& granted) {
      for (const ticket id : granted) {
        if (id == 1) served = true;
        running.push_back(asked.at(id));
      }
    };
    ticket next = 2;
    const auto ask = [&] {
      asked[next] = small[random() % small.size()];
      start(user.request(next, asked[next]));
      ++next;
    };

    while (user.ledger.waiting() < 20) ask();
    asked[1] = everything;
    start(user.request(1, everything));
    int rounds = 0;
    for (; !served && rounds < 1000; ++rounds) {
      const shape_id done = running.front();
      running.pop_front();
      start(user.release(done));
      while (user.ledger.waiting() < 20) ask();
    }
    REQUIRE(served);
  }
}
