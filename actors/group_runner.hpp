/// One runner of a group whose calls may run side by side.
#pragma once

#include <memory>
#include <vector>

#include "actors/local_actor.hpp"

namespace troupe::actors {

/// Lives from its activation until it finds no call. Holds a reference to the actor.
class group_runner final : public core::job {
 public:
  group_runner(detail::local_actor& actor, call_group& group);
  ~group_runner() override;
  resume_result resume(caf::execution_unit*, std::size_t max_throughput) override;
  void intrusive_ptr_add_ref_impl() override {}
  void intrusive_ptr_release_impl() override { delete this; }

 private:
  detail::local_actor& actor_;
  call_group& group_;
  running_call running_;
  bool listed_ = false;  ///< `running_` is where those who end the actor look
};

/// Ends a timer whose actor has ended.
void stop_timer(const std::weak_ptr<void>& timer) noexcept;

}  // namespace troupe::actors
