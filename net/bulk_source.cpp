#include "net/bulk_source.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "core/descriptor.hpp"
#include "core/fault.hpp"
#include "net/bulk_socket.hpp"
#include "net/knocking.hpp"

namespace troupe::net {
namespace {

using clock = std::chrono::steady_clock;

constexpr std::chrono::seconds hello_within{3};
constexpr std::chrono::seconds connect_within{10};
constexpr std::size_t most_strangers = 32;
constexpr std::size_t most_channels = 256;
constexpr std::size_t most_queued = 256;
/// A reader that takes nothing for so long is given up: it asks again by the link.
constexpr int send_within_ms = 10'000;

core::descriptor make_wake() { return core::descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
void wake(const core::descriptor& fd) {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t ignored = ::write(fd.get(), &one, sizeof one);
}
void sleep_well(const core::descriptor& fd) {
  std::uint64_t ignored = 0;
  [[maybe_unused]] const ssize_t got = ::read(fd.get(), &ignored, sizeof ignored);
}

}  // namespace

class bulk_source::implementation {
 public:
  implementation(const std::string& host, std::uint16_t port)
      : listener_(listen_for_bulk(host, port)),
        port_(port_of_socket(listener_.get())),
        wake_(make_wake()),
        door_([this](const std::stop_token& stop) { keep_door(stop); }) {}

  ~implementation() {
    door_.request_stop();
    wake(wake_);
    door_.join();
    const std::lock_guard guard(mutex_);
    for (auto& [reader, of] : channels_) of->stop();
    channels_.clear();
    ended_.clear();
  }

  std::uint16_t port() const noexcept { return port_; }
  std::uint64_t strangers_refused() const noexcept { return refused_; }

  std::optional<offer> offer_to(process_id reader) {
    offer made;
    made.key = draw_bulk_key();
    const bulk_key number = draw_bulk_key();
    std::memcpy(&made.channel, number.data(), sizeof made.channel);
    const std::lock_guard guard(mutex_);
    retire(reader);
    const auto now = clock::now();
    std::erase_if(offers_, [&](const auto& entry) {
      return entry.second.reader == reader || now >= entry.second.until;
    });
    if (channels_.size() + offers_.size() >= most_channels) return std::nullopt;
    offers_[made.channel] = {reader, made.key, now + connect_within};
    return made;
  }

  bool send(process_id reader, const bulk_frame& chunk, std::span<const std::byte> bytes,
            std::shared_ptr<const void> keeper) {
    const std::lock_guard guard(mutex_);
    const auto at = channels_.find(reader);
    return at != channels_.end() && at->second->number == chunk.channel &&
           at->second->add({chunk, bytes, std::move(keeper)});
  }

  void close(process_id reader) {
    const std::lock_guard guard(mutex_);
    retire(reader);
    std::erase_if(offers_, [reader](const auto& entry) { return entry.second.reader == reader; });
  }

 private:
  struct open_offer {
    process_id reader = 0;
    bulk_key key{};
    clock::time_point until;
  };
  struct stranger {
    core::descriptor fd;
    std::string address;
    clock::time_point until;
    std::array<std::byte, bulk_hello_bytes> said{};
    std::size_t have = 0;
  };
  struct item {
    bulk_frame frame;
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> keeper;
  };

  /// A connection that stands, and its thread.
  struct channel {
    channel(std::uint64_t its_number, const bulk_key& key, core::descriptor fd)
        : number(its_number),
          socket(std::move(fd)),
          wake_fd(make_wake()),
          cipher(key, bulk_cipher::direction::to_reader, bulk_cipher::use::seal),
          thread([this](const std::stop_token& until) { run(until); }) {}
    ~channel() { stop(); }
    channel(const channel&) = delete;
    channel& operator=(const channel&) = delete;

    void stop() {
      thread.request_stop();
      socket.end();
      wake(wake_fd);
    }

    bool add(item what) {
      const std::lock_guard guard(mutex);
      if (done || queue.size() >= most_queued) return false;
      queue.push_back(std::move(what));
      if (queue.size() == 1) wake(wake_fd);
      return true;
    }

