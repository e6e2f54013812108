// Where an endpoint listens, and what it does about strangers.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "net/endpoint_implementation.hpp"

namespace troupe::net {
namespace {

/// The folder's mode is what keeps other users out of the unix sockets in it.
void make_own_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw connection_error("the session directory " + path +
                           " can not be made: " + zmq_strerror(errno));
  }
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
    throw connection_error("the session directory " + path + " is no directory");
  }
  if (found.st_uid != ::geteuid() || (found.st_mode & 077) != 0) {
    throw connection_error("the session directory " + path +
                           " is open to other users, who could then send to this process; make it "
                           "your own with mode 0700");
  }
}

}  // namespace

void endpoint::implementation::listen_locally() {
  char name[32];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(self_.id));
  domain_.domain = name;
  domain_.context = context_.get();
  self_.local = (std::filesystem::path(options_.session_dir) / name).string();
  constexpr std::size_t longest = sizeof(sockaddr_un::sun_path) - 1;
  if (self_.local.size() > longest) {
    throw connection_error("the unix socket " + self_.local + " would have a path of " +
                           std::to_string(self_.local.size()) + " bytes, and at most " +
                           std::to_string(longest) +
                           " are possible: choose a session directory with a shorter name");
  }
  make_own_folder(options_.session_dir);
  local_.socket = zmq_socket(context_->handle(), ZMQ_ROUTER);
  set_link_options(local_.socket);
  local_.socket.set(ZMQ_MAXMSGSIZE, static_cast<std::int64_t>(options_.max_message_bytes));
  if (const int error = local_.socket.bind("ipc://" + self_.local); error != 0) {
    throw connection_error("the unix socket " + self_.local +
                           " can not be made: " + zmq_strerror(error));
  }
}

void endpoint::implementation::listen_remotely() {
  const std::string& wanted = options_.listen_address;
  if (public_key_.empty()) {
    throw connection_error("to listen at " + wanted +
                           " needs a cluster key, so that strangers are kept out");
  }
  auto address = parse_address(wanted);
  if (!address) {
    throw connection_error("'" + wanted + "' is no address to listen at: write HOST:PORT");
  }
  if (address->host == "*") address->host = "0.0.0.0";
  std::string why;
  const auto numeric = look_up(*address, why);
  if (!numeric) throw connection_error("can not listen at " + wanted + ": " + why);

  admit({public_key_});
  remote_.socket = zmq_socket(context_->handle(), ZMQ_ROUTER);
  remote_.secure = true;
  set_link_options(remote_.socket);
  set_secure_options(remote_.socket, options_.cluster_key, public_key_, domain_.domain);
  remote_.socket.set(ZMQ_MAXMSGSIZE, static_cast<std::int64_t>(options_.max_message_bytes));
  if (numeric->is_ipv6()) remote_.socket.set(ZMQ_IPV6, 1);
  listener_watcher_ = watch(context_->handle(), remote_.socket);
  if (const int error = remote_.socket.bind("tcp://" + numeric->text()); error != 0) {
    throw connection_error("can not listen at " + wanted + ": " + zmq_strerror(error) +
                           (error == EADDRINUSE ? "; another process has this port: end it, or "
                                                  "choose another port (0: any that is free)"
                                                : ""));
  }
  const std::string bound = remote_.socket.text(ZMQ_LAST_ENDPOINT);
  host_and_port advertised{options_.advertised_host, bound.substr(bound.rfind(':') + 1)};
  if (advertised.host.empty()) {
    const bool everywhere = numeric->host == "0.0.0.0" || numeric->host == "::";
    advertised.host = everywhere ? own_address() : address->host;
  }
  self_.remote = advertised.text();
}

/// Ends a connection that libzmq has accepted: it has no call for that. Its descriptor may belong
/// to something else by now, so what is ended is what has the other side's address.
void endpoint::implementation::cut(const connection_watch::open_connection& which) {
  const core::descriptor own(::fcntl(which.descriptor, F_DUPFD_CLOEXEC, 0));
  if (own && !which.address.empty() && remote_of(own.get()) == which.address) {
    ::shutdown(own.get(), SHUT_RDWR);
  }
}

/// The connections that are not admitted any more, and those of which that is not known; of these,
/// who is admitted connects again.
void endpoint::implementation::cut_the_unadmitted() {
  const auto admitted = [this](const std::string& key) {
    return context_->admitted(domain_.domain, key);
  };
  for (const auto& connection : connections_.heard_without(admitted)) {
    told_of_stranger(connection.address, "its key is no longer one of this cluster");
    cut(connection);
  }
  for (const auto& connection : connections_.unheard()) cut(connection);
}

void endpoint::implementation::told_of_stranger(const std::string& address,
                                                const std::string& why) {
  counters_.strangers_refused.fetch_add(1);
  std::optional<std::uint64_t> others;
  {
    const std::lock_guard guard(strangers_mutex_);
    others = strangers_.came(address, clock::now());
  }
  if (!others) return;
  log::warn("refused what came to ", self_.remote.empty() ? self_.local : self_.remote, " from ",
            address.empty() ? std::string("somebody") : address, ": ", why,
            *others == 0 ? std::string() : " (and " + std::to_string(*others) + " times before)");
}

}  // namespace troupe::net
