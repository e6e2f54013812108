#include "net/cluster_address.hpp"

#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <troupe/error.hpp>

#include "net/session_files.hpp"

namespace troupe::net {

namespace {

const char* variable(const char* name) noexcept {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

std::string key_of(const std::string& key_file) {
  if (const char* const key = variable("TROUPE_CLUSTER_KEY")) return key;
  return key_file.empty() ? std::string() : read_cluster_key(key_file);
}

/// Where the node listens, others of the cluster come from other machines, too.
std::string beside(const peer& node) {
  const std::size_t colon = node.remote.rfind(':');
  return colon == std::string::npos ? std::string() : node.remote.substr(0, colon) + ":0";
}

cluster_address by(const node_file& node) {
  return {.node = node.self,
          .session_dir = node.session_dir,
          .cluster_key = key_of(node.key_file),
          .listen = beside(node.self),
          .node_folder = node.session_dir};
}

std::uint64_t number(std::string_view text, int base, const char* what) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (read.ec != std::errc{} || read.ptr != text.data() + text.size()) {
    throw connection_error(std::string(what) + ": '" + std::string(text) +
                           "' is no number; a worker is started by its node only");
  }
  return value;
}

}  // namespace

cluster_address find_cluster(const std::string& address) {
  const std::string base = session_base_path();
  const std::vector<node_file> nodes = running_nodes(base);
  if (address == "auto") {
    if (const auto current = current_node(base)) return by(*current);
    throw connection_error(
        "troupe::init: the address is 'auto' and no node runs on this machine (" + base +
        " has none); start one by 'troupe start --head', or give HOST:PORT");
  }
  // A program of a machine that has a node talks to that one, whichever node it names.
  for (const node_file& node : nodes) {
    if (node.head == address || node.self.remote == address) return by(node);
  }
  const char* const key_file = variable("TROUPE_KEY_FILE");
  cluster_address far;
  far.node.remote = address;
  far.session_dir = session_base();
  far.cluster_key = key_of(key_file != nullptr ? key_file : base + "/cluster.key");
  far.listen = "0.0.0.0:0";
  return far;
}

bool is_worker_process() noexcept { return variable("TROUPE_WORKER_NODE") != nullptr; }

cluster_address worker_address() {
  const std::string_view text = variable("TROUPE_WORKER_NODE");
  std::vector<std::string> fields;
  for (std::size_t begin = 0;;) {
    const std::size_t end = text.find('|', begin);
    fields.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) break;
    begin = end + 1;
  }
  if (fields.size() != 4) {
    throw connection_error("TROUPE_WORKER_NODE: '" + std::string(text) +
                           "' is not ID|HOST|LOCAL|REMOTE; a worker is started by its node only");
  }
  cluster_address result;
  result.node = {number(fields[0], 16, "TROUPE_WORKER_NODE"), fields[1], fields[2], fields[3]};
  const char* const session_dir = variable("TROUPE_SESSION_DIR");
  result.session_dir = session_dir != nullptr ? session_dir : session_base();
  const char* const key_file = variable("TROUPE_KEY_FILE");
  result.cluster_key = key_of(key_file != nullptr ? key_file : "");
  result.listen = beside(result.node);
  return result;
}

std::uint64_t worker_token() {
  const char* const token = variable("TROUPE_WORKER_TOKEN");
  return token != nullptr ? number(token, 10, "TROUPE_WORKER_TOKEN") : 0;
}

}  // namespace troupe::net
