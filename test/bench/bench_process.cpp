// What an idle runtime costs, and what a first program costs to compile.
#include <dirent.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

#include <troupe/actor.hpp>
#include <troupe/runtime.hpp>
#include <troupe/task.hpp>

#include "test/bench/bench.hpp"

namespace troupe::bench {
namespace {

int noop() { return 1; }
struct counter {
  int increment() { return ++value; }
  int value = 0;
};

/// Context switches of all threads of this process so far: each wake-up is one.
long context_switches() {
  long sum = 0;
  DIR* const tasks = ::opendir("/proc/self/task");
  while (const dirent* entry = ::readdir(tasks)) {
    if (entry->d_name[0] == '.') continue;
    std::ifstream status("/proc/self/task/" + std::string(entry->d_name) + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.find("ctxt_switches") != std::string::npos) {
        sum += std::stol(line.substr(line.find(':') + 1));
      }
    }
  }
  ::closedir(tasks);
  return sum;
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto in_seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return in_seconds(usage.ru_utime) + in_seconds(usage.ru_stime);
}

std::vector<figure> idle() {
  const auto session = init();
  const auto actor = remote<counter>();
  for (int i = 0; i < 1000; ++i) {
    get(remote<noop>());
    get(actor.remote<&counter::increment>());
  }
  constexpr int window = 5;
  std::this_thread::sleep_for(std::chrono::seconds(7));  // spare threads end after 5 s
  const long switches = context_switches();
  const double cpu = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::seconds(window));
  const double used = cpu_seconds() - cpu;
  // One switch is this thread's own sleep.
  const long woken = context_switches() - switches - 1;
  return {{.name = "idle",
           .value = static_cast<double>(woken) / window,
           .unit = "wakeups/s",
           .higher_is_better = false,
           .note = "context switches of all threads over 5 s, from /proc/self/task/*/status"},
          {.name = "idle_cpu",
           .value = used / window * 100,
           .unit = "% of a CPU",
           .higher_is_better = false,
           .note = "getrusage over the same time; includes reading /proc"}};
}

std::vector<figure> compile_hello() {
  const std::string folder = "/tmp/troupe-compile-" + std::to_string(::getpid());
  if (std::system(("mkdir -p " + folder).c_str()) != 0) return {};
  std::ofstream(folder + "/hello.cpp")
      << "#include <troupe/troupe.hpp>\n"
         "int add(int a, int b) { return a + b; }\n"
         "struct counter { int increment(int by) { return value += by; } int value = 0; };\n"
         "int main(int argc, char** argv) {\n"
         "  auto session = troupe::init(argc, argv);\n"
         "  auto sum = troupe::remote<add>(2, 3);\n"
         "  auto c = troupe::remote<counter>();\n"
         "  return troupe::get(c.remote<&counter::increment>(sum)) == 5 ? 0 : 1;\n"
         "}\n";
  std::ofstream(folder + "/empty.cpp") << "int main() {}\n";
  const auto compile = [&](const std::string& file) {
    const std::string command = std::string(TROUPE_BENCH_COMPILER) + " -std=c++20 -O2 -I" +
                                TROUPE_BENCH_SOURCE_DIR + "/include -c " + folder + "/" + file +
                                " -o " + folder + "/out.o";
    return seconds([&] {
      if (std::system(command.c_str()) != 0) std::abort();
    });
  };
  std::ofstream(folder + "/std.cpp")
      << "#include <chrono>\n#include <functional>\n#include <map>\n#include <memory>\n"
         "#include <string>\n#include <thread>\n#include <vector>\nint main() {}\n";
  const auto both = alternate(
      5, [&] { return compile("hello.cpp"); }, [&] { return compile("std.cpp"); });
  std::system(("rm -r " + folder).c_str());
  return {{.name = "compile_hello",
           .value = both.value,
           .unit = "s",
           .higher_is_better = false,
           .peer = "seven headers of the standard library",
           .peer_value = both.peer,
           .note = "-O2, one task and one actor"}};
}

const registered idle_benchmark{"idle", idle};
const registered compile_benchmark{"compile_hello", compile_hello};

}  // namespace
}  // namespace troupe::bench
