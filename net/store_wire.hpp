/// What a process and its node's store say to each other over the store's own unix socket.
///
/// The socket keeps messages whole (SOCK_SEQPACKET). A process has several connections: the first
/// lives as long as the process and carries what needs no answer; each further one carries one
/// request at a time, so that a request that waits holds up no other.
#pragma once

#include <cstdint>
#include <string>

#include "net/ids.hpp"
#include "net/store_state.hpp"

namespace troupe::net {

inline constexpr std::size_t max_store_message = 4096;
inline constexpr std::size_t max_made_by = 512;

struct store_request {
  enum class kind : std::uint8_t {
    hello,   ///< answered with the region's descriptor and size
    join,    ///< a further connection of a process that said hello; no answer
    create,  ///< answered
    pin,     ///< answered
    cancel,  ///< of the request on this connection that is not answered yet; that is answered
    seal,
    abort,
    unpin,
  };
  kind what{};
  process_id process = 0;
  stored_id id;
  peer home;  ///< of a value of another node
  std::uint64_t size = 0;
  store_label label;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(what, process, id, home, size, label);
  }
};

struct store_reply {
  store_refusal refused{};
  std::string text;
  stored_id id;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(refused, text, id, offset, size);
  }
};

}  // namespace troupe::net
