// A service that crashes under load, and books that balance in spite of it.
//
// What to notice: the service crashes at every 100th call it takes, 20 times in all. In its first
// life the runtime starts it again and sends the interrupted call again: no client notices. Then it
// ends for good, its calls fail, the supervisor starts a new one, and the clients send again what
// failed. The ledger knows each deposit by its number, so one that comes twice counts once.
#include <cstdint>
#include <iostream>
#include <set>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

namespace bank {

constexpr int clients = 4;
constexpr int deposits = 500;  // of each client
constexpr int crash_at = 100;

/// What must not be lost; it is not what crashes.
class ledger {
 public:
  void post(int number, int amount) {
    if (!known_.insert(number).second) {
      ++repeats_;
    } else {
      balance_ += amount;
    }
  }
  std::int64_t balance() const { return balance_; }
  std::pair<int, int> deposits_and_repeats() const {
    return {static_cast<int>(known_.size()), repeats_};
  }

 private:
  std::set<int> known_;
  int repeats_ = 0;
  std::int64_t balance_ = 0;
};

class service {
 public:
  explicit service(troupe::actor_handle<ledger> ledger) : ledger_(std::move(ledger)) {}
  void deposit(int number, int amount) {
    const bool crash = ++calls_ == crash_at;
    if (crash && troupe::this_actor::restarts() == 0) troupe::this_actor::fail("before its work");
    troupe::get(ledger_.remote<&ledger::post>(number, amount));
    if (crash) troupe::this_actor::fail("after its work, before its answer");
  }

 private:
  troupe::actor_handle<ledger> ledger_;
  int calls_ = 0;
};

int amount_of(int number) { return number % 97 + 1; }

/// Sends deposits in bundles of 25 until each has an answer. Returns how many were sent again.
int client(const troupe::supervisor& supervisor, int first) {
  int again = 0;
  for (int begin = first; begin < first + deposits; begin += 25) {
    std::vector<int> open;
    for (int number = begin; number < begin + 25; ++number) open.push_back(number);
    while (!open.empty()) {
      const auto teller = supervisor.get<service>("service");  // the one of now
      std::vector<std::pair<int, troupe::object_ref<void>>> sent;
      for (const int number : std::exchange(open, {})) {
        sent.emplace_back(number, teller.remote<&service::deposit>(number, amount_of(number)));
      }
      for (const auto& [number, answer] : sent) {
        try {
          troupe::get(answer);
        } catch (const troupe::actor_died_error&) {
          open.push_back(number);
          ++again;
        }
      }
    }
  }
  return again;
}

}  // namespace bank

int main(int argc, char** argv) {
  using namespace bank;
  const auto session = troupe::init(argc, argv);
  const auto books = troupe::remote<ledger>();
  const auto top = troupe::supervise(
      {.max_restarts = 20, .period = std::chrono::minutes(1)},
      troupe::child<service>(
          {.id = "service", .actor = {.max_restarts = 1, .max_task_retries = -1}}, books));

  std::vector<troupe::object_ref<int>> running;
  for (int i = 0; i < clients; ++i) running.push_back(troupe::remote<client>(top, i * deposits));
  int sent_again = 0;
  for (const int again : troupe::get(running)) sent_again += again;

  const int restarts = top.children().front().restarts;
  const auto [posted, repeats] = troupe::get(books.remote<&ledger::deposits_and_repeats>());
  const std::int64_t balance = troupe::get(books.remote<&ledger::balance>());
  std::int64_t expected = 0;
  for (int number = 0; number < clients * deposits; ++number) expected += amount_of(number);
  std::cout << "deposits: " << posted << " of " << clients * deposits << '\n'
            << "new services: " << restarts << '\n'
            << "deposits that came twice: " << repeats << '\n'
            << "deposits sent again: " << sent_again << '\n'
            << "balance: " << balance << ", expected " << expected << '\n';
  return posted == clients * deposits && balance == expected && repeats == restarts &&
                 sent_again >= repeats
             ? 0
             : 1;
}
