// Specialised workers, and a router that sends each message to the one who can handle it.
//
// What to notice: actors hold handles to other actors and send to them without waiting; the router
// keeps a context for each client, so that "and ..." goes to whom that client talked to last; a
// worker sends on to another kind what it finds; each has its own state, its own order and no lock.
#include <cctype>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <troupe/troupe.hpp>

namespace desk {

/// Keeps what the specialists report.
class archive {
 public:
  void file(const std::string& topic, const std::string& note) { notes_[topic].push_back(note); }
  std::map<std::string, std::vector<std::string>> notes() const { return notes_; }

 private:
  std::map<std::string, std::vector<std::string>> notes_;
};

/// Adds up `sum 1 2 3`; `and 4` adds to the same client's sum.
class calculator {
 public:
  explicit calculator(troupe::actor_handle<archive> archive) : archive_(std::move(archive)) {}
  int handle(const std::string& client, const std::string& message) {
    std::istringstream words(message);
    std::string verb;
    words >> verb;
    int& sum = sums_[client];
    if (verb == "sum") sum = 0;
    for (int n = 0; words >> n;) sum += n;
    archive_.remote<&archive::file>("numbers", client + ": " + std::to_string(sum));
    return sum;
  }
  int clients() const { return static_cast<int>(sums_.size()); }

 private:
  troupe::actor_handle<archive> archive_;
  std::map<std::string, int> sums_;
};

/// Counts words, and sends the numbers among them to the calculator.
class reader {
 public:
  reader(troupe::actor_handle<archive> archive, troupe::actor_handle<calculator> calculator)
      : archive_(std::move(archive)), calculator_(std::move(calculator)) {}
  int handle(const std::string& client, const std::string& message) {
    std::istringstream words(message);
    std::string numbers;
    int count = 0;
    for (std::string word; words >> word; ++count) {
      if (std::isdigit(static_cast<unsigned char>(word[0])) != 0) numbers += " " + word;
    }
    if (!numbers.empty()) calculator_.remote<&calculator::handle>("reader", "sum" + numbers);
    archive_.remote<&archive::file>("texts", client + ": " + std::to_string(count) + " words");
    return count;
  }

 private:
  troupe::actor_handle<archive> archive_;
  troupe::actor_handle<calculator> calculator_;
};

/// Routes by what a message is and by who sent it; waits for nobody.
class router {
 public:
  router(troupe::actor_handle<calculator> calculator, troupe::actor_handle<reader> reader)
      : calculator_(std::move(calculator)), reader_(std::move(reader)) {}
  /// Gives the ref of the specialist's answer: a ref to a ref for the client.
  troupe::object_ref<int> route(const std::string& client, const std::string& message) {
    bool& counts = counts_[client];
    if (!message.starts_with("and ")) counts = message.starts_with("sum ");
    if (counts) return calculator_.remote<&calculator::handle>(client, message);
    return reader_.remote<&reader::handle>(client, message);
  }

 private:
  troupe::actor_handle<calculator> calculator_;
  troupe::actor_handle<reader> reader_;
  std::map<std::string, bool> counts_;
};

}  // namespace desk

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  const auto archive = troupe::remote<desk::archive>();
  const auto calculator = troupe::remote<desk::calculator>(archive);
  const auto reader = troupe::remote<desk::reader>(archive, calculator);
  const auto router = troupe::remote<desk::router>(calculator, reader);

  const auto say = [&](const std::string& client, const std::string& message) {
    const auto answer = troupe::get(router.remote<&desk::router::route>(client, message));
    const int value = troupe::get(answer);
    std::cout << client << ": " << message << " -> " << value << '\n';
    return value;
  };
  int total = say("ann", "sum 1 2 3");
  total += say("bob", "the quick brown fox");
  total += say("ann", "and 4");
  total += say("bob", "and 7 or 8 lazy dogs");

  // A call that the calculator gets after the one that the reader sent.
  const int clients = troupe::get(calculator.remote<&desk::calculator::clients>());
  for (const auto& [topic, notes] : troupe::get(archive.remote<&desk::archive::notes>())) {
    std::cout << topic << ":";
    for (const std::string& note : notes) std::cout << " [" << note << ']';
    std::cout << '\n';
  }
  return total == 26 && clients == 2 ? 0 : 1;
}
