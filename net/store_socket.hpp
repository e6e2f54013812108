/// The unix socket between a store and its clients.
#pragma once

#include <cstdint>
#include <string>

#include <troupe/error.hpp>

#include "core/descriptor.hpp"
#include "net/store_wire.hpp"

namespace troupe::net {

/// The store has ended, or has given this process up.
class store_gone_error : public connection_error {
 public:
  store_gone_error() : connection_error("the node's object store is gone: its daemon has ended") {}
};

/// Listens there, in place of what a dead node left. Throws `connection_error` with the cause.
core::descriptor listen_for_store(const std::string& path);
/// The next one who connects and is of this user; none when nobody waits.
core::descriptor accept_own(const core::descriptor& listener);
/// The process at the other end; 0 when it is not known.
std::int64_t peer_pid(const core::descriptor& connection);
/// Throws `connection_error` with the cause, `store_gone_error` when nobody listens there.
core::descriptor connect_to_store(const std::string& path);

/// False when the other side is gone or does not read. `passed`: a descriptor that goes along.
bool send_reply(const core::descriptor& to, const store_reply& what, int passed = -1);
bool send_request(const core::descriptor& to, const store_request& what);
/// Waits so long (-1: for ever) for a reply. False at the end of the time. Throws
/// `store_gone_error` when the other side is gone. `passed` gets the descriptor that came along.
bool receive_reply(const core::descriptor& from, int milliseconds, store_reply& what,
                   core::descriptor* passed = nullptr);

}  // namespace troupe::net
