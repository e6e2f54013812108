#include <algorithm>
#include <utility>

#include "test/sim/network.hpp"

namespace troupe::sim {
namespace {

// As the endpoint has them.
constexpr auto connect_timeout = 10s;
constexpr auto ack_delay = 20ms;
constexpr std::size_t most_in_a_batch = net::max_batch_messages;

enum record : std::uint64_t { frame_arrives = 1, link_up, link_lost, link_failed, link_renewed };

std::string name_of(process_id id) { return std::to_string(id % 1'000'000); }

}  // namespace

endpoint::endpoint(network& net, process_id self, std::size_t machine, receiver& handler,
                   std::uint32_t epoch)
    : net_(net),
      self_(self),
      machine_(machine),
      handler_(handler),
      epoch_(epoch),
      instance_(++net.last_instance_) {
  net_.living_[self] = this;
  net_.machines_[self] = machine;
  if (epoch != 0) net_.epochs_[self] = epoch;
}

void endpoint::close() {
  if (std::exchange(closed_, true)) return;
  net_.living_.erase(self_);
  std::vector<std::uint64_t> its;
  for (const auto& [number, one] : net_.connections_) {
    if (one.to == self_) its.push_back(number);
    // What was on its way may still arrive: the kernel has it.
    if (one.from != self_) continue;
    net_.world_.after(net_.world_.random.chance(0.5) ? 0ns : duration(200ms),
                      [net = &net_, n = number] { net->connections_.erase(n); });
  }
  for (const std::uint64_t number : its) {
    net_.break_connection(number, net_.world_.random.time(10us, 5ms));
  }
}

net::peer endpoint::self() const { return net_.peer_of(self_); }

std::size_t endpoint::queued() const {
  std::size_t count = 0;
  for (const auto& [id, one] : links_) {
    count += one->outbox.size() + one->sending.unacknowledged().size();
  }
  return count;
}

endpoint::link* endpoint::find(process_id other) {
  const auto found = links_.find(other);
  return found == links_.end() ? nullptr : found->second.get();
}

void endpoint::learn(process_id other, std::uint32_t epoch) {
  if (other == 0 || other == self_ || forgotten_.contains(other)) return;
  auto& known = links_[other];
  if (!known) {
    known = std::make_unique<link>();
    known->other = other;
    known->epoch = epoch;
  } else if (epoch > known->epoch) {
    return renew(*known, epoch);
  }
  known->ended = false;
}

/// A link to a later life of the peer, in place of this one.
void endpoint::renew(link& of, std::uint32_t epoch) {
  const process_id other = of.other;
  net_.world_.record(link_renewed, self_, other ^ epoch, [&] {
    return name_of(self_) + " finds " + name_of(other) + " in life " + std::to_string(epoch);
  });
  net_.connections_.erase(of.connection);
  auto fresh = std::make_unique<link>();
  fresh->other = other;
  fresh->epoch = epoch;
  fresh->worked = true;
  fresh->opened = of.opened;  // what was planned for the earlier one is void
  links_[other] = std::move(fresh);
  net::peer now = net_.peer_of(other);
  now.epoch = epoch;
  handler_.renewed(now);
}

bool endpoint::send(process_id to, any_message what) {
  if (to == self_) {
    net_.world_.after(1us, [net = &net_, to, life = instance_, what = std::move(what)] {
      if (endpoint* const me = net->find(to, life)) me->handler_.received(to, what);
    });
    return true;
  }
  link* const to_it = find(to);
  if (to_it == nullptr || to_it->ended) return false;
  to_it->outbox.push_back(std::move(what));
  flush_soon(*to_it);
  watch_unacknowledged();
  return true;
}

void endpoint::forget(process_id gone) {
  if (gone == self_ || !forgotten_.insert(gone)) return;
  const auto found = links_.find(gone);
  if (found == links_.end()) return;
  net_.connections_.erase(found->second->connection);
  links_.erase(found);
}

void endpoint::flush_soon(link& of) {
  if (!of.open) return open(of);
  if (std::exchange(of.flush_due, true)) return;
  net_.world_.after(0ns, [net = &net_, self = self_, life = instance_, other = of.other] {
    endpoint* const me = net->find(self, life);
    link* const it = me == nullptr ? nullptr : me->find(other);
    if (it == nullptr) return;
    it->flush_due = false;
    me->flush(*it);
  });
}

void endpoint::open(link& of) {
  of.open = true;
  ++of.opened;
  if (!of.worked) {
    net_.world_.after(connect_timeout, [net = &net_, self = self_, life = instance_,
                                        other = of.other, opened = of.opened] {
      endpoint* const me = net->find(self, life);
      link* const it = me == nullptr ? nullptr : me->find(other);
      if (it == nullptr || it->opened != opened || it->worked || it->ended) return;
      me->fail(*it, "nothing answered");
    });
  }
  connect(of.other, of.opened, net_.world_.random.time(20us, 500us), 100ms);
}

void endpoint::connect(process_id other, std::uint64_t opened, duration wait, duration next_wait) {
  net_.world_.after(wait, [net = &net_, self = self_, life = instance_, other, opened, next_wait] {
    endpoint* const me = net->find(self, life);
    link* const it = me == nullptr ? nullptr : me->find(other);
    if (it == nullptr || !it->open || it->opened != opened || it->up) return;
    const endpoint* const to = net->find(other);
    if (to == nullptr || !net->reachable(me->machine_, to->machine_)) {
      return me->connect(other, opened, net->world_.random.time(next_wait / 2, next_wait),
                         std::min<duration>(next_wait * 2, 2s));
    }
    it->connection = ++net->last_connection_;
    it->last_arrival = {};
    net->connections_[it->connection] = {self, other};
    me->came_up(*it);
  });
}

void endpoint::came_up(link& of) {
  net_.world_.record(link_up, self_, of.other,
                     [&] { return name_of(self_) + " is linked to " + name_of(of.other); });
  of.up = true;
  of.sending.link_up(net_.world_.now());
  net::batch_header hello = header(of, net::batch_flag::hello);
  hello.first = hello.base;
  transmit(of, hello, nullptr);
  send_again(of);
  flush(of);
}

/// The connection has gone, and this side has noticed.
void endpoint::lost(process_id other, std::uint64_t connection) {
  link* const of = find(other);
  if (of == nullptr || of->connection != connection || !of->up) return;
  net_.world_.record(link_lost, self_, other,
                     [&] { return name_of(self_) + " lost its link to " + name_of(other); });
  of->up = false;
  of->connection = 0;
  connect(other, of->opened, net_.world_.random.time(10ms, 100ms), 100ms);
}

net::batch_header endpoint::header(link& of, std::uint16_t flags) {
  of.acknowledged = of.receiving.expected();
  return {.version = net::protocol_version,
          .flags = flags,
          .generation = of.sending.generation(),
          .sender = self_,
          .receiver = of.other,
          .first = of.sending.next(),
          .ack = of.acknowledged,
          .base = of.sending.base(),
          .sender_epoch = static_cast<net::short_epoch>(epoch_),
          .receiver_epoch = static_cast<net::short_epoch>(of.epoch)};
}

void endpoint::flush(link& of) {
  if (!of.up || of.outbox.empty()) return;
  std::vector<any_message> all = std::exchange(of.outbox, {});
  for (std::size_t from = 0; from < all.size(); from += most_in_a_batch) {
    const std::size_t end = std::min(all.size(), from + most_in_a_batch);
    auto made = std::make_shared<batch>();
    made->messages.assign(std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(from)),
                          std::make_move_iterator(all.begin() + static_cast<std::ptrdiff_t>(end)));
    made->count = static_cast<std::uint32_t>(made->messages.size());
    made->bytes = made->count;
    net::batch_header h = header(of, 0);
    h.count = made->count;
    net_.counted.messages += made->count;
    of.sending.add(made, net_.world_.now());
    transmit(of, h, std::move(made));
  }
}