    void run(const std::stop_token& until) noexcept {
      ::pthread_setname_np(::pthread_self(), "troupe.source");
      try {
        if (send_frame({.what = bulk_frame::kind::welcome, .channel = number}, {})) {
          while (!until.stop_requested() && send_next()) {
          }
        }
      } catch (const std::exception& e) {
        log::warn("a data connection ends: ", e.what());
      }
      socket.end();
      std::deque<item> left;  // what they keep ends outside of the lock
      const std::lock_guard guard(mutex);
      done = true;
      left.swap(queue);
    }

    /// False at the end.
    bool send_next() {
      item next;
      {
        const std::lock_guard guard(mutex);
        if (!queue.empty()) {
          next = std::move(queue.front());
          queue.pop_front();
        }
      }
      if (next.keeper != nullptr) return send_frame(next.frame, next.bytes);
      std::array<pollfd, 2> waiting{
          {{socket.fd(), POLLIN | POLLRDHUP, 0}, {wake_fd.get(), POLLIN, 0}}};
      if (::poll(waiting.data(), waiting.size(), -1) < 0) return errno == EINTR;
      sleep_well(wake_fd);
      return waiting[0].revents == 0;  // a reader says no more than its hello
    }

    bool send_frame(const bulk_frame& frame, std::span<const std::byte> bytes) {
      if (frame.what == bulk_frame::kind::chunk && TROUPE_FAULT("bulk.cut")) return false;
      const bulk_header header = write_bulk_header(frame);
      cipher.begin(header);
      std::size_t filled = header.size();
      std::memcpy(buffer.data(), header.data(), header.size());
      while (!bytes.empty()) {
        const auto piece = bytes.first(std::min(bytes.size(), bulk_piece_bytes));
        bytes = bytes.subspan(piece.size());
        cipher.pass(piece, buffer.data() + filled);
        if (TROUPE_FAULT("bulk.wrong_bit")) buffer[filled] ^= std::byte{4};
        filled += piece.size();
        if (bytes.empty()) break;
        if (!socket.send({buffer.data(), filled})) return false;
        filled = 0;
      }
      const bulk_tag tag = cipher.seal();
      std::memcpy(buffer.data() + filled, tag.data(), tag.size());
      return socket.send({buffer.data(), filled + tag.size()});
    }

    const std::uint64_t number;
    bulk_socket socket;
    core::descriptor wake_fd;
    bulk_cipher cipher;
    std::vector<std::byte> buffer{bulk_header_bytes + bulk_piece_bytes + bulk_tag_bytes};
    std::mutex mutex;
    std::deque<item> queue;  // guarded by mutex, as `done`
    bool done = false;
    std::jthread thread;  // last: it uses the others
  };

  /// Under the lock. Its thread may have a chunk to give up, and is waited for later.
  void retire(process_id reader) {
    const auto has_ended = [](channel& one) {
      const std::lock_guard guard(one.mutex);
      return one.done;
    };
    std::erase_if(ended_, [&](const auto& one) { return has_ended(*one); });
    std::erase_if(channels_, [&](const auto& entry) { return has_ended(*entry.second); });
    const auto at = channels_.find(reader);
    if (at == channels_.end()) return;
    at->second->stop();
    ended_.push_back(std::move(at->second));
    channels_.erase(at);
  }

  // -- the door's thread --------------------------------------------------------------------------

  void keep_door(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      std::vector<pollfd> waiting{{listener_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
      for (const stranger& one : strangers_) waiting.push_back({one.fd.get(), POLLIN, 0});
      ::poll(waiting.data(), waiting.size(), time_to_first_end());
      std::size_t i = 2;
      for (auto at = strangers_.begin(); at != strangers_.end(); ++i) {
        const auto next = std::next(at);
        try {
          if (waiting[i].revents != 0) {
            listen_to(at);
          } else if (clock::now() >= at->until) {
            refuse(at, "it has said nothing that counts for " +
                           std::to_string(hello_within.count()) + " s");
          }
        } catch (const std::exception& e) {
          refuse(at, e.what());
        }
        at = next;
      }
      if (waiting[0].revents != 0) accept();
    }
  }

  int time_to_first_end() const {
    if (strangers_.empty()) return -1;
    const auto left = strangers_.front().until - clock::now();
    return static_cast<int>(
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(left).count()));
  }

