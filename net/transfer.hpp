/// Values on their way between processes: archived into a message for one receiver, or read from
/// one of a sender.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include <troupe/archive.hpp>
#include <troupe/detail/object_state.hpp>

#include "net/messages.hpp"
#include "net/wire.hpp"

namespace troupe::net {

/// While it lives, refs and handles that this thread archives go to `other`, or come from it.
class transfer_scope {
 public:
  explicit transfer_scope(process_id other) noexcept : other_(other), outer_(current) {
    current = this;
  }
  ~transfer_scope() { current = outer_; }
  transfer_scope(const transfer_scope&) = delete;
  transfer_scope& operator=(const transfer_scope&) = delete;

  process_id other() const noexcept { return other_; }
  /// Whether a process is mentioned for the first time: then its address goes with it.
  bool first_mention(process_id mentioned) { return mentioned_.insert(mentioned).second; }

  /// Whether more values may go along with their refs in this message.
  bool has_room_along() const noexcept { return along_ < most_along; }
  void goes_along(std::size_t bytes) noexcept { along_ += bytes; }

  static inline thread_local transfer_scope* current = nullptr;

 private:
  static constexpr std::size_t most_along = std::size_t{64} << 10;

  std::size_t along_ = 0;
  process_id other_;
  transfer_scope* outer_;
  std::unordered_set<process_id> mentioned_;
};

/// Archives what `write(archive)` writes for `receiver`. Large arrays become attachments of
/// `carrier`: with `keeper` they are referred to, and it keeps them; without they are copied.
template <class Write>
payload archive_for(process_id receiver, message& carrier, std::shared_ptr<const void> keeper,
                    Write&& write) {
  const transfer_scope scope(receiver);
  detail::output_archive archive;
  write(archive);
  detail::encoded made = archive.take();
  payload result;
  result.bytes = std::move(made.inline_bytes);
  result.segments = static_cast<std::uint16_t>(made.segments.size());
  for (const std::span<const std::byte> segment : made.segments) {
    if (keeper != nullptr) {
      carrier.attachments.emplace_back(segment, keeper);
    } else {
      carrier.attachments.emplace_back(std::vector<std::byte>(segment.begin(), segment.end()));
    }
  }
  return result;
}

/// Calls `read(archive)` on a payload of `from`. Its attachments begin at `first`.
template <class Read>
auto read_payload(process_id sender, const payload& value, const message& from, std::size_t first,
                  Read&& read) {
  if (first > from.attachments.size() || value.segments > from.attachments.size() - first) {
    throw detail::archive_error("a message announces more attachments than it has");
  }
  const transfer_scope scope(sender);
  std::vector<std::span<const std::byte>> segments;
  segments.reserve(value.segments);
  for (std::size_t i = 0; i < value.segments; ++i) {
    segments.push_back(from.attachments[first + i].bytes());
  }
  detail::input_archive archive(value.bytes, segments);
  return read(archive);
}

/// The outcome of a ready object for `receiver`: `write` writes its value.
template <class Write>
outcome outcome_for(process_id receiver, message& carrier, const detail::object_ptr& object,
                    Write&& write);

/// Keeps an object as an attachment's keeper.
std::shared_ptr<const void> keep(const detail::object_ptr& object);
/// What became of an object whose value could not be archived.
outcome failed_outcome(const detail::failure& why);

template <class Write>
outcome outcome_for(process_id receiver, message& carrier, const detail::object_ptr& object,
                    Write&& write) {
  if (object->has_failed()) {
    object->note_asked();
    return failed_outcome(*object->why());
  }
  outcome result;
  try {
    result.value = archive_for(receiver, carrier, keep(object), std::forward<Write>(write));
  } catch (...) {
    carrier.attachments.clear();
    return failed_outcome(*detail::make_failure(std::current_exception()));
  }
  return result;
}

}  // namespace troupe::net