void endpoint::send_again(link& of) {
  for (const net::send_state::sent& one : of.sending.unacknowledged()) {
    net::batch_header h = header(of, 0);
    h.count = one.batch->count;
    h.first = one.first;
    net_.counted.resent += h.count;
    transmit(of, h, std::static_pointer_cast<const batch>(one.batch));
  }
}

void endpoint::control(link& of, std::uint16_t flags, std::uint32_t nack_generation) {
  if (!of.up) return;  // the next hello says it
  net::batch_header h = header(of, flags);
  h.nack_generation = nack_generation;
  transmit(of, h, nullptr);
}

void endpoint::transmit(link& of, const net::batch_header& header,
                        std::shared_ptr<const batch> what) {
  network& net = net_;
  ++net.counted.frames;
  // A hello is the first of its connection: what loses it has lost the connection.
  const bool dropped =
      !header.has(net::batch_flag::hello) && net.world_.random.chance(net.settings_.frame_loss);
  if (dropped || !net.connections_.contains(of.connection)) {
    ++net.counted.frames_lost;
    return;
  }
  of.last_arrival =
      std::max(of.last_arrival, net.world_.now() + net.delay(machine_, net.machine_of(of.other)));
  net.world_.at(of.last_arrival, [net = &net_, number = of.connection, from = self_, to = of.other,
                                  header, what = std::move(what)] {
    endpoint* const other = net->find(to);
    if (other == nullptr || !net->connections_.contains(number)) {
      ++net->counted.frames_lost;
      return;
    }
    net->world_.record(
        frame_arrives, from ^ to, header.first ^ (std::uint64_t{header.flags} << 48U), [&] {
          std::string text = name_of(from) + " -> " + name_of(to) + " #" +
                             std::to_string(header.first) + "+" + std::to_string(header.count) +
                             " ack " + std::to_string(header.ack);
          if (header.flags != 0) text += " flags " + std::to_string(header.flags);
          return text;
        });
    other->handle(from, number, header, what.get());
  });
}

