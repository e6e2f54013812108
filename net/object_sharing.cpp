#include "net/object_sharing.hpp"

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include <troupe/error.hpp>
#include <troupe/log.hpp>

#include "net/failures.hpp"
#include "net/value_store.hpp"

namespace troupe::net {

using detail::object_ptr;
using detail::remote_object;

namespace {

constexpr detail::name_view ref_name{"object_ref", 10};

object_ptr lost_object(const detail::object_ops& ops, const std::string& why) {
  remote_object* const made = ops.make();
  if (made->claim()) made->fail(failure_with<object_lost_error>(why));
  return object_ptr::adopt(made);
}

/// The value in its archive, where asking for it would cost the receiver more than reading it:
/// where it is short, or the place of one that lies in a store. Its owner has it.
std::optional<std::vector<std::byte>> value_to_go_along(const object_ptr& object, process_id owner,
                                                        const detail::object_ops& ops) {
  const transfer_scope& message = *transfer_scope::current;
  if (owner == message.other() || !message.has_room_along()) return std::nullopt;
  if (!object->has_value()) return std::nullopt;
  if (!object->stored() && !ops.goes_along(*object)) return std::nullopt;
  try {
    const transfer_scope scope(message.other());
    const no_store_scope here_only;
    detail::output_archive archive;
    ops.save_value(archive, *object);
    detail::encoded made = archive.take();
    if (made.segments.empty()) return std::move(made.inline_bytes);
  } catch (const std::exception&) {
    // Who asks for it is told.
  }
  return std::nullopt;
}

void save_along(detail::output_archive& archive, const object_ptr& object, process_id owner,
                const detail::object_ops& ops) {
  const auto bytes = value_to_go_along(object, owner, ops);
  archive.put_value(static_cast<std::uint8_t>(bytes.has_value()));
  if (!bytes) return;
  transfer_scope::current->goes_along(bytes->size());
  archive.put_count(bytes->size());
  archive.put(bytes->data(), bytes->size());
}

std::optional<std::vector<std::byte>> load_along(detail::input_archive& archive) {
  if (!archive.get_bool(ref_name)) return std::nullopt;
  std::vector<std::byte> bytes(archive.get_count(ref_name));
  archive.get(bytes.data(), bytes.size(), ref_name);
  return bytes;
}

}  // namespace

// -- ids ------------------------------------------------------------------------------------------

std::uint64_t object_sharing::next_local() {
  const std::lock_guard guard(mutex_);
  return ++last_local_;
}

void object_sharing::begin_after(std::uint64_t local) {
  const std::lock_guard guard(mutex_);
  last_local_ = local;
}

void object_sharing::own(std::uint64_t local, std::function<void()> free) {
  const std::lock_guard guard(mutex_);
  owned_.emplace(local, std::move(free));
}

void object_sharing::count(global_id what, process_id holder, std::int32_t by) {
  refs_changed change;
  change.changes.push_back({what.local, holder, by});
  if (what.owner == here_.self()) {
    apply(change.changes);
  } else {
    here_.send(what.owner, std::move(change));
  }
}

void object_sharing::save_id(detail::output_archive& archive, global_id what) {
  archive.put_value(what.owner);
  archive.put_value(what.local);
  if (what.owner == 0 || !transfer_scope::current->first_mention(what.owner)) return;
  peer at;
  if (what.owner == here_.self()) {
    at = here_.net->self();
  } else if (const auto known = here_.net->find(what.owner)) {
    at = *known;
  }
  archive(at);
}

global_id object_sharing::load_id(detail::input_archive& archive) {
  global_id what;
  what.owner = archive.get_value<std::uint64_t>(ref_name);
  what.local = archive.get_value<std::uint64_t>(ref_name);
  if (what.owner == 0 || !transfer_scope::current->first_mention(what.owner)) return what;
  peer at;
  archive(at);
  if (at.id == what.owner && at.id != here_.self()) here_.net->learn(at);
  return what;
}

// -- refs -----------------------------------------------------------------------------------------

void object_sharing::save_ref(detail::output_archive& archive, const object_ptr& object,
                              const detail::object_ops& ops) {
  if (transfer_scope::current == nullptr) {
    throw detail::archive_error("an object_ref is archived only to be sent to another process");
  }
  const process_id receiver = transfer_scope::current->other();
  if (!object) {
    save_id(archive, {});
    return;
  }
  global_id id;
  if (const auto* const known = dynamic_cast<const remote_object*>(object.get());
      known != nullptr && known->owner() != 0) {
    id = {known->owner(), known->local()};
    count(id, receiver, 1);
  } else {
    const std::lock_guard guard(mutex_);
    std::uint64_t& local = ids_[object.get()];
    if (local == 0) {
      local = ++last_local_;
      lent_.emplace(local, lent{object, &ops});
    }
    references_.change(local, receiver, 1);
    id = {here_.self(), local};
  }
  save_id(archive, id);
  save_along(archive, object, id.owner, ops);
}

object_ptr object_sharing::load_ref(detail::input_archive& archive, const detail::object_ops& ops) {
  if (transfer_scope::current == nullptr) {
    throw detail::archive_error("an object_ref is read only from what another process sent");
  }
  const global_id id = load_id(archive);
  if (!id) return {};
  const auto along = load_along(archive);
  if (id.owner == here_.self()) {  // it came home
    object_ptr object;
    {
      const std::lock_guard guard(mutex_);
      if (const auto at = lent_.find(id.local); at != lent_.end()) object = at->second.object;
    }
    count(id, here_.self(), -1);
    return object ? object : lost_object(ops, "the object was freed while a ref to it travelled");
  }
  object_ptr fresh;
  {
    const std::lock_guard guard(mutex_);
    borrowed& known = borrowed_[id];
    ++known.count;
    if (known.object != nullptr && known.object->try_add_ref()) {
      return object_ptr::adopt(known.object);
    }
    known.object = ops.make();
    known.object->set_origin(id.owner, id.local);
    fresh = object_ptr::adopt(known.object);
  }
  if (along) {
    const transfer_scope scope(transfer_scope::current->other());
    detail::input_archive value(*along);
    static_cast<remote_object&>(*fresh).complete_from(value);
    return fresh;
  }
  if (!here_.send(id.owner, object_wanted{id.local})) {
    auto* const lost = static_cast<remote_object*>(fresh.get());
    if (lost->claim()) {
      lost->fail(failure_with<owner_died_error>("the process that owned the object is gone"));
    }
  }
  return fresh;
}

void object_sharing::dropped(remote_object& object) noexcept {
  const global_id id{object.owner(), object.local()};
  std::int32_t held = 0;
  {
    const std::lock_guard guard(mutex_);
    const auto at = borrowed_.find(id);
    // Another one may have taken its place, with its counts.
    if (at == borrowed_.end() || at->second.object != &object) return;
    held = at->second.count;
    borrowed_.erase(at);
  }
  count(id, here_.self(), -held);
}

void object_sharing::cancel(remote_object& object, bool recursive) noexcept {
  here_.send(object.owner(), cancel_object{object.local(), recursive});
}

void object_sharing::cancel_lent(std::uint64_t local, bool recursive) {
  object_ptr object;
  {
    const std::lock_guard guard(mutex_);
    if (const auto at = lent_.find(local); at != lent_.end()) object = at->second.object;
  }
  if (object) object->cancel(false, recursive);
}

// -- messages -------------------------------------------------------------------------------------

void object_sharing::apply(const std::vector<refs_changed::change>& changes) {
  std::vector<lent> freed;  // let go of without the lock: values may hold refs
  std::vector<std::function<void()>> free;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& change : changes) {
      if (!references_.change(change.local, change.holder, change.count)) continue;
      if (const auto at = lent_.find(change.local); at != lent_.end()) {
        ids_.erase(at->second.object.get());
        freed.push_back(std::move(at->second));
        lent_.erase(at);
      } else if (const auto mine = owned_.find(change.local); mine != owned_.end()) {
        free.push_back(std::move(mine->second));
        owned_.erase(mine);
      }
    }
  }
  for (const auto& f : free) f();
}

