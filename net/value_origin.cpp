#include "net/value_origin.hpp"

#include <troupe/error.hpp>

#include "net/lineage.hpp"
#include "net/value_store.hpp"

namespace troupe::net {

value_origin::value_origin(std::shared_ptr<value_store> in, place at, std::uint64_t bytes,
                           peer keeper, std::string made_by, bool owned)
    : in_(std::move(in)),
      first_(at.id),
      bytes_(bytes),
      keeper_(std::move(keeper)),
      made_by_(std::move(made_by)),
      owned_(owned),
      at_(std::move(at)) {}

value_origin::~value_origin() {
  if (owned_) in_->rebuilder().forget(first_);
}

detail::stored_ptr value_origin::handle() {
  auto made = std::make_shared<const stored_object>(shared_from_this());
  const std::lock_guard guard(mutex_);
  ++handles_;
  return made;
}

void value_origin::released() noexcept {
  stored_id unused;
  {
    const std::lock_guard guard(mutex_);
    if (--handles_ != 0 || !owned_) return;
    unused = at_.id;
  }
  in_->drop(unused);
}

value_origin::place value_origin::now() const {
  const std::lock_guard guard(mutex_);
  return at_;
}

void value_origin::moved(place to) {
  stored_id unused;
  bool unwanted = false;
  {
    const std::lock_guard guard(mutex_);
    if (at_.id == to.id) return;
    unused = std::exchange(at_, to).id;
    unwanted = handles_ == 0;
    mapped_.reset();
  }
  if (!owned_) return;
  in_->drop(unused);
  if (unwanted) in_->drop(to.id);
}

detail::mapping stored_object::map(const detail::deadline& until) const {
  value_origin& from = *origin_;
  for (;;) {
    const value_origin::place at = from.now();
    {
      const std::lock_guard guard(from.mutex_);
      if (detail::mapping mapped = from.mapped_.lock()) return mapped;
    }
    std::string lost;
    try {
      detail::mapping mapped = from.in().map(at.id, at.home, until);
      const std::lock_guard guard(from.mutex_);
      if (from.at_.id == at.id) from.mapped_ = mapped;
      return mapped;
    } catch (const object_lost_error& e) {
      lost = "the value of '" + from.made_by() + "', which lay on the node at " +
             (at.home.remote.empty() ? at.home.local : at.home.remote) + ", is lost: " + e.what();
    }
    try {
      from.moved(from.in().rebuilder().recover(at.id, from.keeper(), lost, until));
    } catch (const owner_died_error& e) {
      throw owner_died_error(lost + "; " + e.what());
    } catch (const object_lost_error& e) {
      throw object_lost_error(lost + "; " + e.what());
    }
  }
}

}  // namespace troupe::net
