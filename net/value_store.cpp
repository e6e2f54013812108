#include "net/value_store.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include <troupe/archive.hpp>
#include <troupe/detail/object_state.hpp>
#include <troupe/error.hpp>

#include "net/failures.hpp"
#include "net/transfer.hpp"
#include "net/value_layout.hpp"

namespace troupe::net {

namespace {

constexpr detail::name_view value_name{"stored value", 12};

}  // namespace

/// One value; where it lies does not change.
class value_store::stored_object final : public detail::stored_value {
 public:
  stored_object(std::shared_ptr<value_store> in, stored_id id, std::uint64_t bytes, peer home,
                std::string made_by, bool owned)
      : in_(std::move(in)),
        id_(id),
        bytes_(bytes),
        home_(std::move(home)),
        made_by_(std::move(made_by)),
        owned_(owned) {}
  ~stored_object() override {
    if (owned_) in_->drop(id_);
  }
  detail::mapping map(const detail::deadline& until) const override {
    {
      const std::lock_guard guard(mutex_);
      if (detail::mapping mapped = mapped_.lock()) return mapped;
    }
    try {
      detail::mapping mapped = in_->map(id_, home_, until);
      const std::lock_guard guard(mutex_);
      mapped_ = mapped;
      return mapped;
    } catch (const object_lost_error& e) {
      throw object_lost_error("the value of '" + made_by_ + "', which lay on the node at " +
                              (home_.remote.empty() ? home_.local : home_.remote) +
                              ", is lost: " + e.what());
    }
  }
  stored_id id() const noexcept { return id_; }
  const peer& home() const noexcept { return home_; }
  std::uint64_t node() const noexcept override { return home_.id; }
  std::uint64_t bytes() const noexcept override { return bytes_; }
  const std::string& made_by() const noexcept { return made_by_; }

 private:
  const std::shared_ptr<value_store> in_;
  const stored_id id_;
  const std::uint64_t bytes_;
  const peer home_;
  const std::string made_by_;
  const bool owned_;
  mutable std::mutex mutex_;
  mutable std::weak_ptr<const detail::mapped_value> mapped_;  // guarded by mutex_
};

/// A value that comes by messages, for those who wait for it.
struct value_store::fetch {
  detail::object_ptr done = detail::object_ptr::adopt(new detail::value_object<void>);
  std::vector<std::byte> bytes;
  std::span<std::byte> aligned;  ///< the part of `bytes` that the value is written to
};

void value_store::open(const std::string& socket_path, std::size_t threshold) {
  if (socket_path.empty()) return;
  client_ = store_client::connect(socket_path, here_->self());
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
}

template <class T>
bool value_store::send(process_id to, T what) {
  const std::shared_lock guard(open_mutex_);
  return here_ != nullptr && here_->send(to, std::move(what));
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
  process_id self = 0;
  {
    const std::shared_lock guard(open_mutex_);
    if (here_ == nullptr) return nullptr;
    home = here_->node;
    self = here_->self();
  }
  if (owner == 0) owner = self;
  std::string label(made_by.substr(0, max_made_by));
  const std::uint64_t bytes = value_block_size(inline_bytes.size(), segments);
  const store_client::block block = client_->create(bytes, {owner, label});
  write_value(block.bytes, inline_bytes, segments);
  client_->seal(block.id);
  return std::make_shared<const stored_object>(shared_from_this(), block.id, bytes, std::move(home),
                                               std::move(label), owner == self);
}

void value_store::save(detail::output_archive& archive, const detail::stored_value& where) {
  const auto& value = static_cast<const stored_object&>(where);
  archive.put_value(value.id().owner);
  archive.put_value(value.id().local);
  archive.put_value(value.bytes());
  const bool first = transfer_scope::current == nullptr ||
                     transfer_scope::current->first_mention(value.id().owner);
  archive.put_value(first);
  if (first) archive(value.home());
  archive(value.made_by());
}

detail::stored_ptr value_store::load(detail::input_archive& archive, bool given) {
  stored_id id;
  id.owner = archive.get_value<std::uint64_t>(value_name);
  id.local = archive.get_value<std::uint64_t>(value_name);
  const auto bytes = archive.get_value<std::uint64_t>(value_name);
  peer home;
  if (archive.get_bool(value_name)) archive(home);
  std::string made_by;
  // As the writer: an id of the same process that follows comes without its address.
  if (transfer_scope::current != nullptr) transfer_scope::current->first_mention(id.owner);
  archive(made_by);
  {
    const std::shared_lock guard(open_mutex_);
    if (here_ == nullptr) throw detail::archive_error("this process has left the cluster");
    if (home.id == 0) home = here_->net->find(id.owner).value_or(peer{});
    if (home.id != id.owner) throw detail::archive_error("a stored value without its home");
    here_->net->learn(home);
    if (given) here_->send(id.owner, claim_value{id});
  }
  return std::make_shared<const stored_object>(shared_from_this(), id, bytes, std::move(home),
                                               std::move(made_by), given);
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

// -- without a store
// -------------------------------------------------------------------------------

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
        end(lost->id, failure_with<object_lost_error>(lost->why));
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
    pulls_.missing(what.value, from);
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
  const std::lock_guard guard(mutex_);
  pulls_.process_gone(gone, cause);
  carry_out();
}

}  // namespace troupe::net
