/// A process of a cluster as its node sees one: speaks the messages, runs nothing.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "net/endpoint.hpp"
#include "net/pack.hpp"
#include "net/session_files.hpp"
#include "test/support/runtime.hpp"

namespace troupe::test {

/// Thread-safe; waits have deadlines.
class cluster_member {
 public:
  cluster_member(const std::string& session_dir, const std::string& key_file, net::peer node)
      : node_(std::move(node)), ears_(*this), endpoint_(options(session_dir, key_file), ears_) {
    endpoint_.learn(node_);
  }
  explicit cluster_member(const net::node_file& file)
      : cluster_member(file.session_dir, file.key_file, file.self) {}

  net::endpoint& endpoint() { return endpoint_; }
  const net::peer& node() const { return node_; }
  net::process_id id() const { return endpoint_.id(); }

  template <class T>
  void tell(T what) {
    endpoint_.send(node_.id, net::pack(std::move(what)));
  }
  template <class T>
  void tell(net::process_id to, T what) {
    endpoint_.send(to, net::pack(std::move(what)));
  }

  /// The first message of that kind that has come or comes and satisfies the predicate; it is taken
  /// out. Throws at the deadline.
  template <class T>
  T expect(const std::function<bool(const T&)>& accepted = [](const T&) { return true; }) {
    std::optional<T> result;
    const bool came = wait_until([&] {
      for (auto at = inbox_.begin(); at != inbox_.end(); ++at) {
        if (at->second.kind != static_cast<std::uint16_t>(T::what)) continue;
        T what = net::unpack<T>(at->second);
        if (!accepted(what)) continue;
        result = std::move(what);
        inbox_.erase(at);
        return true;
      }
      return false;
    });
    if (!came) {
      throw std::runtime_error("no message of kind " +
                               std::to_string(static_cast<unsigned>(T::what)) + " came");
    }
    return std::move(*result);
  }
  /// The oldest message, whatever it is; nothing at the deadline.
  std::optional<std::pair<net::process_id, net::message>> next() {
    std::optional<std::pair<net::process_id, net::message>> result;
    wait_until([&] {
      if (inbox_.empty()) return false;
      result = std::move(inbox_.front());
      inbox_.pop_front();
      return true;
    });
    return result;
  }
  template <class T>
  std::size_t count() {
    const std::lock_guard guard(mutex_);
    std::size_t n = 0;
    for (const auto& [from, what] : inbox_) n += what.kind == static_cast<std::uint16_t>(T::what);
    return n;
  }

  /// Whether the node cannot be reached any more, or cannot within the deadline.
  bool wait_for_loss_of_node() {
    return wait_until([&] { return node_lost_; });
  }

 private:
  static net::endpoint_options options(const std::string& session_dir,
                                       const std::string& key_file) {
    net::endpoint_options result;
    result.session_dir = session_dir;
    result.cluster_key = net::read_cluster_key(key_file);
    return result;
  }

  // Apart from what tests derive: the endpoint calls while those are still being constructed.
  struct ears final : net::endpoint_handler {
    explicit ears(cluster_member& of) : owner(of) {}
    void received(net::process_id from, net::message&& what) override {
      owner.received(from, std::move(what));
    }
    void unreachable(net::process_id peer, const std::string&) override { owner.lost(peer); }
    cluster_member& owner;
  };

  void received(net::process_id from, net::message&& what) {
    const std::lock_guard guard(mutex_);
    inbox_.emplace_back(from, std::move(what));
    changed_.notify_all();
  }
  void lost(net::process_id peer) {
    const std::lock_guard guard(mutex_);
    if (peer == node_.id) node_lost_ = true;
    changed_.notify_all();
  }
  template <class Condition>
  bool wait_until(Condition&& condition) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, patience, condition);
  }

  net::peer node_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<net::process_id, net::message>> inbox_;  // guarded by mutex_
  bool node_lost_ = false;                                      // guarded by mutex_
  ears ears_;
  net::endpoint endpoint_;
};

}  // namespace troupe::test
