#include "net/bulk_sink.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <exception>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/error.hpp>

#include "core/fault.hpp"
#include "net/bulk_frame.hpp"
#include "net/bulk_socket.hpp"

namespace troupe::net {
namespace {

/// To connect, and to hear the welcome.
constexpr int open_within_ms = 5'000;

}  // namespace

class bulk_sink::implementation {
 public:
  explicit implementation(events tell) : tell_(std::move(tell)) {}

  ~implementation() {
    std::list<std::unique_ptr<connection>> all;
    {
      const std::lock_guard guard(mutex_);
      for (auto& [number, of] : connections_) all.push_back(std::move(of));
      connections_.clear();
      all.splice(all.end(), ended_);
    }
    for (const auto& one : all) {
      one->closed = true;
      one->socket.end();
    }
  }

  void connect(std::uint64_t channel, const host_and_port& address, const bulk_key& key) {
    const std::lock_guard guard(mutex_);
    std::erase_if(ended_, [](const auto& one) { return one->done.load(); });
    auto& of = connections_[channel];
    if (of != nullptr) return;
    of = std::make_unique<connection>();
    connection& made = *of;
    made.thread = std::jthread([this, &made, channel, address, key] {
      ::pthread_setname_np(::pthread_self(), "troupe.reader");
      std::string why;
      try {
        why = run(made, channel, address, key);
      } catch (const std::exception& e) {
        why = e.what();
      }
      made.socket.end();
      if (!made.closed) tell_.lost(channel, why);
      made.done = true;
    });
  }

  void close(std::uint64_t channel) {
    const std::lock_guard guard(mutex_);
    const auto at = connections_.find(channel);
    if (at == connections_.end()) return;
    for (const auto& [request, where] : at->second->landings) where->leave();
    at->second->closed = true;
    at->second->landings.clear();
    at->second->socket.end();
    std::erase_if(ended_, [](const auto& one) { return one->done.load(); });
    ended_.push_back(std::move(at->second));
    connections_.erase(at);
  }

  void expect(std::uint64_t channel, const chunk& what) {
    const std::lock_guard guard(mutex_);
    const auto at = connections_.find(channel);
    if (at == connections_.end()) return;
    at->second->landings[what.request] = std::make_shared<landing>(what);
  }

  /// What `chosen` says of each landing.
  template <class Chosen>
  void revoke_if(Chosen&& chosen) {
    const std::lock_guard guard(mutex_);
    const auto revoke_of = [&](connection& of) {
      std::erase_if(of.landings, [&](const auto& entry) {
        if (!chosen(entry.second->what)) return false;
        entry.second->leave();
        return true;
      });
    };
    for (auto& [number, of] : connections_) revoke_of(*of);
    for (const auto& of : ended_) revoke_of(*of);
  }

  std::uint64_t carried(std::uint64_t channel) const {
    const std::lock_guard guard(mutex_);
    const auto at = connections_.find(channel);
    return at == connections_.end() ? 0 : at->second->carried.load();
  }
  std::uint64_t bytes() const noexcept { return bytes_; }
  std::uint64_t refused() const noexcept { return refused_; }

 private:
  /// Where a chunk shall be written, as long as it is wanted.
  struct landing {
    explicit landing(const chunk& of) : what(of) {}
    const chunk what;
    std::mutex mutex;  ///< held while a piece is written
    bool wanted = true;

    void leave() {
      const std::lock_guard guard(mutex);
      wanted = false;
    }
  };
  struct connection {
    bulk_socket socket;
    std::map<std::uint64_t, std::shared_ptr<landing>> landings;  ///< by request; guarded by mutex_
    std::atomic<std::uint64_t> carried{0};
    std::atomic<bool> closed{false};
    std::atomic<bool> done{false};
    std::jthread thread;  // last: it uses the others
  };

