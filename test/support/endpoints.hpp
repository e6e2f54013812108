/// What tests of endpoints share: one that keeps what it receives, and messages with numbers in
/// them.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "net/endpoint.hpp"
#include "test/support/runtime.hpp"
#include "test/support/temp_folder.hpp"

namespace troupe::test {

inline std::vector<std::byte> bytes_of(const std::string& text) {
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

inline net::message numbered(std::uint64_t number, std::size_t size = 8) {
  net::message m{.kind = 1, .body = std::vector<std::byte>(size), .attachments = {}};
  std::memcpy(m.body.data(), &number, sizeof number);
  return m;
}

inline std::uint64_t number_of(const net::message& m) {
  std::uint64_t number = 0;
  if (m.body.size() >= sizeof number) std::memcpy(&number, m.body.data(), sizeof number);
  return number;
}

inline std::uint16_t port_of(const net::peer& p) {
  return static_cast<std::uint16_t>(std::stoi(p.remote.substr(p.remote.rfind(':') + 1)));
}

/// Keeps what it is told; waits have deadlines.
class recorder : public net::endpoint_handler {
 public:
  void received(net::process_id from, net::message&& what) override {
    if (on_received) on_received(from, what);
    const std::lock_guard guard(mutex_);
    messages_[from].push_back(std::move(what));
    changed_.notify_all();
  }
  void unreachable(net::process_id peer, const std::string& why) override {
    const std::lock_guard guard(mutex_);
    unreachable_[peer].push_back(why);
    changed_.notify_all();
  }

  void ended(net::process_id peer) override {
    const std::lock_guard guard(mutex_);
    if (std::ranges::find(ended_, peer) == ended_.end()) ended_.push_back(peer);
    changed_.notify_all();
  }

  /// Those that are known to have ended, when there are so many.
  std::vector<net::process_id> wait_ended(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return ended_.size() >= count; });
    return ended_;
  }
  void renewed(const net::peer& now) override {
    const std::lock_guard guard(mutex_);
    renewed_.push_back(now);
    changed_.notify_all();
  }

  /// The lives of the peer that were told of, when there are so many.
  std::vector<std::uint32_t> wait_renewed(net::process_id peer, std::size_t count) {
    std::unique_lock lock(mutex_);
    std::vector<std::uint32_t> epochs;
    changed_.wait_for(lock, patience, [&] {
      epochs.clear();
      for (const net::peer& one : renewed_) {
        if (one.id == peer) epochs.push_back(one.epoch);
      }
      return epochs.size() >= count;
    });
    return epochs;
  }
  bool wait(net::process_id from, std::size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return messages_[from].size() >= count; });
  }
  /// Why the peer is unreachable; empty when it was not said.
  std::string wait_unreachable(net::process_id peer) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] { return !unreachable_[peer].empty(); });
    return unreachable_[peer].empty() ? std::string() : unreachable_[peer].front();
  }
  std::size_t times_unreachable(net::process_id peer) {
    const std::lock_guard guard(mutex_);
    return unreachable_[peer].size();
  }
  std::size_t count(net::process_id from) {
    const std::lock_guard guard(mutex_);
    return messages_[from].size();
  }
  std::vector<net::message> taken(net::process_id from) {
    const std::lock_guard guard(mutex_);
    return std::exchange(messages_[from], {});
  }
  /// Whether the numbers are 0, 1, 2, ... without a gap or a double.
  bool in_order(net::process_id from, std::size_t count) {
    const std::lock_guard guard(mutex_);
    const auto& all = messages_[from];
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (number_of(all[i]) != i) return false;
    }
    return all.size() == count;
  }

  /// Runs on the endpoint's thread, first. Set before the endpoint starts.
  std::function<void(net::process_id, const net::message&)> on_received;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<net::process_id, std::vector<net::message>> messages_;
  std::map<net::process_id, std::vector<std::string>> unreachable_;
  std::vector<net::process_id> ended_;
  std::vector<net::peer> renewed_;
};

/// An endpoint with a recorder, in a session directory that others can share.
class test_process {
 public:
  explicit test_process(const temp_folder& session, net::endpoint_options options = {})
      : endpoint(in(session, std::move(options)), heard) {}

  recorder heard;
  net::endpoint endpoint;
  net::process_id id() const { return endpoint.id(); }
  /// Waits until the endpoint has done what it was asked before.
  void in_turn() {
    std::promise<void> done;
    endpoint.post([&] { done.set_value(); });
    done.get_future().wait();
  }

 private:
  static net::endpoint_options in(const temp_folder& session, net::endpoint_options options) {
    if (options.session_dir.empty()) options.session_dir = session.path().string();
    return options;
  }
};

/// One that listens at a free port of the loopback interface.
inline net::endpoint_options by_tcp(const std::string& key) {
  net::endpoint_options options;
  options.listen_address = "127.0.0.1:0";
  options.cluster_key = key;
  return options;
}

/// The process as one on another machine would see it.
inline net::peer seen_from_elsewhere(net::peer p) {
  p.host = "elsewhere";
  return p;
}

}  // namespace troupe::test
