/// The files by which the processes of a machine find each other: who runs here, where, which key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/descriptor.hpp"
#include "net/ids.hpp"

namespace troupe::net {

/// What `node.json` says of a node's daemon.
struct node_file {
  std::uint32_t protocol = 0;
  std::int64_t pid = 0;
  peer self;
  std::string name;
  std::string head;         ///< HOST:PORT
  std::string key_file;     ///< path of the cluster's key
  std::string session_dir;  ///< the folder that the file lies in
  peer own_head;            ///< the head, when it lives in the daemon; else nobody
  std::string store;        ///< and the file of its durable store

  bool is_head() const { return own_head.id != 0; }
};

/// $TROUPE_SESSION_BASE, or /tmp/troupe-UID. It is made when it is not there, mode 0700. Throws
/// `connection_error` when it is not a folder that only this user can enter.
std::string session_base();
/// The same without making or checking it.
std::string session_base_path();

/// The file of a session folder; nothing, and why, when there is none that makes sense.
std::optional<node_file> read_node_file(const std::string& session_dir, std::string& why);
/// Written whole or not at all. Throws `connection_error`.
void write_node_file(const node_file& file);

/// Whether a daemon holds the lock of that session folder.
bool node_runs(const std::string& session_dir);
/// Those of this machine's nodes that run, by name.
std::vector<node_file> running_nodes(const std::string& base);
/// The node that was started last, if it runs; else one that does.
std::optional<node_file> current_node(const std::string& base);

/// A cluster key as it stands in a file. Throws `connection_error` that names the file when it
/// cannot be read, when others than the owner may read it, or when it holds no key.
std::string read_cluster_key(const std::string& path);
/// Makes a key file with mode 0600, unless there is one; gives the key.
std::string make_cluster_key_file(const std::string& path);
/// Writes a key to a file with mode 0600 in place of what was there.
void write_cluster_key(const std::string& path, const std::string& key);

/// A node's folder while its daemon lives: holds its lock, and leaves no socket and no node.json
/// behind. Thread-compatible.
class session_folder {
 public:
  /// Throws `connection_error` that names the daemon when one of that name runs.
  session_folder(const std::string& base, const std::string& name);
  ~session_folder();
  session_folder(const session_folder&) = delete;
  session_folder& operator=(const session_folder&) = delete;

  const std::string& path() const { return path_; }
  std::string logs() const { return path_ + "/logs"; }
  /// Points `base/current` here.
  void become_current();

 private:
  std::string base_;
  std::string path_;
  core::descriptor lock_;
};

/// Throws `connection_error` when the text cannot name a node: it names a folder, too.
void check_node_name(const std::string& name);

std::string to_hex(process_id id);

}  // namespace troupe::net
