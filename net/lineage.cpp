#include "net/lineage.hpp"

#include <stdexcept>
#include <utility>

#include <troupe/error.hpp>

#include "core/sharing.hpp"
#include "net/value_store.hpp"

namespace troupe::net {

namespace {

constexpr std::uint8_t placeholder = 0;

}  // namespace

/// Takes what means something to one receiver only out of an archive, and remembers where it was.
class lineage::recorder final : public core::sharing {
 public:
  explicit recorder(std::vector<part>& parts) : parts_(parts), outer_(core::find_sharing()) {}

  void save_ref(detail::output_archive& archive, const detail::object_ptr& object,
                const detail::object_ops& ops) override {
    if (object && object->has_value() && !object->value_is_here()) {
      if (const detail::stored_ptr where = object->stored()) {
        const auto& origin = static_cast<const stored_object&>(*where).origin();
        if (origin->owned()) return add(archive, ref_to_value{origin, &ops});
      }
    }
    add(archive, ref{object, &ops});
  }
  void save_handle(detail::output_archive& archive, const detail::actor_core_ptr& actor) override {
    add(archive, actor);
  }
  void save_stored(detail::output_archive& archive, const detail::stored_value& where) override {
    add(archive, value{static_cast<const stored_object&>(where).origin()});
  }
  /// What is not in a store yet goes into the archive.
  detail::stored_ptr store_value(std::span<const std::byte>,
                                 std::span<const std::span<const std::byte>>, std::string_view,
                                 bool) override {
    return nullptr;
  }
  detail::object_ptr load_ref(detail::input_archive&, const detail::object_ops&) override {
    return unexpected();
  }
  detail::actor_core_ptr load_handle(detail::input_archive&, const detail::class_info&) override {
    return unexpected();
  }
  detail::stored_ptr load_stored(detail::input_archive&, bool) override { return unexpected(); }
  /// Nobody: what would be copied for that refuses, and is not made again.
  detail::archive_receiver receiver_of_archive() noexcept override {
    return detail::archive_receiver::unknown;
  }
  void dropped(detail::remote_object& object) noexcept override {
    if (outer_ != nullptr) outer_->dropped(object);
  }
  void cancel(detail::remote_object& object, bool recursive) noexcept override {
    if (outer_ != nullptr) outer_->cancel(object, recursive);
  }

 private:
  /// Nothing is read while it records.
  struct unexpected {
    template <class T>
    operator T() const {
      throw std::logic_error("a lineage is written, not read");
    }
  };
  /// A byte stands for it: what writes nothing is marked by the archive of its container.
  template <class What>
  void add(detail::output_archive& archive, What what) {
    parts_.push_back({archive.position(), std::move(what)});
    archive.put_value(placeholder);
  }

  std::vector<part>& parts_;
  core::sharing* const outer_;
};

lineage::lineage(const detail::task& of)
    : info_(&of.info()),
      function_(of.remote_key()),
      options_(of.shared_options()),
      name_(of.name()) {
  recorder records(parts_);
  detail::output_archive archive;
  {
    const core::sharing_scope scope(records);
    of.archive_arguments(archive);
  }
  detail::encoded made = archive.take();
  size_ = sizeof(lineage) + name_.size() + made.total_size() + parts_.size() * sizeof(part);
  bytes_ = std::move(made.inline_bytes);
  segments_.reserve(made.segments.size());
  for (const auto segment : made.segments) segments_.emplace_back(segment.begin(), segment.end());
}

/// A long chain of tasks, each of whose arguments is the result of the one before, must not be
/// freed by a recursion as deep.
lineage::~lineage() {
  thread_local std::vector<std::vector<part>>* pending = nullptr;
  if (pending != nullptr) {
    pending->push_back(std::move(parts_));
    return;
  }
  std::vector<std::vector<part>> mine;
  pending = &mine;
  mine.push_back(std::move(parts_));
  while (!mine.empty()) {
    const std::vector<part> next = std::move(mine.back());
    mine.pop_back();
  }
  pending = nullptr;
}

// -- another attempt ------------------------------------------------------------------------------

repeated_task::repeated_task(std::shared_ptr<const lineage> how, value_store& in,
                             std::int32_t attempt)
    : detail::task(*how->info_), how_(std::move(how)), in_(in) {
  for (std::int32_t i = 0; i < attempt; ++i) start_over();
  for (const lineage::part& one : how_->parts_) {
    if (const auto* const argument = std::get_if<lineage::value>(&one.what)) {
      values_.push_back(argument->origin->handle());
    } else if (const auto* const lent = std::get_if<lineage::ref_to_value>(&one.what)) {
      detail::remote_object* const object = lent->ops->make();
      objects_.push_back(detail::object_ptr::adopt(object));
      object->claim();
      object->complete_stored(lent->origin->handle());
    }
  }
}

void repeated_task::archive_arguments(detail::output_archive& out) const {
  std::size_t done = 0;
  std::size_t next_value = 0;
  std::size_t next_object = 0;
  for (const lineage::part& one : how_->parts_) {
    out.put(how_->bytes_.data() + done, one.position - done);
    done = one.position + sizeof placeholder;
    if (std::holds_alternative<lineage::value>(one.what)) {
      detail::save_stored(out, *values_.at(next_value++));
    } else if (const auto* const lent = std::get_if<lineage::ref_to_value>(&one.what)) {
      detail::save_ref(out, objects_.at(next_object++), *lent->ops);
    } else if (const auto* const kept = std::get_if<lineage::ref>(&one.what)) {
      detail::save_ref(out, kept->object, *kept->ops);
    } else {
      detail::save_handle(out, std::get<detail::actor_core_ptr>(one.what));
    }
  }
  out.put(how_->bytes_.data() + done, how_->bytes_.size() - done);
  for (const auto& segment : how_->segments_) out.put_segment(segment);
}

void repeated_task::complete_from(detail::input_archive& in) noexcept {
  try {
    constexpr detail::name_view name{"rebuilt value", 13};
    if (in.get_value<std::uint8_t>(name) != detail::given_in_store) {
      throw object_lost_error(
          "its task has run again, where the result could not be put into a "
          "store");
    }
    value_origin::place given = in_.read_given(in);
    in.finish(name);
    if (!claim()) return in_.drop(given.id);
    place_ = std::move(given);
    complete(nullptr);
  } catch (...) {
    if (claim()) fail(detail::make_failure(std::current_exception()));
  }
}

detail::invocation::outcome repeated_task::run(void*) {
  throw std::logic_error("a task that rebuilds a value is run by a worker");
}

void repeated_task::drop_arguments() noexcept {
  values_.clear();
  objects_.clear();
}

}  // namespace troupe::net
