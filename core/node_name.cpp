#include "core/node_name.hpp"

#include <unistd.h>

#include <mutex>

namespace troupe::core {

namespace {

std::mutex name_mutex;
/// Never destroyed: a task may call std::exit while others fail, and failures name the node.
std::string& configured_name() {  // guarded by name_mutex
  static auto& name = *new std::string;
  return name;
}

}  // namespace

std::string node_name() {
  {
    const std::lock_guard guard(name_mutex);
    if (!configured_name().empty()) return configured_name();
  }
  char host[256] = {};
  if (::gethostname(host, sizeof(host) - 1) != 0) return "localhost";
  return host;
}

void set_node_name(std::string name) {
  const std::lock_guard guard(name_mutex);
  configured_name() = std::move(name);
}

}  // namespace troupe::core
