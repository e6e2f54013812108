#include "test/chaos/round.hpp"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "test/chaos/append_file.hpp"
#include "test/chaos/history.hpp"
#include "test/support/link_breaker.hpp"
#include "test/support/started_program.hpp"

using namespace std::chrono_literals;

namespace chaos {
namespace {

const std::string program = TROUPE_TEST_BINARY_DIR "/test/chaos/chaos_driver";
/// Far longer than anything takes; what takes longer hangs.
constexpr std::chrono::seconds patience{120};
/// What was left so long is in the report, although it went at last.
constexpr double slow_to_settle = 3;

std::string content(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class game {
 public:
  game(rig& on, const cell& what, std::uint64_t number, std::uint64_t seed)
      : rig_(on),
        cell_(what),
        number_(number),
        random_(seed),
        folder_(on.base() + "/round-" + std::to_string(number)) {
    std::filesystem::create_directory(folder_);
  }

  outcome play() {
    std::vector<std::string> words{program,     "run",   std::to_string(number_),
                                   cell_.phase, folder_, std::to_string(random_())};
    for (const std::string& node : rig_.workers()) words.push_back(node);
    troupe::test::started_program driver(words, rig_.environment());
    driver_ = &driver;
    hear_until("ready");
    if (!ended_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 400));
      strike();
      watch();
    } else {
      wrong("the program did not begin");
    }
    driver.tell("end");
    if (!driver.ended_within(patience)) wrong("the program does not end");
    if (cell_.struck == victim::driver) sweep();
    for (const std::string& node : rig_.workers()) {
      if (!rig_.runs(node)) rig_.restart(node);
    }
    settle();
    check_histories();
    for (std::string& left : rig_.close_descriptors(30s)) wrong("left behind: " + std::move(left));
    return std::move(result_);
  }

 private:
  void wrong(std::string what) { result_.wrong.push_back(std::move(what)); }
  /// What the cluster says now: what waits where is gone when the program has ended.
  void keep_status() const {
    try {
      std::ofstream(folder_ + "/status.json") << rig_.status().dump(2);
    } catch (const std::exception&) {  // there is no head
    }
  }
  double since_strike(std::int64_t time) const {
    return static_cast<double>(time - struck_) / 1'000'000'000;
  }

  /// Reads what the program says up to a line that begins so, or to its end.
  void hear_until(const std::string& word) {
    const auto until = std::chrono::steady_clock::now() + patience;
    for (;;) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      const auto line = driver_->hear(std::max(left, 0ms));
      if (!line) {
        ended_ = true;
        if (!driver_->ended_within(1s)) wrong("the program says nothing more; it hangs");
        return;
      }
      take(*line);
      if (line->rfind(word, 0) == 0) return;
    }
  }

  void take(const std::string& line) {
    std::istringstream words(line);
    std::string kind;
    words >> kind;
    if (kind == "sentinel") {
      std::string node;
      words >> node >> sentinels_[node];
    } else if (kind == "noticed") {
      std::string node;
      std::int64_t time = 0;
      words >> node >> time;
      if (struck_ == 0) {
        wrong("ended before anything was struck: " + line);
      } else if (node == target_ && !result_.noticed) {
        result_.noticed = since_strike(time);
      } else {
        wrong("ended without having been struck: " + line);
      }
    } else if (kind == "recovered") {
      std::int64_t time = 0;
      words >> time >> result_.answered >> result_.lost;
      result_.recovered = since_strike(time);
    } else if (kind == "violation" || kind == "thrown") {
      wrong(line);
      keep_status();
    } else if (kind != "hosts" && kind != "ready" && kind != "works" && kind != "ok") {
      result_.detail += "; said: " + line;
    }
  }

  void strike() {
    const std::string node = rig_.workers()[random_() % rig_.workers().size()];
    struck_ = now();
    switch (cell_.struck) {
      case victim::nothing:
        break;
      case victim::worker:
        target_ = node;
        result_.detail = "worker of " + node;
        ::kill(static_cast<pid_t>(sentinels_.at(node)), SIGKILL);
        break;
      case victim::node:
        target_ = node;
        result_.detail = node;
        ::kill(rig_.pid_of(node), SIGKILL);
        break;
      case victim::frozen_node:
        target_ = node;
        result_.detail = node;
        ::kill(rig_.pid_of(node), SIGSTOP);
        break;
      case victim::driver:
        driver_->kill(SIGKILL);
        break;
      case victim::head:
        kill_head();
        break;
      case victim::link:
        cut(node);
        break;
    }
  }

