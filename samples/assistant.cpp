// An assistant that stays available: long research does not keep it from answering.
//
// What to notice: the async method suspends at co_await and the assistant takes the next call, on
// one thread at a time and without a lock; the blocking twin answers only when its research is
// done; a concurrency group gives urgent calls a lane of their own.
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include <troupe/troupe.hpp>

namespace office {

/// Real work: counts the primes below `limit`.
int count_primes(int limit) {
  std::vector<bool> composite(static_cast<std::size_t>(limit), false);
  int primes = 0;
  for (int n = 2; n < limit; ++n) {
    if (composite[static_cast<std::size_t>(n)]) continue;
    ++primes;
    for (std::int64_t m = std::int64_t{n} * n; m < limit; m += n) {
      composite[static_cast<std::size_t>(m)] = true;
    }
  }
  return primes;
}

class assistant {
 public:
  /// The research runs elsewhere; meanwhile the assistant is free.
  troupe::async<std::string> research(int limit) {
    diary_.push_back("began " + std::to_string(limit));
    auto work = troupe::remote<count_primes>(limit);
    const int primes = co_await work;
    diary_.push_back("finished " + std::to_string(limit));
    co_return std::to_string(primes) + " primes below " + std::to_string(limit);
  }
  std::string ask(const std::string& question) {
    diary_.push_back("answered");
    return "about " + question + ": yes";
  }
  std::vector<std::string> diary() const { return diary_; }

 private:
  std::vector<std::string> diary_;
};

/// The same without coroutines: nobody gets an answer while it works.
class blocking_assistant {
 public:
  int research(int limit) {
    const int primes = count_primes(limit);
    done_ = true;
    return primes;
  }
  bool ask() const { return done_; }
  std::string urgent() const { return "on my way"; }

 private:
  bool done_ = false;
};

}  // namespace office

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  using office::assistant;
  using office::blocking_assistant;

  const auto helper = troupe::with({.name = "assistant"}).remote<assistant>();
  const auto report = helper.remote<&assistant::research>(3'000'000);
  const auto answer = helper.remote<&assistant::ask>("lunch");
  std::cout << troupe::get(answer) << '\n' << troupe::get(report) << '\n';
  const auto diary = troupe::get(helper.remote<&assistant::diary>());
  for (const std::string& line : diary) std::cout << "  " << line << '\n';
  const bool available = diary.at(1) == "answered";
  std::cout << "the assistant answered " << (available ? "during" : "after") << " its research\n";

  const auto busy = troupe::with({.groups = {{.name = "urgent", .limit = 1}}})
                        .remote<blocking_assistant>();
  const auto work = busy.remote<&blocking_assistant::research>(3'000'000);
  const auto late = busy.remote<&blocking_assistant::ask>();
  const auto lane = busy.with({.concurrency_group = "urgent"});
  std::cout << "urgent: " << troupe::get(lane.remote<&blocking_assistant::urgent>()) << '\n';
  const bool waited = troupe::get(late);
  std::cout << "the blocking assistant answered " << (waited ? "after" : "during")
            << " its research\n";
  return available && waited && troupe::get(work) == 216816 ? 0 : 1;
}
