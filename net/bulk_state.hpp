/// Decides for a node that reads values of others which chunks come by a data connection, and which
/// by the link.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "net/bulk_cipher.hpp"
#include "net/ids.hpp"
#include "net/store_state.hpp"

namespace troupe::net {

struct bulk_settings {
  std::chrono::milliseconds open_within{10'000};  ///< from the question to the welcome
  /// A connection that owes chunks and carries nothing for so long is given up.
  std::chrono::milliseconds stalled_after{15'000};
  std::chrono::milliseconds idle_after{60'000};  ///< then it is closed
  std::chrono::milliseconds first_rest{1'000};   ///< after trouble; twice as long each time
  std::chrono::milliseconds longest_rest{60'000};
  std::size_t most_channels = 128;
};

/// What the shell shall do.
struct ask_channel {
  process_id source = 0;
};
struct connect_channel {
  process_id source = 0;
  std::uint64_t channel = 0;
  std::uint16_t port = 0;
  bulk_key key{};
};
struct close_channel {
  std::uint64_t channel = 0;
};
/// It was asked for by a data connection and will not come by it.
struct chunk_undelivered {
  process_id source = 0;
  stored_id id;
  std::uint64_t offset = 0;
};
/// To be told to whoever runs the node: once, until a connection to that source stands again.
struct channel_trouble {
  process_id source = 0;
  std::string why;
};
/// Whether a connection to the source stands from now on.
struct channel_stands {
  process_id source = 0;
  bool stands = false;
};
using bulk_effect = std::variant<ask_channel, connect_channel, close_channel, chunk_undelivered,
                                 channel_trouble, channel_stands>;

/// Pure; thread-compatible. One data connection to each source, made when something large is to
/// come from there, closed when it is idle. While there is none, and for a while after trouble,
/// chunks come by the link, so nothing waits for a connection that cannot be made.
class bulk_state {
 public:
  using time = std::chrono::steady_clock::time_point;

  explicit bulk_state(bulk_settings settings = {}) : settings_(settings) {}

  std::vector<bulk_effect> take_effects() { return std::exchange(effects_, {}); }

  /// Much will be read from there.
  void wanted(time now, process_id source);
  /// The source has a place for a connection, or has none.
  void offered(time now, process_id source, std::uint64_t channel, std::uint16_t port,
               const bulk_key& key);
  void refused(time now, process_id source, const std::string& why);
  /// The connection stands.
  void opened(time now, std::uint64_t channel);
  /// It has ended, or was not made.
  void lost(time now, std::uint64_t channel, const std::string& why);

  struct way {
    std::uint64_t channel = 0;  ///< 0: the link
    std::uint64_t request = 0;
  };
  /// How a chunk shall be asked for. One of the same place that was asked for before is forgotten.
  way asked(time now, process_id source, stored_id id, std::uint64_t offset, std::uint64_t size);
  struct chunk {
    process_id source = 0;
    stored_id id;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
  };
  /// A request's chunk is there. Nothing when it is not wanted any more.
  std::optional<chunk> arrived(time now, std::uint64_t request);
  /// Nothing of the value is wanted any more; or not that chunk, which came by the link.
  void forget(stored_id id);
  void forget(stored_id id, std::uint64_t offset);
  void process_gone(process_id source);

  /// Bytes that an open connection has carried; before each `tick`.
  void carried(time now, std::uint64_t channel, std::uint64_t bytes);
  /// To be called every 100 ms or so while `wants_ticks`.
  void tick(time now);
  bool wants_ticks() const noexcept { return !sources_.empty(); }
  /// Connections that stand.
  std::vector<std::uint64_t> open_channels() const;

 private:
  enum class phase : std::uint8_t { asking, connecting, open, resting };
  struct source_state {
    phase at = phase::asking;
    std::uint64_t channel = 0;
    time until{};  ///< of asking, connecting, resting
    time used{};   ///< open: when it last carried something or was asked to
    std::uint64_t bytes = 0;
    std::uint32_t troubles = 0;  ///< since a chunk came
    bool told = false;
  };
  std::map<process_id, source_state>::iterator find_channel(std::uint64_t channel);
  void rest(time now, process_id source, source_state& of, const std::string& why);
  void fail_requests(process_id source);
  void erase_request(std::map<std::uint64_t, chunk>::iterator at);

  const bulk_settings settings_;
  std::map<process_id, source_state> sources_;
  std::map<std::uint64_t, chunk> requests_;
  std::map<std::pair<stored_id, std::uint64_t>, std::uint64_t> by_place_;
  std::uint64_t last_request_ = 0;
  std::vector<bulk_effect> effects_;
};

}  // namespace troupe::net