  void kill_head() {
    ::kill(rig_.pid_of("h"), SIGKILL);
    while (rig_.runs("h")) std::this_thread::sleep_for(1ms);
  }

  /// The program works without its head for a while, then there is one again; sometimes that one
  /// is killed too, while it recovers or soon after.
  void bring_head_back() {
    driver_->tell("away");
    hear_until("works");
    std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 2000));
    rig_.restart("h");
    if (random_() % 3 != 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 300));
    result_.detail = "twice";
    kill_head();
    rig_.restart("h");
  }

  void cut(const std::string& node) {
    result_.detail = "links of " + node + " and the program";
    const troupe::test::link_breaker of_daemon(rig_.pid_of(node));
    const troupe::test::link_breaker of_worker(sentinels_.at(node));
    const troupe::test::link_breaker of_driver(driver_->pid());
    for (int i = 0; i < 3; ++i) {
      if (of_daemon.break_all() < 0) throw std::runtime_error("links cannot be cut here");
      of_worker.break_all();
      of_driver.break_all();
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 100));
    }
  }

  /// From the strike to the end of what the program does about it.
  void watch() {
    if (cell_.struck == victim::driver) {
      watch_end_of_job();
      return;
    }
    if (cell_.struck == victim::head) bring_head_back();
    // The program works on until it has heard of the end.
    if (!target_.empty()) hear_until("noticed " + target_);
    if (!target_.empty() && !result_.noticed) wrong("nobody told the program of the end");
    driver_->tell("struck");
    hear_until("recovered");
    if (cell_.struck == victim::frozen_node) ::kill(rig_.pid_of(target_), SIGCONT);
    if (!result_.recovered) wrong("the program did not recover");
  }

  void watch_end_of_job() {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (rig_.status().at("jobs") != 0) {
      if (std::chrono::steady_clock::now() > until) return wrong("the job does not end");
      std::this_thread::sleep_for(20ms);
    }
    result_.noticed = since_strike(now());
  }

  /// The detached actor of the program that was killed goes on, and has counted right.
  void sweep() {
    troupe::test::started_program sweeper({program, "sweep", std::to_string(number_), folder_},
                                          rig_.environment());
    bool counted = false;
    while (const auto line = sweeper.hear(patience)) {
      counted = counted || line->rfind("counted ", 0) == 0;
      if (line->rfind("thrown", 0) == 0) wrong(*line);
    }
    if (!counted) wrong("the detached actor did not answer");
  }

  void settle() {
    const auto begun = now();
    std::string last;
    for (std::string& left : rig_.settle(60s, last)) wrong("left behind: " + std::move(left));
    result_.settled = since_strike(now());
    if (since_strike(now()) - since_strike(begun) > slow_to_settle) {
      result_.detail += "; late: " + last;
    }
    if (cell_.struck == victim::driver) result_.recovered = result_.settled;
  }

  void check_histories() {
    const auto check = [this](const std::string& name, promise promised) {
      const std::string calls = content(folder_ + '/' + name + ".calls");
      const std::string written = content(folder_ + '/' + name);
      for (std::string& what : check_history(name, written, calls, promised)) {
        wrong(std::move(what));
      }
      if (const std::size_t lives = lives_of(written).size(); hosts_live() && lives != 1) {
        wrong(name + " had " + std::to_string(lives) + " lives, and nothing that it was on died");
      }
      std::size_t at = 0;
      while ((at = calls.find("acked", at)) != std::string::npos) ++at, ++result_.answered;
    };
    check("strict", promise::at_most_once);
    check("retried", promise::retried);
    check("detached", promise::retried);
  }

  /// Nothing is struck that actors are on.
  bool hosts_live() const {
    return cell_.struck == victim::nothing || cell_.struck == victim::head ||
           cell_.struck == victim::link;
  }

  rig& rig_;
  const cell cell_;
  const std::uint64_t number_;
  std::mt19937_64 random_;
  const std::string folder_;
  troupe::test::started_program* driver_ = nullptr;
  bool ended_ = false;
  std::map<std::string, std::int64_t> sentinels_;
  std::string target_;
  std::int64_t struck_ = 0;
  outcome result_;
};

}  // namespace

const char* to_text(victim v) {
  switch (v) {
    case victim::nothing:
      return "nothing";
    case victim::worker:
      return "worker";
    case victim::node:
      return "node";
    case victim::frozen_node:
      return "frozen_node";
    case victim::driver:
      return "driver";
    case victim::head:
      return "head";
    case victim::link:
      return "link";
  }
  return "";
}

outcome play(rig& on, const cell& what, std::uint64_t number, std::uint64_t seed) {
  return game(on, what, number, seed).play();
}

}  // namespace chaos
