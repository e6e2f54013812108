// A stateful service in a process of its own, programs that find it by name, and a crash in
// between.
//
// Notice when it runs: the clients know a name and nothing else, neither process nor machine. The
// service writes a deposit down before it answers, and reads that when it begins again; so what was
// answered is there after the crash. The client that meets the crash asks again and gets its
// answer.
//
//     sample_named_service                  # all of it; starts a cluster if TROUPE_ADDRESS names
//     none sample_named_service open FILE        # the service; it stays when this program ends
//     sample_named_service deposit NAME     # a client
//     sample_named_service crash            # kills the service's process
//     sample_named_service close            # ends the service

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

#include <troupe/troupe.hpp>

namespace {

class bank {
 public:
  explicit bank(const std::string& path) {
    std::ifstream before(path);
    for (std::string name; before >> name;) {
      int amount = 0;
      before >> amount;
      accounts_[name] += amount;
    }
    journal_.open(path, std::ios::app);
    if (!journal_) throw std::runtime_error("cannot write " + path);
  }
  int deposit(const std::string& name, int amount) {
    journal_ << name << ' ' << amount << std::endl;
    return accounts_[name] += amount;
  }
  int total() const {
    int sum = 0;
    for (const auto& [name, amount] : accounts_) sum += amount;
    return sum;
  }
  int life() const { return troupe::this_actor::restarts() + 1; }
  void crash() { std::abort(); }

 private:
  std::map<std::string, int> accounts_;
  std::ofstream journal_;
};

void open(const std::string& path) {
  const auto service = troupe::with({.name = "bank",
                                     .lifetime = troupe::lifetime::detached,
                                     .max_restarts = -1,
                                     .isolation = troupe::isolation::process})
                           .remote<bank>(path);
  troupe::get(service.remote<&bank::total>());  // it is there, or this throws why not
  std::cout << "the bank is open\n";
}

void deposit(const std::string& name) {
  const auto service = troupe::get_actor<bank>("bank");
  int balance = 0;
  for (int i = 0; i < 3; ++i) balance = troupe::get(service.remote<&bank::deposit>(name, 10));
  std::cout << name << " has " << balance << ", the bank "
            << troupe::get(service.remote<&bank::total>()) << " in its life "
            << troupe::get(service.remote<&bank::life>()) << '\n';
}

void crash() {
  const auto service = troupe::get_actor<bank>("bank");
  try {
    troupe::get(service.remote<&bank::crash>());
  } catch (const troupe::actor_unavailable_error& e) {
    std::cout << "crashed: " << e.what() << '\n';
  }
  std::cout << "it is back with " << troupe::get(service.remote<&bank::total>()) << '\n';
}

void run(const std::string& command) {
  std::cout << "$ " << command << std::endl;
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

/// Each step is a program of its own.
void show(const std::string& self) {
  std::string folder = "/tmp/troupe-bank-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no folder for the journal");
  const bool own_cluster = std::getenv("TROUPE_ADDRESS") == nullptr;
  if (own_cluster) {
    ::setenv("TROUPE_SESSION_BASE", folder.c_str(), 1);
    ::setenv("TROUPE_ADDRESS", "auto", 1);
    run("troupe start --head --port=0 --num-cpus=2 > /dev/null");
  }
  run(self + " open " + folder + "/journal");
  for (const char* step : {"deposit anna", "crash", "deposit ben", "deposit anna", "close"}) {
    run(self + " " + step);
  }
  if (own_cluster) run("troupe stop");
  std::filesystem::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string role = argc > 1 ? argv[1] : "";
  if (role.empty()) return show(argv[0]), 0;
  const auto session = troupe::init(argc, argv);  // a worker stays in here
  if (role == "open" && argc > 2) open(argv[2]);
  if (role == "deposit" && argc > 2) deposit(argv[2]);
  if (role == "crash") crash();
  if (role == "close") troupe::kill(troupe::get_actor<bank>("bank"));
}