void object_sharing::on(process_id, const refs_changed& what) { apply(what.changes); }

/// Sends an object's value to one who borrows it, when it is there.
struct object_sharing::sending final : detail::continuation {
  process& here;
  process_id to;
  std::uint64_t local;
  lent what;

  sending(process& p, process_id receiver, std::uint64_t id, lent l)
      : here(p), to(receiver), local(id), what(std::move(l)) {
    fire = [](detail::continuation& self, detail::object_state&) noexcept {
      auto* const mine = static_cast<sending*>(&self);
      mine->send();
      delete mine;
    };
  }
  void send() noexcept {
    message carrier;
    object_value value;
    value.object = local;
    value.value = outcome_for(to, carrier, what.object, [this](detail::output_archive& archive) {
      what.ops->save_value(archive, *what.object);
    });
    message packed = pack(std::move(value));
    packed.attachments = std::move(carrier.attachments);
    here.net->send(to, std::move(packed));
  }
};

void object_sharing::on(process_id from, const object_wanted& what) {
  lent found;
  {
    const std::lock_guard guard(mutex_);
    if (const auto at = lent_.find(what.object); at != lent_.end()) found = at->second;
  }
  if (!found.object) {
    object_value gone;
    gone.object = what.object;
    gone.value = failed_outcome(*failure_with<object_lost_error>(
        "the object was freed by its owner before the borrower's ref reached it"));
    here_.send(from, std::move(gone));
    return;
  }
  auto* const waiting = new sending(here_, from, what.object, std::move(found));
  const object_ptr object = waiting->what.object;
  if (!object->when_ready(*waiting)) {
    waiting->send();
    delete waiting;
  }
}

