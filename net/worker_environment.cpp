#include "net/worker_environment.hpp"

#include <array>
#include <cstdlib>
#include <string_view>

#include "net/session_files.hpp"

namespace troupe::net {
namespace {

constexpr std::array<std::string_view, 5> replaced = {
    "TROUPE_WORKER_",
    "TROUPE_SESSION_DIR=", "TROUPE_KEY_FILE=", "TROUPE_CLUSTER_KEY=", "TROUPE_ADDRESS="};

bool is_replaced(std::string_view variable) {
  for (const std::string_view prefix : replaced) {
    if (variable.substr(0, prefix.size()) == prefix) return true;
  }
  return false;
}

}  // namespace

std::string visible_devices(const std::vector<std::uint32_t>& ids, const std::string& own) {
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < own.size();) {
    const std::size_t end = std::min(own.find(',', begin), own.size());
    names.push_back(own.substr(begin, end - begin));
    begin = end + 1;
  }
  std::string text;
  for (const std::uint32_t id : ids) {
    if (!text.empty()) text += ',';
    text += id < names.size() ? names[id] : std::to_string(id);
  }
  return text;
}

worker_program make_worker_program(const start_worker& what, const worker_surroundings& where) {
  worker_program result;
  result.token = what.token;
  result.executable = what.program->executable;
  result.arguments = what.program->arguments;
  if (result.arguments.empty()) result.arguments.push_back(result.executable);
  result.working_dir = what.program->working_dir;
  for (const std::string& variable : what.program->environment) {
    if (is_replaced(variable)) continue;
    if (what.gpus && variable.rfind("CUDA_VISIBLE_DEVICES=", 0) == 0) continue;
    result.environment.push_back(variable);
  }
  const auto set = [&result](const std::string& name, const std::string& value) {
    result.environment.push_back(name + "=" + value);
  };
  set("TROUPE_WORKER_NODE", to_hex(where.node.id) + "|" + where.node.host + "|" + where.node.local +
                                "|" + where.node.remote);
  set("TROUPE_WORKER_TOKEN", std::to_string(what.token));
  set("TROUPE_WORKER_JOB", std::to_string(what.job));
  set("TROUPE_WORKER_FENCE_MS", std::to_string(where.fence_after.count()));
  set("TROUPE_SESSION_DIR", where.session_dir);
  set("TROUPE_KEY_FILE", where.key_file);
  if (what.gpus) {
    const char* const own = std::getenv("CUDA_VISIBLE_DEVICES");
    set("CUDA_VISIBLE_DEVICES", visible_devices(*what.gpus, own == nullptr ? "" : own));
  }
  return result;
}

}  // namespace troupe::net
