/// The place of a call that runs together with others of its method.
#pragma once

#include <chrono>
#include <string_view>
#include <vector>

namespace troupe::detail {

class actor_batch;
class actor_call;

/// A method that takes batches; one constant for each in the program.
struct batch_kind {
  std::string_view name;
  /// Makes the call that runs these.
  actor_batch* (*make)(std::vector<actor_call*> calls);
};

/// Part of a call of a batched method.
class batch_place {
 public:
  explicit batch_place(const batch_kind& of) noexcept : kind(&of) {}

  const batch_kind* const kind;
  /// When it reached its actor.
  std::chrono::steady_clock::time_point since{};

 protected:
  ~batch_place() = default;
};

}  // namespace troupe::detail