void object_sharing::on(process_id from, const object_value& what, const message& carrier) {
  object_ptr object;
  {
    const std::lock_guard guard(mutex_);
    const auto at = borrowed_.find({from, what.object});
    if (at == borrowed_.end() || !at->second.object->try_add_ref()) return;
    object = object_ptr::adopt(at->second.object);
  }
  auto& target = static_cast<remote_object&>(*object);
  if (what.value.failed) {
    if (target.claim()) target.fail(from_message(what.value.failure));
    return;
  }
  try {
    read_payload(from, what.value.value, carrier, 0, [&](detail::input_archive& archive) {
      target.complete_from(archive);
      return 0;
    });
  } catch (const std::exception& e) {
    if (target.claim()) target.fail(failure_with<object_lost_error>(e.what()));
  }
}

void object_sharing::process_gone(process_id gone, const std::string& cause) {
  std::vector<object_ptr> orphans;
  std::vector<lent> freed;
  std::vector<std::function<void()>> free;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, entry] : borrowed_) {
      if (id.owner == gone && entry.object->try_add_ref()) {
        orphans.push_back(object_ptr::adopt(entry.object));
      }
    }
    for (const std::uint64_t local : references_.forget(gone)) {
      if (const auto at = lent_.find(local); at != lent_.end()) {
        ids_.erase(at->second.object.get());
        freed.push_back(std::move(at->second));
        lent_.erase(at);
      } else if (const auto mine = owned_.find(local); mine != owned_.end()) {
        free.push_back(std::move(mine->second));
        owned_.erase(mine);
      }
    }
  }
  for (const object_ptr& object : orphans) {
    if (object->claim()) {
      object->fail(failure_with<owner_died_error>("the process that owned the object has ended (" +
                                                  cause + "), and its value with it"));
    }
  }
  for (const auto& f : free) f();
}

void object_sharing::cut_off(const std::string& cause) {
  std::vector<object_ptr> orphans;
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [id, entry] : borrowed_) {
      if (entry.object->try_add_ref()) orphans.push_back(object_ptr::adopt(entry.object));
    }
  }
  for (const object_ptr& object : orphans) {
    if (object->claim()) object->fail(failure_with<connection_error>(cause));
  }
}

object_sharing::counts object_sharing::size() const {
  const std::lock_guard guard(mutex_);
  return {lent_.size(), borrowed_.size()};
}

}  // namespace troupe::net
