// What init reads: the command line, the environment, a file, the program's own settings.
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <troupe/troupe.hpp>

#include "test/support/catch.hpp"
#include "test/support/contains.hpp"
#include "test/support/runtime.hpp"
#include "test/support/temp_folder.hpp"

using namespace troupe::test;

namespace {

/// An environment variable of a test, gone at the end of its scope.
class environment {
 public:
  environment(const char* name, const std::string& value) : name_(name) {
    ::setenv(name, value.c_str(), 1);
  }
  environment(const environment&) = delete;
  environment& operator=(const environment&) = delete;
  ~environment() { ::unsetenv(name_); }

 private:
  const char* name_;
};

troupe::session init_with(std::vector<const char*> args, troupe::config base = {}) {
  args.insert(args.begin(), "program");
  base.log_level = troupe::log_level::off;
  return troupe::init(static_cast<int>(args.size()), args.data(), std::move(base));
}

double cpus() { return troupe::cluster_resources().at("CPU"); }

int add(int a, int b) { return a + b; }

}  // namespace

TEST_CASE("without any settings init finds the machine's CPUs and memory") {
  const auto session = troupe::init({.log_level = troupe::log_level::off});
  CHECK(cpus() >= 1);
  CHECK(cpus() <= std::thread::hardware_concurrency());
  CHECK(troupe::cluster_resources().at("memory") > 0);
  CHECK(fetch(troupe::remote<add>(1, 2)) == 3);
}

TEST_CASE("the command line, the environment, the file and the program win in that order") {
  const temp_folder folder;
  const std::string file = folder.write("troupe.cfg", "num-cpus = 3\nnum-gpus = 3\nmemory = 3Ki\n");
  const environment config_file("TROUPE_CONFIG", file);
  const environment of_cpus("TROUPE_NUM_CPUS", "5");
  const environment of_gpus("TROUPE_NUM_GPUS", "5");
  const auto session =
      init_with({"--troupe-num-cpus=7"},
                {.num_cpus = 9, .num_gpus = 9, .resources = {{"disk", 9}}, .memory = 9});
  const auto all = troupe::cluster_resources();
  CHECK(all.at("CPU") == 7);
  CHECK(all.at("GPU") == 5);
  CHECK(all.at("memory") == 3 << 10);
  CHECK(all.at("disk") == 9);
}

TEST_CASE("the program's own arguments are left alone") {
  const auto session =
      init_with({"--verbose", "input.txt", "--num-cpus=9", "-x", "--", "rest"}, {.num_cpus = 2});
  CHECK(cpus() == 2);
}

TEST_CASE("an option that troupe does not know is an error that names it") {
  CHECK_THAT(message_of<std::invalid_argument>([] { init_with({"--troupe-num-cpu=2"}); }),
             contains("num-cpu"));
  CHECK_FALSE(troupe::is_initialized());
}

TEST_CASE("a bad value is an error that names the option, the value and where it came from") {
  CHECK_THAT(message_of<std::invalid_argument>([] { init_with({"--troupe-num-cpus=many"}); }),
             contains("num-cpus") && contains("many"));
  {
    const environment variable("TROUPE_NUM_CPUS", "-3");
    CHECK_THAT(message_of<std::invalid_argument>([] { init_with({}); }),
               contains("TROUPE_NUM_CPUS") && contains("-3"));
  }
  {
    const environment variable("TROUPE_LOG_LEVEL", "loud");
    CHECK_THAT(message_of<std::invalid_argument>([] { init_with({}); }), contains("loud"));
  }
  CHECK_THROWS_AS(init_with({}, {.num_cpus = -1}), std::invalid_argument);
  CHECK_THROWS_AS(init_with({}, {.resources = {{"CPU", 1}}}), std::invalid_argument);
  CHECK_FALSE(troupe::is_initialized());
  const auto session = init_with({}, {.num_cpus = 1});
  CHECK(cpus() == 1);
}

TEST_CASE("a configuration file that does not exist, or says nonsense, is an error") {
  const temp_folder folder;
  {
    const environment variable("TROUPE_CONFIG", folder / "none.cfg");
    CHECK_THAT(message_of<std::invalid_argument>([] { init_with({}); }), contains("none.cfg"));
  }
  {
    const environment variable("TROUPE_CONFIG", folder.write("bad.cfg", "num-cpsu = 3\n"));
    CHECK_THAT(message_of<std::invalid_argument>([] { init_with({}); }),
               contains("bad.cfg") && contains("num-cpsu"));
  }
}

TEST_CASE("a cluster's address is an error that says what can be done") {
  const temp_folder base;  // in which no node has left anything
  const environment variable("TROUPE_SESSION_BASE", base.path().string());
  CHECK_THAT(message_of<troupe::connection_error>([] { init_with({}, {.address = "auto"}); }),
             contains("troupe start --head"));
  CHECK_FALSE(troupe::is_initialized());
}

TEST_CASE("the namespace of the command line is where names are looked up") {
  struct thing {};
  const auto session = init_with({"--troupe-namespace=shop"});
  const auto t = troupe::with({.name = "t"}).remote<thing>();
  CHECK(troupe::get_actor<thing>("t", "shop") == t);
}

TEST_CASE("a log file gets a session's records") {
  const temp_folder folder;
  {
    const environment level("TROUPE_LOG_LEVEL", "info");
    const auto session = troupe::init(
        {.num_cpus = 1, .log_level = troupe::log_level::off, .log_file = folder / "t.log"});
    troupe::log::info("hello from the test");
  }
  CHECK_THAT(folder.read("t.log"), contains("hello from the test"));
}

TEST_CASE("--troupe-help prints every option and leaves with success") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    const char* const args[] = {"program", "--troupe-help"};
    const auto session = troupe::init(2, args);
    ::_exit(7);  // not reached
  }
  ::close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) text.append(buffer, n);
  ::close(ends[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  for (const char* option :
       {"--troupe-num-cpus", "--troupe-log-level", "--troupe-max-pending", "TROUPE_NUM_CPUS"}) {
    CHECK_THAT(text, contains(option));
  }
}