  /// Says why it ended.
  std::string run(connection& of, std::uint64_t channel, const host_and_port& address,
                  const bulk_key& key) {
    if (TROUPE_FAULT("bulk.unreachable")) return "a fault was asked for";
    if (std::string why = connect_bulk(of.socket, address, open_within_ms); !why.empty()) {
      return why;
    }
    bulk_cipher sealing(key, bulk_cipher::direction::to_source, bulk_cipher::use::seal);
    const bulk_header hello =
        write_bulk_header({.what = bulk_frame::kind::hello, .channel = channel});
    sealing.begin(hello);
    const bulk_tag tag = sealing.seal();
    std::array<std::byte, bulk_hello_bytes> said{};
    std::memcpy(said.data(), hello.data(), hello.size());
    std::memcpy(said.data() + hello.size(), tag.data(), tag.size());
    if (!of.socket.send(said)) return "it does not listen";

    bulk_cipher opening(key, bulk_cipher::direction::to_reader, bulk_cipher::use::open);
    std::vector<std::byte> buffer(bulk_piece_bytes + bulk_tag_bytes);
    bool welcome = false;
    for (;;) {
      bulk_header header;
      if (!of.socket.receive(header)) {
        return welcome ? "the other side has closed it" : "it answers nothing";
      }
      const auto frame = read_bulk_header(header);
      const auto expected = welcome ? bulk_frame::kind::chunk : bulk_frame::kind::welcome;
      if (!frame || frame->what != expected || frame->channel != channel) return refuse();
      switch (take_frame(of, *frame, header, opening, buffer)) {
        case taken::whole:
          break;
        case taken::cut:
          return "the other side has closed it";
        case taken::wrong:
          return refuse();
      }
      if (!std::exchange(welcome, true)) {
        limit_receiving(of.socket.fd(), 0);
        tell_.opened(channel);
      }
    }
  }

  std::string refuse() {
    ++refused_;
    return "what came is not what was sent";
  }

  enum class taken : std::uint8_t { whole, cut, wrong };
  /// The rest of a frame.
  taken take_frame(connection& of, const bulk_frame& frame, const bulk_header& header,
                   bulk_cipher& opening, std::vector<std::byte>& buffer) {
    opening.begin(header);
    const std::shared_ptr<landing> where = landing_of(of, frame);
    bulk_tag tag;
    for (std::uint64_t done = 0;;) {
      const auto piece =
          static_cast<std::size_t>(std::min<std::uint64_t>(frame.size - done, bulk_piece_bytes));
      const bool last = done + piece == frame.size;
      const auto came = std::span(buffer).first(piece + (last ? tag.size() : 0));
      if (!of.socket.receive(came)) return taken::cut;
      of.carried += came.size();
      decrypt(opening, came.first(piece), where.get(), done);
      done += piece;
      if (!last) continue;
      std::memcpy(tag.data(), came.data() + piece, tag.size());
      break;
    }
    if (!opening.open(tag)) return taken::wrong;
    if (where != nullptr && forget(of, frame.request)) {
      bytes_ += frame.size;
      tell_.arrived(frame.request);
    }
    return taken::whole;
  }

  void decrypt(bulk_cipher& opening, std::span<std::byte> piece, landing* where,
               std::uint64_t offset) {
    if (where != nullptr) {
      const std::lock_guard guard(where->mutex);
      if (where->wanted) {
        return opening.pass(piece, where->what.memory.data() + static_cast<std::size_t>(offset));
      }
    }
    opening.pass(piece, piece.data());
  }

  /// Nothing when the chunk is not expected (any more).
  std::shared_ptr<landing> landing_of(connection& of, const bulk_frame& frame) {
    const std::lock_guard guard(mutex_);
    const auto at = of.landings.find(frame.request);
    if (at == of.landings.end()) return nullptr;
    const chunk& what = at->second->what;
    const bool fits =
        what.id == frame.value && what.offset == frame.offset && what.memory.size() == frame.size;
    return fits ? at->second : nullptr;
  }

  /// False when it was not wanted any more.
  bool forget(connection& of, std::uint64_t request) {
    const std::lock_guard guard(mutex_);
    return of.landings.erase(request) != 0;
  }

  const events tell_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> refused_{0};
  mutable std::mutex mutex_;
  std::map<std::uint64_t, std::unique_ptr<connection>> connections_;  // guarded by mutex_
  std::list<std::unique_ptr<connection>> ended_;  ///< their threads may still run; guarded, too
};

bulk_sink::bulk_sink(events tell) : impl_(std::make_unique<implementation>(std::move(tell))) {}
bulk_sink::~bulk_sink() = default;
void bulk_sink::connect(std::uint64_t channel, const host_and_port& address, const bulk_key& key) {
  impl_->connect(channel, address, key);
}
void bulk_sink::close(std::uint64_t channel) { impl_->close(channel); }
void bulk_sink::expect(std::uint64_t channel, const chunk& what) { impl_->expect(channel, what); }
void bulk_sink::revoke(stored_id id) {
  impl_->revoke_if([id](const chunk& what) { return what.id == id; });
}
void bulk_sink::revoke(stored_id id, std::uint64_t offset) {
  impl_->revoke_if([=](const chunk& what) { return what.id == id && what.offset == offset; });
}
std::uint64_t bulk_sink::carried(std::uint64_t channel) const { return impl_->carried(channel); }
std::uint64_t bulk_sink::bytes() const noexcept { return impl_->bytes(); }
std::uint64_t bulk_sink::refused() const noexcept { return impl_->refused(); }

}  // namespace troupe::net
