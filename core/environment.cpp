#include "core/environment.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <exception>
#include <list>
#include <mutex>

#include <troupe/error.hpp>

#include "core/setup_registry.hpp"

namespace troupe::core {
namespace {

struct adopted {
  runtime_env what;
  std::exception_ptr failure;
};
std::mutex adopted_mutex;
auto& all_adopted = *new std::list<adopted>;  // guarded by adopted_mutex

void refuse(const std::string& what) {
  throw runtime_env_error("runtime_env: " + what +
                          " is for worker processes, and an embedded program has none: it runs its "
                          "tasks itself. Set it up before the program starts, or connect to a "
                          "cluster (option 'address')");
}

}  // namespace

void load_library(const std::string& path) {
  // A name alone would be searched for where the system's libraries lie.
  const std::string file = path.find('/') == std::string::npos ? "./" + path : path;
  if (::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return;
  const char* const why = ::dlerror();
  throw runtime_env_error("runtime_env: the library '" + path +
                          "' cannot be loaded: " + (why != nullptr ? why : "no reason was given"));
}

void run_setup(std::uint64_t key) {
  const auto function = find_setup(key);
  if (function == nullptr) {
    throw runtime_env_error(
        "runtime_env: this process does not contain the setup function: run the same build "
        "everywhere, or name the library that has it");
  }
  try {
    function();
  } catch (const std::exception& e) {
    throw runtime_env_error(std::string("runtime_env: the setup function failed: ") + e.what());
  } catch (...) {
    throw runtime_env_error(
        "runtime_env: the setup function failed with what is no std::exception");
  }
}

void adopt_environment(const runtime_env& wanted) {
  if (!wanted.env_vars.empty()) refuse("env_vars");
  if (!wanted.working_dir.empty()) refuse("working_dir");
  if (!wanted.files.empty()) refuse("files");
  const std::lock_guard guard(adopted_mutex);
  const auto known = std::find_if(all_adopted.begin(), all_adopted.end(),
                                  [&](const adopted& one) { return one.what == wanted; });
  if (known != all_adopted.end()) {
    if (known->failure) std::rethrow_exception(known->failure);
    return;
  }
  adopted& added = all_adopted.emplace_back(adopted{wanted, nullptr});
  try {
    for (const std::string& library : wanted.libraries) load_library(library);
    if (wanted.setup) run_setup(wanted.setup.key());
  } catch (...) {
    added.failure = std::current_exception();
    throw;
  }
}

}  // namespace troupe::core