  void accept() {
    core::descriptor fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      // Without descriptors a pause, or this thread would turn in a circle.
      if (errno == EMFILE || errno == ENFILE) ::usleep(100'000);
      return;
    }
    if (strangers_.size() >= most_strangers) refuse(strangers_.begin(), "others came after it");
    stranger& one = strangers_.emplace_back();
    one.address = remote_of(fd.get());
    one.fd = std::move(fd);
    one.until = clock::now() + hello_within;
  }

  void listen_to(std::list<stranger>::iterator who) {
    const ssize_t got = ::recv(who->fd.get(), who->said.data() + who->have,
                               who->said.size() - who->have, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return refuse(who, "it left without a word that counts");
    who->have += static_cast<std::size_t>(got);
    if (who->have == who->said.size()) admit(who);
  }

  void admit(std::list<stranger>::iterator who) {
    const std::span<const std::byte, bulk_hello_bytes> said(who->said);
    const auto frame = read_bulk_header(said.first<bulk_header_bytes>());
    if (!frame || frame->what != bulk_frame::kind::hello) return refuse(who, "that is no hello");
    const std::lock_guard guard(mutex_);
    const auto offered = offers_.find(frame->channel);
    if (offered == offers_.end() || clock::now() >= offered->second.until) {
      return refuse(who, "nobody of the cluster is expected by that number");
    }
    bulk_cipher cipher(offered->second.key, bulk_cipher::direction::to_source,
                       bulk_cipher::use::open);
    bulk_tag tag;
    std::memcpy(tag.data(), said.data() + bulk_header_bytes, tag.size());
    cipher.begin(said.first<bulk_header_bytes>());
    if (!cipher.open(tag)) return refuse(who, "it does not have the key");
    const open_offer of = offered->second;
    offers_.erase(offered);
    retire(of.reader);
    const int fd = who->fd.get();
    const int flags = ::fcntl(fd, F_GETFL);
    ::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    set_bulk_options(fd);
    limit_sending(fd, send_within_ms);
    channels_[of.reader] = std::make_unique<channel>(frame->channel, of.key, std::move(who->fd));
    strangers_.erase(who);
  }

  void refuse(std::list<stranger>::iterator who, const std::string& why) {
    ++refused_;
    if (const auto others = knocking_.came(who->address, clock::now())) {
      log::warn(
          "refused a data connection to port ", port_, " from ",
          who->address.empty() ? std::string("somebody") : who->address, ": ", why,
          *others == 0 ? std::string() : " (and " + std::to_string(*others) + " times before)");
    }
    strangers_.erase(who);
  }

  core::descriptor listener_;
  const std::uint16_t port_;
  core::descriptor wake_;
  std::atomic<std::uint64_t> refused_{0};

  std::mutex mutex_;
  std::map<std::uint64_t, open_offer> offers_;               // guarded by mutex_, as those below
  std::map<process_id, std::unique_ptr<channel>> channels_;  ///< by reader
  std::list<std::unique_ptr<channel>> ended_;                ///< their threads may still run

  // Of the door's thread.
  std::list<stranger> strangers_;  ///< oldest first
  knocking knocking_;
  std::jthread door_;  // last: it uses the others
};

bulk_source::bulk_source(const std::string& host, std::uint16_t port)
    : impl_(std::make_unique<implementation>(host, port)) {}
bulk_source::~bulk_source() = default;
std::uint16_t bulk_source::port() const noexcept { return impl_->port(); }
std::optional<bulk_source::offer> bulk_source::offer_to(process_id reader) {
  return impl_->offer_to(reader);
}
bool bulk_source::send(process_id reader, const bulk_frame& chunk, std::span<const std::byte> bytes,
                       std::shared_ptr<const void> keeper) {
  return impl_->send(reader, chunk, bytes, std::move(keeper));
}
void bulk_source::close(process_id reader) { impl_->close(reader); }
std::uint64_t bulk_source::strangers_refused() const noexcept { return impl_->strangers_refused(); }

}  // namespace troupe::net
