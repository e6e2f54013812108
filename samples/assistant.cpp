// An assistant that stays available: long research does not keep it from answering.
//
// What to notice: the research goes on until the assistant is told that it is enough, so the
// program ends only because the assistant takes calls meanwhile. Its async method suspends at
// co_await: one thread at a time, no lock. The blocking twin needs a lane of its own for urgent
// calls, and an atomic for what the lanes share; its other callers wait until the research is done.
#include <atomic>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <troupe/troupe.hpp>

namespace office {

constexpr int portion = 50'000;

bool is_prime(int n) {
  for (int d = 2; std::int64_t{d} * d <= n; ++d) {
    if (n % d == 0) return false;
  }
  return n > 1;
}
int count_primes(int first, int count) {
  int primes = 0;
  for (int n = first; n < first + count; ++n) primes += is_prime(n) ? 1 : 0;
  return primes;
}

class assistant {
 public:
  /// Each portion is a task; while it runs, the assistant is free.
  troupe::async<int> research() {
    agenda_.push_back("began research");
    int primes = 0;
    for (int first = 0; !enough_; first += portion) {
      const int found = co_await troupe::remote<count_primes>(first, portion);
      primes += found;
    }
    agenda_.push_back("finished research");
    co_return primes;
  }
  std::string ask(const std::string& question) {
    agenda_.push_back("answered " + question);
    return "yes to " + question;
  }
  void finish() { enough_ = true; }
  std::vector<std::string> agenda() const { return agenda_; }

 private:
  bool enough_ = false;
  std::vector<std::string> agenda_;
};

class blocking_assistant {
 public:
  int research() {
    int primes = 0;
    for (int first = 0; !enough_; first += portion) primes += count_primes(first, portion);
    done_ = true;
    return primes;
  }
  bool ask() const { return done_; }
  void finish() { enough_ = true; }

 private:
  std::atomic<bool> enough_{false};
  bool done_ = false;
};

}  // namespace office

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  using office::assistant;
  using office::blocking_assistant;

  const auto helper = troupe::with({.name = "assistant"}).remote<assistant>();
  const auto report = helper.remote<&assistant::research>();
  for (const char* question : {"lunch", "coffee"}) {
    std::cout << troupe::get(helper.remote<&assistant::ask>(question)) << '\n';
  }
  helper.remote<&assistant::finish>();
  std::cout << (troupe::get(report) > 0 ? "found primes\n" : "found nothing\n");
  const auto agenda = troupe::get(helper.remote<&assistant::agenda>());
  for (const std::string& entry : agenda) std::cout << "  " << entry << '\n';
  const bool available = agenda.front() == "began research" && agenda.back() == "finished research";
  std::cout << "the assistant answered " << (available ? "during" : "after") << " its research\n";

  const auto busy = troupe::with({.groups = {{.name = "urgent"}}}).remote<blocking_assistant>();
  const auto work = busy.remote<&blocking_assistant::research>();
  const auto question = busy.remote<&blocking_assistant::ask>();
  busy.with({.concurrency_group = "urgent"}).remote<&blocking_assistant::finish>();
  const bool waited = troupe::get(question);
  std::cout << "the blocking assistant answered " << (waited ? "after" : "during")
            << " its research\n";
  return available && waited && troupe::get(work) >= 0 ? 0 : 1;
}
