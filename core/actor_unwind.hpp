/// How `this_actor::exit` and `fail` leave a method: an exception that is none of the user's.
#pragma once

#include <string>

namespace troupe::core {

/// Thrown through user code to the actor that runs it. Not a `std::exception` on purpose.
struct actor_unwind {
  bool exits = false;  ///< an exit; else a failure
  std::string why;
};

/// What unwound the last call on this thread.
inline thread_local actor_unwind current_unwind;

}  // namespace troupe::core
