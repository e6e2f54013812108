/// The data connections of a simulated node's store, as `net/bulk_source` and `net/bulk_sink` make
/// them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "net/bulk_state.hpp"
#include "test/sim/network.hpp"

namespace troupe::sim {

class simulation;

/// Both ends of one node's connections: it sends by those that others have made to it, and reads
/// what comes by its own. Chunks are marks, a word for each unit of the store's memory.
class data_connections {
 public:
  using memory = std::vector<std::uint64_t>;
  using chunk = net::bulk_state::chunk;
  /// Called in the node, later than what causes them.
  struct events {
    std::function<void(std::uint64_t channel)> opened;
    std::function<void(std::uint64_t channel, const std::string& why)> lost;
    std::function<void(std::uint64_t request)> arrived;
  };
  data_connections(simulation& sim, endpoint& net, memory& of, events tell);
  ~data_connections();
  data_connections(const data_connections&) = delete;
  data_connections& operator=(const data_connections&) = delete;

  // -- as the source
  /// Nothing where the node has no port for data.
  std::optional<std::uint64_t> offer_to(process_id reader);
  /// Takes the marks at `at` some time later, and calls `taken` then; false: not by this way.
  bool send(process_id reader, const net::pull_chunk& what, std::uint64_t at,
            std::function<void()> taken);
  void close_to(process_id reader);

  // -- as the reader
  void connect(process_id source, std::uint64_t channel);
  void close(std::uint64_t channel);
  /// The chunk shall be written at `at`.
  void expect(std::uint64_t channel, std::uint64_t request, const chunk& what, std::uint64_t at);
  void revoke(net::stored_id id);
  void revoke(net::stored_id id, std::uint64_t offset);
  std::uint64_t carried(std::uint64_t channel) const;

 private:
  struct frame {
    std::uint64_t request = 0;
    chunk what;
    memory marks;
  };
  struct landing {
    chunk what;
    std::uint64_t at = 0;
  };
  struct connection {
    std::shared_ptr<data_wire> wire;            ///< none: it is being made
    std::map<std::uint64_t, landing> landings;  ///< by request
  };
  struct offer {
    process_id reader = 0;
    time until{};
  };
  struct channel {
    std::shared_ptr<data_wire> wire;
    time departs{};  ///< what was queued last
  };

  void later(duration wait, std::function<void()> f);
  duration delay_to(process_id other);
  void forget(process_id reader, std::uint64_t channel);
  void reach_source(process_id source, std::uint64_t channel);
  std::shared_ptr<data_wire> admit(process_id reader, std::uint64_t channel);
  void transmit(const std::shared_ptr<data_wire>& by, frame what);
  void begin(std::uint64_t channel, const frame& what);
  void finish(std::uint64_t channel, const frame& what);
  landing* find_landing(std::uint64_t channel, const frame& what);
  void write(const landing& into, const frame& what, std::size_t from, std::size_t to);
  void lose(std::uint64_t channel, const std::string& why);
  template <class Chosen>
  void revoke_if(Chosen&& chosen);

  simulation& sim_;
  endpoint& net_;
  memory& memory_;
  const events tell_;
  const bool has_port_;
  std::map<std::uint64_t, offer> offers_;            ///< by channel
  std::map<process_id, channel> channels_;           ///< by reader
  std::map<std::uint64_t, connection> connections_;  ///< to sources, by channel
};

}  // namespace troupe::sim
