// Specialised workers and a router that sends each message to the one who can handle it.
//
// What to notice: actors hold handles to other actors and send to them without waiting; a worker
// passes on what it finds to another kind of worker; each has private state and its own order.
#include <cctype>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <troupe/troupe.hpp>

namespace desk {

/// Keeps what the specialists report.
class archive {
 public:
  void file(const std::string& topic, const std::string& note) { notes_[topic].push_back(note); }
  std::map<std::string, std::vector<std::string>> all() const { return notes_; }

 private:
  std::map<std::string, std::vector<std::string>> notes_;
};

/// Adds up sums such as `sum 1 2 3`.
class calculator {
 public:
  explicit calculator(troupe::actor_handle<archive> archive) : archive_(archive) {}
  int handle(const std::string& message) {
    std::istringstream words(message);
    std::string word;
    words >> word;
    int sum = 0;
    for (int n = 0; words >> n;) sum += n;
    archive_.remote<&archive::file>("numbers", std::to_string(sum));
    return sum;
  }

 private:
  troupe::actor_handle<archive> archive_;
};

/// Counts words, and sends numbers that it meets to the calculator.
class reader {
 public:
  reader(troupe::actor_handle<archive> archive, troupe::actor_handle<calculator> calculator)
      : archive_(archive), calculator_(calculator) {}
  int handle(const std::string& message) {
    std::istringstream words(message);
    std::string numbers;
    int count = 0;
    for (std::string word; words >> word; ++count) {
      if (std::isdigit(static_cast<unsigned char>(word[0])) != 0) numbers += " " + word;
    }
    if (!numbers.empty()) calculator_.remote<&calculator::handle>("sum" + numbers);
    archive_.remote<&archive::file>("texts", std::to_string(count) + " words");
    return count;
  }

 private:
  troupe::actor_handle<archive> archive_;
  troupe::actor_handle<calculator> calculator_;
};

/// Routes by what a message is; waits for nobody.
class router {
 public:
  router(troupe::actor_handle<calculator> calculator, troupe::actor_handle<reader> reader)
      : calculator_(calculator), reader_(reader) {}
  troupe::object_ref<int> route(const std::string& message) {
    if (message.starts_with("sum ")) return calculator_.remote<&calculator::handle>(message);
    return reader_.remote<&reader::handle>(message);
  }

 private:
  troupe::actor_handle<calculator> calculator_;
  troupe::actor_handle<reader> reader_;
};

}  // namespace desk

int main(int argc, char** argv) {
  const auto session = troupe::init(argc, argv);
  const auto archive = troupe::remote<desk::archive>();
  const auto calculator = troupe::remote<desk::calculator>(archive);
  const auto reader = troupe::remote<desk::reader>(archive, calculator);
  const auto router = troupe::remote<desk::router>(calculator, reader);

  int total = 0;
  for (const char* message : {"sum 1 2 3", "the quick brown fox", "sum 10 20", "we met 7 or 8 times"}) {
    // The router gives the ref of the specialist's answer: a ref to a ref.
    const auto answer = troupe::get(router.remote<&desk::router::route>(std::string(message)));
    total += troupe::get(answer);
    std::cout << message << " -> " << troupe::get(answer) << '\n';
  }
  troupe::get(calculator.remote<&desk::calculator::handle>("sum"));  // behind what the reader sent
  for (const auto& [topic, notes] : troupe::get(archive.remote<&desk::archive::all>())) {
    std::cout << topic << ":";
    for (const std::string& note : notes) std::cout << " [" << note << ']';
    std::cout << '\n';
  }
  return total == 6 + 4 + 30 + 6 ? 0 : 1;
}
