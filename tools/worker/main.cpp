// The generic worker: a program without tasks of its own that hosts those of shared libraries.
// `troupe worker` runs it; nodes run it again as the worker processes of that job.
#include <dlfcn.h>
#include <signal.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <troupe/troupe.hpp>

namespace {

constexpr const char* usage = R"(troupe worker --load FILE [--load FILE...] [OPTION...]

Joins a cluster as a program of its own that consists of shared libraries. In each library the
function

  extern "C" void troupe_start();

is called once, here, after the program has joined; it starts named actors, which run in workers on
the nodes, where the libraries are loaded, too. Other programs find the actors by name. Runs until
SIGTERM or SIGINT; its detached actors outlive it.

  --load FILE          a shared library; it goes to the nodes by itself
  --address ADDRESS    of the cluster: auto or HOST:PORT; default: TROUPE_ADDRESS, else auto
  --namespace NAME     of its named actors
  --once               end when all troupe_start have returned, for detached actors
  --help               this text

Exit codes: 0 done, 1 failed, 2 wrong use.
)";

struct wishes {
  std::vector<std::string> libraries;
  std::string address;
  std::string name_space;
  bool once = false;
  bool help = false;
};

struct misuse : std::runtime_error {
  using std::runtime_error::runtime_error;
};

wishes read(int argc, char** argv) {
  wishes result;
  for (int i = 1; i < argc; ++i) {
    std::string_view word = argv[i];
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const auto value = [&]() -> std::string {
      if (equals != std::string_view::npos) return std::string(word.substr(equals + 1));
      if (++i == argc) throw misuse(std::string(name) + " needs a value");
      return argv[i];
    };
    if (name == "--load") {
      result.libraries.push_back(value());
    } else if (name == "--address") {
      result.address = value();
    } else if (name == "--namespace") {
      result.name_space = value();
    } else if (word == "--once") {
      result.once = true;
    } else if (word == "--help" || word == "-h") {
      result.help = true;
    } else {
      throw misuse("'" + std::string(word) + "' is no option");
    }
  }
  if (result.libraries.empty() && !result.help) throw misuse("--load names what to host");
  return result;
}

/// Gives whether there was one.
bool call_start_of(const std::string& library) {
  void* const loaded = ::dlopen(library.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (loaded == nullptr) throw std::runtime_error(library + " is not loaded");
  const auto start = reinterpret_cast<void (*)()>(::dlsym(loaded, "troupe_start"));
  if (start != nullptr) start();
  return start != nullptr;
}

int serve(const wishes& wanted) {
  // Before there are other threads, which would take the signals.
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  troupe::config settings;
  const char* const address = std::getenv("TROUPE_ADDRESS");
  settings.address = !wanted.address.empty() ? wanted.address
                     : address != nullptr    ? address
                                             : "auto";
  if (!wanted.address.empty()) ::unsetenv("TROUPE_ADDRESS");  // it would come before the option
  settings.job_namespace = wanted.name_space;
  for (const std::string& library : wanted.libraries) {
    settings.runtime_env.libraries.push_back(std::filesystem::absolute(library).string());
  }
  const std::vector<std::string> libraries = settings.runtime_env.libraries;
  auto session = troupe::init(settings);  // a worker stays in here
  bool any = false;
  for (const std::string& library : libraries) any = call_start_of(library) || any;
  if (!any) {
    throw std::runtime_error(
        "none of the libraries has a function troupe_start: nothing would run");
  }
  if (wanted.once) return EXIT_SUCCESS;
  std::cout << "serving; ends with SIGTERM or SIGINT" << std::endl;
  int signal = 0;
  ::sigwait(&ends, &signal);
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const wishes wanted = read(argc, argv);
    if (wanted.help) {
      std::cout << usage;
      return EXIT_SUCCESS;
    }
    return serve(wanted);
  } catch (const misuse& error) {
    std::cerr << "troupe worker: " << error.what() << " (see `troupe worker --help`)\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "troupe worker: " << error.what() << "\n";
    return EXIT_FAILURE;
  }
}
