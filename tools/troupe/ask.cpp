#include "tools/troupe/ask.hpp"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <troupe/error.hpp>

#include "net/endpoint.hpp"
#include "net/session_files.hpp"

namespace troupe::tools {
namespace {

std::string find_key(const given_options& given, const std::optional<net::node_file>& local,
                     const std::string& base) {
  if (given.has("key-file")) return net::read_cluster_key(given.get("key-file"));
  const char* const text = std::getenv("TROUPE_CLUSTER_KEY");
  if (text != nullptr && *text != '\0') return text;
  if (local) return net::read_cluster_key(local->key_file);
  const std::string shared = base + "/cluster.key";
  std::error_code none;
  if (std::filesystem::exists(shared, none)) return net::read_cluster_key(shared);
  throw command_error(not_authorised,
                      "no cluster key: name it by --key-file or TROUPE_CLUSTER_KEY");
}

}  // namespace

class cluster_line::implementation final : public net::endpoint_handler {
 public:
  explicit implementation(const given_options& given)
      : timeout_(static_cast<std::int64_t>(
            std::min(parse_seconds(given.get("timeout", "10"), "--timeout"), 1e6) * 1000)) {
    const std::string base = net::session_base();
    const auto local = net::current_node(base);
    const char* const variable = std::getenv("TROUPE_ADDRESS");
    address_ = given.get("address", variable == nullptr ? "" : variable);
    if (address_.empty() || address_ == "auto") {
      if (!local) {
        throw command_error(not_found,
                            "no node runs on this machine; start one by `troupe start --head`, or "
                            "name the head by --address=HOST:PORT");
      }
      address_ = local->head;
    }
    net::endpoint_options options;
    options.session_dir = base;
    options.cluster_key = find_key(given, local, base);
    options.connect_timeout = timeout_;
    const bool is_near = local && local->is_head() && local->head == address_;
    // Others answer over links of their own.
    options.listen_address = "0.0.0.0:0";
    endpoint_ = std::make_unique<net::endpoint>(options, *this);
    if (is_near) {
      head_ = local->own_head;
      endpoint_->learn(head_);
    } else {
      head_ = endpoint_->resolve(address_, timeout_, net::endpoint::whom::head);
    }
  }
  ~implementation() {
    // Nothing of this command shall stay behind.
    const std::string socket = endpoint_ ? endpoint_->self().local : std::string();
    endpoint_.reset();
    if (!socket.empty()) ::unlink(socket.c_str());
  }

  const std::string& address() const { return address_; }
  const net::peer& head() const { return head_; }
  net::peer find(const std::string& address) {
    return address == address_ ? head_ : endpoint_->resolve(address, timeout_);
  }

  net::message ask(const net::peer& whom, net::message question, std::uint16_t answer) {
    endpoint_->send(whom.id, std::move(question));
    std::unique_lock guard(mutex_);
    std::optional<net::message> found;
    const bool came = changed_.wait_for(guard, timeout_, [&] {
      if (!lost_.empty()) return true;
      const auto at = std::find_if(inbox_.begin(), inbox_.end(), [&](const auto& entry) {
        return entry.first == whom.id && entry.second.kind == answer;
      });
      if (at == inbox_.end()) return false;
      found = std::move(at->second);
      inbox_.erase(at);
      return true;
    });
    if (found) return std::move(*found);
    if (came) throw connection_error(lost_);
    throw command_error(timed_out, "the node at " + (whom.remote.empty() ? address_ : whom.remote) +
                                       " does not answer");
  }

 private:
  void received(net::process_id from, net::message&& what) override {
    constexpr std::size_t most = 1'000;
    const std::lock_guard guard(mutex_);
    if (inbox_.size() >= most) return;
    inbox_.emplace_back(from, std::move(what));
    changed_.notify_all();
  }
  void unreachable(net::process_id, const std::string& why) override {
    const std::lock_guard guard(mutex_);
    lost_ = why;
    changed_.notify_all();
  }

  const std::chrono::milliseconds timeout_;
  std::string address_;
  net::peer head_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::pair<net::process_id, net::message>> inbox_;  // guarded by mutex_
  std::string lost_;                                             // guarded by mutex_
  std::unique_ptr<net::endpoint> endpoint_;
};

cluster_line::cluster_line(const given_options& given)
    : impl_(std::make_unique<implementation>(given)) {}
cluster_line::~cluster_line() = default;
const std::string& cluster_line::address() const { return impl_->address(); }
const net::peer& cluster_line::head() const { return impl_->head(); }
net::peer cluster_line::find(const std::string& address) { return impl_->find(address); }
net::message cluster_line::ask(const net::peer& whom, net::message question, std::uint16_t answer) {
  return impl_->ask(whom, std::move(question), answer);
}

}  // namespace troupe::tools
