#include "net/environments.hpp"

#include <algorithm>
#include <filesystem>

#include <troupe/error.hpp>

#include "net/archive_file.hpp"
#include "net/content_hash.hpp"

namespace troupe::net {
namespace {

constexpr std::size_t most_variable_bytes = 65'536;
constexpr std::size_t most_known = 10'000;

void check_variables(const runtime_env& wanted) {
  std::size_t bytes = 0;
  for (const auto& [name, value] : wanted.env_vars) {
    bytes += name.size() + value.size() + 2;
    const bool sound = !name.empty() && name.find('=') == std::string::npos &&
                       name.find('\0') == std::string::npos &&
                       value.find('\0') == std::string::npos;
    if (!sound) {
      throw runtime_env_error("runtime_env: '" + name +
                              "' cannot be an environment variable: a name is not empty and has no "
                              "'=', and neither name nor value has a zero byte");
    }
    if (name.rfind("TROUPE_WORKER_", 0) == 0) {
      throw runtime_env_error("runtime_env: the variable '" + name + "' is set by nodes only");
    }
  }
  if (bytes > most_variable_bytes) {
    throw runtime_env_error("runtime_env: the variables have " + std::to_string(bytes) +
                            " bytes, at most " + std::to_string(most_variable_bytes) +
                            " are allowed; put them into a file of the working_dir");
  }
}

}  // namespace

std::string environments::prepare(const runtime_env& wanted) {
  if (wanted.empty()) return {};
  const std::lock_guard guard(mutex_);
  const auto at = std::find_if(known_.begin(), known_.end(),
                               [&](const auto& one) { return one.first == wanted; });
  if (at != known_.end()) return at->second;
  if (known_.size() == most_known) {
    throw runtime_env_error("runtime_env: this process has used " + std::to_string(most_known) +
                            " different environments: use one for many tasks");
  }
  env_spec made = make(wanted);
  const std::string id = made.id;
  by_id_.emplace(id, std::move(made));
  known_.emplace_back(wanted, id);
  return id;
}

env_spec environments::find(const std::string& id) const {
  const std::lock_guard guard(mutex_);
  const auto at = by_id_.find(id);
  return at != by_id_.end() ? at->second : env_spec();
}

env_spec environments::make(const runtime_env& wanted) {
  check_variables(wanted);
  env_spec made;
  made.variables = wanted.env_vars;
  made.setup = wanted.setup.key();
  made.has_folder = !wanted.working_dir.empty() || !wanted.files.empty();
  for (const std::string& library : wanted.libraries) {
    made.libraries.push_back(std::filesystem::path(library).filename().string());
  }
  if (made.has_folder || !made.libraries.empty()) {
    packed_file packed = pack_environment(wanted, most_bytes_);
    made.package = {packed.hash, packed.size};
    shelf_.put(packed.hash, std::move(packed.fd));
  }
  // Each part with its length: two environments with the same id are the same.
  content_hasher hasher;
  const auto add = [&hasher](const std::string& text) {
    hasher.add(std::to_string(text.size()) + ":" + text);
  };
  add(made.package.hash);
  add(std::to_string(made.setup));
  for (const auto& [name, value] : made.variables) {
    add(name);
    add(value);
  }
  add(made.has_folder ? "folder" : "");
  for (const std::string& library : made.libraries) add(library);
  made.id = hasher.finish();
  return made;
}

}  // namespace troupe::net
