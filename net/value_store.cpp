#include "net/value_store.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

#include <troupe/archive.hpp>
#include <troupe/detail/object_state.hpp>
#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "net/failures.hpp"
#include "net/transfer.hpp"
#include "net/value_layout.hpp"

namespace troupe::net {

namespace {

constexpr detail::name_view value_name{"stored value", 12};

}  // namespace

/// A value that comes by messages, for those who wait for it.
struct value_store::fetch {
  detail::object_ptr done = detail::object_ptr::adopt(new detail::value_object<void>);
  std::vector<std::byte> bytes;
  std::span<std::byte> aligned;  ///< the part of `bytes` that the value is written to
};

void value_store::open(const std::string& socket_path, std::size_t threshold) {
  if (socket_path.empty()) return;
  // A worker goes with its node. What runs in it must not see an error in between: told to its
  // owner as the work's own, that would not be tried again.
  std::function<void()> with_the_node;
  if (here_->is_worker) {
    with_the_node = [] {
      log::error("this worker's node has ended, and the worker with it");
      std::_Exit(EXIT_FAILURE);
    };
  }
  client_ = store_client::connect(socket_path, here_->self(), std::move(with_the_node));
  detail::store_threshold.store(threshold);
}

void value_store::close() noexcept {
  detail::store_threshold.store(std::numeric_limits<std::size_t>::max());
  {
    const std::unique_lock guard(open_mutex_);
    here_ = nullptr;
  }
  std::map<stored_id, std::shared_ptr<fetch>> left;
  {
    const std::lock_guard guard(mutex_);
    left.swap(fetches_);
  }
  for (const auto& [id, one] : left) {
    static_cast<detail::value_object<void>&>(*one->done)
        .set_failure(failure_with<connection_error>("this process has left the cluster"));
  }
  rebuilder_.close("this process has left the cluster");
}

process_id value_store::self() {
  const std::shared_lock guard(open_mutex_);
  return here_ != nullptr ? here_->self() : 0;
}

void value_store::learn(const peer& other) {
  const std::shared_lock guard(open_mutex_);
  if (here_ != nullptr) here_->net->learn(other);
}

void value_store::drop(stored_id id) noexcept {
  try {
    send(id.owner, drop_value{id});
  } catch (const std::exception&) {
    // No memory for a message: the value goes with this process.
  }
}

detail::stored_ptr value_store::store(std::span<const std::byte> inline_bytes,
                                      std::span<const std::span<const std::byte>> segments,
                                      std::string_view made_by, process_id owner) {
  if (client_ == nullptr || no_store_scope::active) return nullptr;
  peer home;
  peer self;
  {
    const std::shared_lock guard(open_mutex_);
    if (here_ == nullptr) return nullptr;
    home = here_->node;
    self = here_->net->self();
  }
  const bool owned = owner == 0 || owner == self.id;
  peer keeper = self;
  if (!owned) {
    keeper = {};
    keeper.id = owner;
  }
  std::string label(made_by.substr(0, max_made_by));
  const std::uint64_t bytes = value_block_size(inline_bytes.size(), segments);
  const store_client::block block = client_->create(bytes, {keeper.id, label});
  write_value(block.bytes, inline_bytes, segments);
  client_->seal(block.id);
  return std::make_shared<value_origin>(shared_from_this(),
                                        value_origin::place{block.id, std::move(home)}, bytes,
                                        std::move(keeper), std::move(label), owned)
      ->handle();
}

void value_store::save(detail::output_archive& archive, const detail::stored_value& where) {
  const value_origin& value = *static_cast<const stored_object&>(where).origin();
  const value_origin::place at = value.now();
  archive.put_value(at.id.owner);
  archive.put_value(at.id.local);
  archive.put_value(value.bytes());
  const auto save_peer = [&archive](const peer& one) {
    const bool first =
        transfer_scope::current == nullptr || transfer_scope::current->first_mention(one.id);
    archive.put_value(first);
    if (first) archive(one);
  };
  save_peer(at.home);
  archive(value.made_by());
  archive.put_value(value.keeper().id);
  if (value.keeper().id != 0) save_peer(value.keeper());
}

/// A value as `save` wrote it.
struct value_store::written {
  value_origin::place at;
  std::uint64_t bytes = 0;
  std::string made_by;
  peer keeper;
};

value_store::written value_store::read(detail::input_archive& archive, bool given) {
  written value;
  value.at.id.owner = archive.get_value<std::uint64_t>(value_name);
  value.at.id.local = archive.get_value<std::uint64_t>(value_name);
  value.bytes = archive.get_value<std::uint64_t>(value_name);
  const auto read_peer = [&archive](peer& one) {
    if (archive.get_bool(value_name)) archive(one);
    // As the writer: an id of the same process that follows comes without its address.
    if (transfer_scope::current != nullptr) transfer_scope::current->first_mention(one.id);
  };
  peer& home = value.at.home;
  read_peer(home);
  archive(value.made_by);
  const auto keeper = archive.get_value<std::uint64_t>(value_name);
  if (keeper != 0) read_peer(value.keeper);
  const std::shared_lock guard(open_mutex_);
  if (here_ == nullptr) throw detail::archive_error("this process has left the cluster");
  if (home.id == 0) home = here_->net->find(value.at.id.owner).value_or(peer{});
  if (home.id != value.at.id.owner) throw detail::archive_error("a stored value without its home");
  here_->net->learn(home);
  if (keeper == here_->self() || given) {
    value.keeper = here_->net->self();
  } else if (keeper != 0) {
    if (value.keeper.id == 0) value.keeper = here_->net->find(keeper).value_or(peer{});
    if (value.keeper.id != keeper) value.keeper = {};
    if (!value.keeper.local.empty() || !value.keeper.remote.empty()) {
      here_->net->learn(value.keeper);
    }
  }
  if (given) here_->send(value.at.id.owner, claim_value{value.at.id});
  return value;
}

value_origin::place value_store::read_given(detail::input_archive& archive) {
  return read(archive, true).at;
}

detail::stored_ptr value_store::load(detail::input_archive& archive, bool given) {
  written value = read(archive, given);
  const auto origin =
      std::make_shared<value_origin>(shared_from_this(), std::move(value.at), value.bytes,
                                     std::move(value.keeper), std::move(value.made_by), given);
  if (given && completion_scope::current != nullptr) {
    rebuilder_.made(*origin, *completion_scope::current);
  }
  return origin->handle();
}

detail::mapping value_store::map(stored_id id, const peer& home, const detail::deadline& until) {
  if (client_ == nullptr) return fetch_by_messages(id, home, until);
  {
    const std::shared_lock guard(open_mutex_);
    if (here_ == nullptr) throw connection_error("the value was left behind with its cluster");
  }
  const store_client::bytes_ptr bytes = client_->pin(id, home, until);
  return map_value(*bytes, bytes);
}

// -- without a store ------------------------------------------------------------------------------

detail::mapping value_store::fetch_by_messages(stored_id id, const peer& home,
                                               const detail::deadline& until) {
  std::shared_ptr<fetch> wanted;
  {
    const std::lock_guard guard(mutex_);
    std::shared_ptr<fetch>& known = fetches_[id];
    if (!known) {
      known = std::make_shared<fetch>();
      pulls_.begin(id, home.id);
    }
    wanted = known;
    carry_out();
  }
  detail::wait_until_ready(*wanted->done, until);
  if (wanted->done->has_failed()) detail::throw_failure(*wanted->done);
  return map_value(wanted->aligned, wanted);
}

/// Requires the lock.
void value_store::carry_out() {
  const auto end = [this](stored_id id, const detail::failure_ptr& failed) {
    const auto at = fetches_.find(id);
    if (at == fetches_.end()) return;
    const std::shared_ptr<fetch> one = std::move(at->second);
    fetches_.erase(at);
    auto& done = static_cast<detail::value_object<void>&>(*one->done);
    if (failed) {
      done.set_failure(failed);
    } else {
      done.set();
    }
  };
  for (auto effects = pulls_.take_effects(); !effects.empty(); effects = pulls_.take_effects()) {
    for (const pull_effect& effect : effects) {
      if (const auto* const asked = std::get_if<ask_home>(&effect)) {
        if (!send(asked->home, pull_value{asked->id, false})) {
          pulls_.process_gone(asked->home, "it cannot be reached");
        }
      } else if (const auto* const located = std::get_if<value_located>(&effect)) {
        constexpr std::size_t alignment = 64;
        fetch& one = *fetches_.at(located->id);
        one.bytes.resize(located->size + alignment);
        const auto address = reinterpret_cast<std::uintptr_t>(one.bytes.data());
        one.aligned = std::span(one.bytes).subspan((alignment - address % alignment) % alignment,
                                                   located->size);
        pulls_.memory_granted(located->id);
      } else if (const auto* const chunk = std::get_if<ask_chunk>(&effect)) {
        if (!send(chunk->source, pull_chunk{chunk->id, chunk->offset, chunk->size})) {
          pulls_.process_gone(chunk->source, "it cannot be reached");
        }
      } else if (const auto* const over = std::get_if<end_transfer>(&effect)) {
        send(over->source, end_pull{over->id});
      } else if (const auto* const told = std::get_if<tell_home>(&effect)) {
        send(told->home, pull_ended{told->id, told->source, told->done});
      } else if (const auto* const complete = std::get_if<pull_complete>(&effect)) {
        end(complete->id, nullptr);
      } else if (const auto* const lost = std::get_if<pull_hopeless>(&effect)) {
        end(lost->id, lost->refusal == store_refusal::full
                          ? failure_with<out_of_memory_error>(lost->why)
                          : failure_with<object_lost_error>(lost->why));
      }
    }
  }
}

void value_store::on(const value_source& what) {
  const std::lock_guard guard(mutex_);
  if (!what.refused.empty()) {
    pulls_.refused(what.value, what.refused);
  } else {
    {
      const std::shared_lock open(open_mutex_);
      if (here_ != nullptr) here_->net->learn(what.source);
    }
    pulls_.located(what.value, what.size, what.source.id);
  }
  carry_out();
}

void value_store::on(process_id from, const value_chunk& what, const message& carrier) {
  const std::lock_guard guard(mutex_);
  if (what.missing) {
    pulls_.missing(what.value, from, what.no_room);
  } else {
    const auto at = fetches_.find(what.value);
    if (at == fetches_.end() || carrier.attachments.size() != 1) return;
    const std::span<const std::byte> bytes = carrier.attachments.front().bytes();
    if (!pulls_.expects(what.value, from, what.offset, bytes.size())) return;
    std::memcpy(at->second->aligned.data() + what.offset, bytes.data(), bytes.size());
    pulls_.arrived(what.value, what.offset);
  }
  carry_out();
}

void value_store::process_gone(process_id gone, const std::string& cause) {
  {
    const std::lock_guard guard(mutex_);
    pulls_.process_gone(gone, cause);
    carry_out();
  }
  rebuilder_.process_gone(gone, cause);
}

}  // namespace troupe::net
