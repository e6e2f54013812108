/// A copyable owner of a pin, for callbacks that outlive the place where they are made.
#pragma once

#include <utility>

namespace troupe::core {

/// Keeps an object alive as the runtime does: it does not count as a user's ref.
template <class Object>
class pinned {
 public:
  explicit pinned(Object& object) noexcept : object_(&object) { object_->pin(); }
  pinned(const pinned& other) noexcept : pinned(*other.object_) {}
  pinned& operator=(pinned other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~pinned() { object_->unpin(); }

  Object& operator*() const noexcept { return *object_; }
  Object* operator->() const noexcept { return object_; }

 private:
  Object* object_;
};

}  // namespace troupe::core
