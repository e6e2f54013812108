/// Has lost values made again: those that tasks of this process made, and for others their owners.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <troupe/detail/waiting.hpp>

#include "net/lineage.hpp"
#include "net/process.hpp"
#include "net/rebuild_state.hpp"
#include "net/value_origin.hpp"

namespace troupe::net {

/// Thread-safe. Message handlers are called by the endpoint's thread.
class value_rebuilder {
 public:
  value_rebuilder(value_store& in, std::uint64_t limit) : in_(in), known_(limit) {}

  /// The result of that task, which keeps its arguments still, has come to lie there.
  void made(value_origin& value, const detail::task& by);
  /// Nobody in this process knows the value any more.
  void forget(stored_id first);

  /// Where a value lies that could not be read at `value`. Waits until its task has run again.
  /// Throws `object_lost_error` that says why it cannot, what the task throws, and as
  /// `wait_until_ready`.
  value_origin::place recover(stored_id value, const peer& keeper, const std::string& lost,
                              const detail::deadline& until);

  void on(process_id from, const rebuild_value& what) { lost(from, what.value, what.why); }
  void on(const value_rebuilt& what);
  void process_gone(process_id gone, const std::string& cause);
  /// A task that ran again for that value has ended.
  void ended(value_origin& value, const repeated_task& task);
  /// Nobody answers any more.
  void close(const std::string& why);

 private:
  /// Of this process's threads to an owner, which may be this process.
  struct question {
    detail::object_ptr answered = detail::object_ptr::adopt(new detail::value_object<void>);
    process_id owner = 0;
    value_origin::place now;
  };
  struct rerun;

  void lost(process_id who, stored_id value, const std::string& why);
  void begin(const rebuild_state::run_again& what, value_origin& value, const std::string& why);
  void answer(const rebuild_state::asked& to, const value_origin::place* now,
              const detail::failure_ptr& why);

  value_store& in_;
  std::mutex mutex_;
  rebuild_state known_;                                       // guarded by mutex_, as the next ones
  std::map<stored_id, std::weak_ptr<value_origin>> origins_;  ///< by first id
  std::map<stored_id, std::shared_ptr<question>> questions_;
};

}  // namespace troupe::net
