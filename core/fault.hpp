/// Fault points: places where the code can be made to fail as networks, machines and schedulers do.
///
/// They are compiled in and off unless armed, by TROUPE_FAULTS in the environment or by a test:
///
///     if (TROUPE_FAULT("link.lost_batch")) return;  // as if the network had lost it
///
/// One that is off costs a relaxed load of a global. docs/testing.md lists them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::core {

struct fault_point {
  std::string_view name;
  std::string_view what;
};

/// All there are; a name in the code that is not among them does not compile.
inline constexpr auto fault_points = std::to_array<fault_point>({
    {"link.duplicate", "a batch is sent twice"},
    {"link.lost_batch", "a batch is not sent, as if it had been lost on its way"},
    {"link.lost_ack", "an acknowledgement is not sent"},
    {"link.held_up_after_hello", "some time passes between the first word and what follows it"},
    {"link.cut_after_send", "a connection is cut when something was just sent, and made again"},
    {"link.tiny_buffer", "each message is a batch of its own, in frames of a kilobyte"},
    {"endpoint.held_up_at_leaving",
     "a thread that has read for others is held up between two steps of leaving"},
    {"bulk.wrong_bit", "a bit of what a data connection carries arrives wrong"},
    {"bulk.cut", "a data connection ends before a chunk"},
    {"bulk.unreachable", "a data connection cannot be made"},
    {"owner.lease_returned_at_once", "a lease is given back the moment it has no work"},
    {"node.slow_heartbeat", "a node does not report to the head when it should"},
    {"head.exit_at_adoption", "the head dies when it is asked to own an actor"},
    {"head.exit_before_asking_lease", "when that is stored, before it asks for a place"},
    {"head.exit_before_reply", "before it answers who asked"},
    {"head.exit_after_reply", "when it has answered"},
    {"head.exit_at_grant", "when a place is given, before that is stored"},
    {"head.exit_before_creation", "when the place is stored, before the creation is sent"},
    {"head.exit_after_creation", "when the creation is sent"},
    {"head.exit_at_created", "when the actor is there, before that is stored"},
    {"head.exit_before_publishing", "when that is stored, before anybody is told"},
    {"worker.exit_at_start", "a worker exits before it has registered"},
    {"worker.exit_at_lease", "a worker exits when a lease begins, with its tasks on their way"},
    {"worker.exit_before_reply", "a worker exits when a task is done and its result not sent"},
    {"worker.exit_before_call_reply", "the same of an actor's call"},
});

/// The exit code of a process that a fault ends.
inline constexpr int fault_exit_code = 41;

namespace faults {
extern std::atomic<bool> armed;
bool fires(std::size_t point) noexcept;
consteval std::size_t index_of(std::string_view name) {
  for (std::size_t i = 0; i < fault_points.size(); ++i) {
    if (fault_points[i].name == name) return i;
  }
  throw "no fault point has this name: add it to fault_points";
}
}  // namespace faults

/// `name=how,...`, where `how` is `always`, `once` (the first time it is passed), `once@N` (the
/// Nth), `0.25` (of the times it is passed) or `0.25@SEED`. Counts and numbers drawn are of this
/// process. In place of what was armed before. Throws `std::invalid_argument` that names what is
/// wrong, `what` being the variable or option. Thread-safe, as all of these.
void arm_faults(std::string_view spec, std::string_view what = "TROUPE_FAULTS");
void disarm_faults() noexcept;
/// By TROUPE_FAULTS, if it is set; then a warning says so in the log.
void arm_faults_by_environment();
/// How often it has fired since it was armed.
std::uint64_t fault_count(std::string_view name);

/// Ends the process as a crash would: nothing is flushed, nobody is told.
[[noreturn]] void exit_by_fault() noexcept;

}  // namespace troupe::core

/// Whether the fault of that name (a literal) happens now.
#define TROUPE_FAULT(name)                                          \
  (::troupe::core::faults::armed.load(std::memory_order_relaxed) && \
   ::troupe::core::faults::fires(::troupe::core::faults::index_of(name)))
