/// Lets a part of the runtime start calls on its own account.
#pragma once

#include <utility>

#include "core/execution.hpp"

namespace troupe::actors {

/// While it lives, what the thread starts is nobody's child and nobody's watch: it serves many, and
/// the cancel or the end of one of them is not that of the others.
class nobodys_child {
 public:
  nobodys_child() noexcept : saved_(std::exchange(core::current_execution, nullptr)) {}
  ~nobodys_child() { core::current_execution = saved_; }
  nobodys_child(const nobodys_child&) = delete;
  nobodys_child& operator=(const nobodys_child&) = delete;

 private:
  core::execution* saved_;
};

}  // namespace troupe::actors
