/// The one libzmq context of a process, and its gatekeeper.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "net/zmq_socket.hpp"

namespace troupe::net {

/// Shared by all endpoints of the process: contexts that come and go beside each other are not safe
/// with encryption in libzmq 4.3.4. Exists as long as somebody holds it. Thread-safe.
///
/// The gatekeeper answers libzmq's question whom to let in (ZAP). Without one libzmq lets everybody
/// in who knows the server's public key; so it is there before the first listener and ends after
/// the last.
class zmq_context {
 public:
  static std::shared_ptr<zmq_context> get();
  ~zmq_context();
  zmq_context(const zmq_context&) = delete;
  zmq_context& operator=(const zmq_context&) = delete;

  void* handle() const noexcept { return context_; }

  /// Told of a stranger: the address, and why it was refused. Called on the gatekeeper's thread,
  /// under its lock: must not come back here.
  using refused = std::function<void(const std::string& address, const std::string& why)>;
  /// Lets holders of these keys (public, Z85) into listeners of the domain from now on.
  void admit(const std::string& domain, const std::vector<std::string>& public_keys, refused told);
  void close_domain(const std::string& domain);
  /// Whether the key (public, Z85) may be in: a connection may be older than a change.
  bool admitted(const std::string& domain, const std::string& public_key) const;

 private:
  zmq_context();
  void keep_gate();
  void answer(const std::vector<zmq_frame>& request);

  struct domain_rules {
    std::set<std::string> keys;
    refused told;
  };

  void* context_ = nullptr;
  zmq_socket gate_;
  mutable std::mutex mutex_;
  std::map<std::string, domain_rules> domains_;
  std::jthread gatekeeper_;
};

}  // namespace troupe::net