void endpoint::handle(process_id from, std::uint64_t connection, const net::batch_header& header,
                      const batch* what) {
  if (forgotten_.contains(from)) {
    net_.world_.after(net_.delay(machine_, net_.machine_of(from)),
                      [net = &net_, from, self = self_, connection] {
                        endpoint* const sender = net->find(from);
                        link* const it = sender == nullptr ? nullptr : sender->find(self);
                        if (it == nullptr || it->connection != connection || it->ended) return;
                        sender->fail(*it, "it holds this process for dead");
                      });
    return;
  }
  if (header.receiver_epoch != epoch_) {
    net_.world_.after(net_.delay(machine_, net_.machine_of(from)),
                      [net = &net_, from, self = self_, connection, epoch = epoch_] {
                        endpoint* const sender = net->find(from);
                        link* const it = sender == nullptr ? nullptr : sender->find(self);
                        if (it == nullptr || it->connection != connection) return;
                        if (epoch > it->epoch) sender->renew(*it, epoch);
                      });
    return;
  }
  if (header.has(net::batch_flag::hello)) learn(from, header.sender_epoch);
  link* it = find(from);
  if (it == nullptr || header.sender_epoch < it->epoch) return;  // last words of an earlier life
  if (header.sender_epoch > it->epoch) {
    renew(*it, header.sender_epoch);
    it = find(from);
    if (closed_ || it == nullptr) return;
  }
  const time now = net_.world_.now();
  it->sending.acknowledged(header.ack, now);
  if (header.has(net::batch_flag::nack) && it->up &&
      it->sending.asked_again(header.nack_generation, now)) {
    send_again(*it);
  }
  if (it->up) it->worked = true;

  const net::receive_state::decision decision = it->receiving.batch(header);
  if (decision.ask_again) control(*it, net::batch_flag::nack, header.generation);
  if (decision.duplicate) net_.counted.duplicates += header.count;
  if (decision.accept) {
    for (std::size_t i = decision.skip; i < what->messages.size(); ++i) {
      handler_.received(from, what->messages[i]);
      // The handler may have ended this process, or forgotten that one.
      if (closed_ || find(from) != it) return;
    }
    owe(*it);
  }
  if (header.has(net::batch_flag::probe) || header.has(net::batch_flag::hello) ||
      decision.duplicate) {
    if (!it->open && !it->ended) {
      open(*it);  // its hello will say it
    } else {
      control(*it, 0);
    }
  }
}

void endpoint::owe(link& of) {
  if (std::exchange(of.ack_due, true)) return;
  net_.world_.after(ack_delay, [net = &net_, self = self_, life = instance_, other = of.other] {
    endpoint* const me = net->find(self, life);
    link* const it = me == nullptr ? nullptr : me->find(other);
    if (it == nullptr) return;
    it->ack_due = false;
    if (it->ended || it->receiving.expected() == it->acknowledged) return;
    if (it->open) {
      me->control(*it, 0);
    } else {
      me->open(*it);
    }
  });
}

/// While something is unacknowledged, asks those who are silent.
void endpoint::watch_unacknowledged() {
  if (std::exchange(watching_, true)) return;
  net_.world_.after(net::send_state::first_patience, [net = &net_, self = self_, life = instance_] {
    endpoint* const me = net->find(self, life);
    if (me == nullptr) return;
    me->watching_ = false;
    bool waiting = false;
    for (const auto& [id, it] : me->links_) {
      if (it->up && it->sending.probe_due(net->world_.now())) {
        me->control(*it, net::batch_flag::probe);
      }
      if (!it->sending.unacknowledged().empty()) waiting = true;
    }
    if (waiting) me->watch_unacknowledged();
  });
}

void endpoint::fail(link& of, const std::string& why) {
  const process_id other = of.other;
  net_.world_.record(link_failed, self_, other, [&] {
    return name_of(self_) + " cannot reach " + name_of(other) + ": " + why;
  });
  net_.connections_.erase(of.connection);
  of.ended = true;
  of.open = of.up = of.worked = false;
  of.connection = 0;
  of.outbox.clear();
  of.sending.drop();
  handler_.unreachable(other, why);
}

}  // namespace troupe::sim
