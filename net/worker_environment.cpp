#include "net/worker_environment.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "net/archive_file.hpp"
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
  result.executable = where.executable;
  result.arguments = what.program->arguments;
  if (result.arguments.empty()) result.arguments.push_back(result.executable);
  const env_spec& env = what.surroundings;
  result.working_dir =
      env.has_folder ? where.environment + "/" + packed_work : what.program->working_dir;
  const std::string library_folder =
      env.libraries.empty() ? std::string() : where.environment + "/" + packed_libraries;
  std::string library_path;
  for (const auto& [name, value] : env.variables) {
    if (is_replaced(name + "=")) continue;
    if (name == "LD_LIBRARY_PATH") library_path = value;
    result.environment.push_back(name + "=" + value);
  }
  const auto is_own = [&env](const std::string& variable) {
    const std::string name = variable.substr(0, variable.find('='));
    return std::any_of(env.variables.begin(), env.variables.end(),
                       [&](const auto& own) { return own.first == name; });
  };
  for (const std::string& variable : what.program->environment) {
    if (is_replaced(variable) || is_own(variable)) continue;
    constexpr std::string_view path_name = "LD_LIBRARY_PATH=";
    if (variable.rfind(path_name, 0) == 0) library_path = variable.substr(path_name.size());
    if (variable.rfind("CUDA_VISIBLE_DEVICES=", 0) == 0) continue;  // GPUs are the node's
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
  if (!library_folder.empty()) {
    std::erase_if(result.environment, [](const std::string& variable) {
      return variable.rfind("LD_LIBRARY_PATH=", 0) == 0;
    });
    set("LD_LIBRARY_PATH", library_folder + (library_path.empty() ? "" : ":" + library_path));
    std::string paths;
    for (const std::string& name : env.libraries) {
      if (name.empty() || name.find_first_of("/:") != std::string::npos) continue;
      paths += (paths.empty() ? "" : ":") + library_folder + "/" + name;
    }
    set("TROUPE_WORKER_LIBRARIES", paths);
  }
  if (env.setup != 0) set("TROUPE_WORKER_SETUP", std::to_string(env.setup));
  const char* const own_devices = std::getenv("CUDA_VISIBLE_DEVICES");
  if (what.gpus) {
    set("CUDA_VISIBLE_DEVICES",
        visible_devices(*what.gpus, own_devices == nullptr ? "" : own_devices));
    set("TROUPE_WORKER_GPUS", visible_devices(*what.gpus, ""));
  } else if (own_devices != nullptr && !is_own("CUDA_VISIBLE_DEVICES=")) {
    set("CUDA_VISIBLE_DEVICES", own_devices);
  }
  return result;
}

}  // namespace troupe::net
