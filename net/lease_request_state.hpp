/// Decides what becomes of a process's requests for leases: whom to ask, and whom to ask next.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "net/bounded_set.hpp"
#include "net/ids.hpp"
#include "net/messages.hpp"

namespace troupe::net {

/// Pure; thread-compatible. Requests begin at this process's own node and go where nodes send them.
/// `Client` stands for who wants the lease; it is handed back as it was given.
template <class Client>
class lease_request_state {
 public:
  /// Numbers the request and remembers it; it is to be sent to `first`.
  const request_lease& ask(request_lease what, Client who, process_id first) {
    const std::uint64_t number = what.request = ++last_;
    open& added = open_[number];
    added = {std::move(what), std::move(who), first};
    return added.what;
  }
  /// Nobody wants it any more. The node to tell, if the request is open.
  std::optional<process_id> withdraw(std::uint64_t request) {
    const auto found = open_.find(request);
    if (found == open_.end()) return std::nullopt;
    const process_id at = found->second.at;
    open_.erase(found);
    return at;
  }
  /// It was granted or refused for good. Who wanted it; nobody when it was withdrawn: then what was
  /// granted goes back.
  std::optional<Client> answered(std::uint64_t request) {
    const auto found = open_.find(request);
    if (found == open_.end()) return std::nullopt;
    Client who = std::move(found->second.who);
    open_.erase(found);
    return who;
  }
  struct errand {
    process_id to = 0;
    request_lease what;
  };
  /// A node sends the request on. What to ask of whom; nothing when it no longer lies with `from`.
  /// Who sends it to a node that is gone has not heard of that: it begins again. `located`: `to`
  /// has the bundle of a placement group that is asked for.
  std::optional<errand> redirected(process_id from, std::uint64_t request, process_id to,
                                   process_id own_node, process_id head = 0, bool located = false) {
    const auto found = open_.find(request);
    if (found == open_.end() || found->second.at != from) return std::nullopt;
    open& one = found->second;
    if (is_gone(to)) {
      begin_again(one, own_node, head);
    } else {
      ++one.what.redirections;
      one.what.located = located;
      one.at = to;
    }
    return errand{one.at, one.what};
  }

  /// What was granted cannot be used: its worker is known to be dead. What to ask of `own_node`
  /// again; nothing when it was withdrawn.
  std::optional<request_lease> granted_in_vain(std::uint64_t request, process_id own_node,
                                               process_id head = 0) {
    const auto found = open_.find(request);
    if (found == open_.end()) return std::nullopt;
    return begin_again(found->second, own_node, head);
  }

  /// Whether it was sent there last: who had it before has nothing to say any more.
  bool lies_with(process_id node, std::uint64_t request) const {
    const auto found = open_.find(request);
    return found != open_.end() && found->second.at == node;
  }
  /// The node that it was sent on to is ending, and refused it. What to ask of `own_node` again;
  /// nothing when no other node will do, and when it no longer lies with `from`.
  std::optional<request_lease> turned_away(process_id from, std::uint64_t request,
                                           process_id own_node) {
    const auto found = open_.find(request);
    if (found == open_.end() || found->second.at != from || from == own_node) return std::nullopt;
    const request_lease& what = found->second.what;
    const bool anywhere = what.soft || what.placement == placement_kind::hybrid ||
                          what.placement == placement_kind::spread;
    if (what.group || !anywhere) return std::nullopt;
    return begin_again(found->second, own_node, 0);
  }

  struct after_loss {
    std::vector<request_lease> again;     ///< to be asked of the own node anew
    std::vector<std::uint64_t> hopeless;  ///< refuse them
  };
  /// Without its own node the process is cut off: others do not listen to it either. The head alone
  /// may be back.
  after_loss process_gone(process_id gone, process_id own_node, process_id head = 0) {
    after_loss result;
    if (gone != head) gone_.insert(gone);
    for (auto& [number, one] : open_) {
      if (gone == own_node) {
        result.hopeless.push_back(number);
        continue;
      }
      if (one.at != gone) continue;
      result.again.push_back(begin_again(one, own_node, head));
    }
    return result;
  }

  /// News of a death may be faster than what others say of the dead: that it has a lease or a
  /// worker to give.
  bool is_gone(process_id who) const { return gone_.contains(who); }
  bool is_open(std::uint64_t request) const { return open_.contains(request); }
  std::size_t size() const noexcept { return open_.size(); }

 private:
  struct open {
    request_lease what;
    Client who{};
    process_id at = 0;
  };
  /// Of a placement group the head is asked first.
  static const request_lease& begin_again(open& one, process_id own_node, process_id head) {
    one.at = one.what.group ? head : own_node;
    one.what.redirections = 0;
    one.what.located = false;
    return one.what;
  }
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, open> open_;
  bounded_set<process_id> gone_;
};

}  // namespace troupe::net
