/// What the stage runs: CAF's unit of scheduling under a name of our own.
#pragma once

#include <caf/resumable.hpp>

namespace troupe::core {

/// Something that gets turns on the stage: an actor with mail, a lease with tasks, a CAF actor.
///
/// `resume` runs one turn and tells whether it wants another one (`resume_later`) or not
/// (`awaiting_message`, `done`). `stage::enqueue` takes over one reference, which the stage gives
/// back after the last turn.
using job = caf::resumable;

}  // namespace troupe::core
