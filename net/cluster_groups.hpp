/// Placement groups of a process in a cluster: asks the head.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/placement_groups.hpp"
#include "net/process.hpp"

namespace troupe::net {

/// Thread-safe. Message handlers are called by the endpoint's thread.
class cluster_groups final : public core::placement_groups {
 public:
  explicit cluster_groups(process& here) : here_(here) {}

  placement_group_id create(core::group_spec wanted) override;
  detail::object_ptr ready(placement_group_id id) override;
  void remove(placement_group_id id) noexcept override;
  found find(std::string_view name, std::string_view in_namespace) override;
  std::vector<placement_group_info> list() override;
  core::capacity& bundle(placement_group_id id, int index, const core::resource_set& demand,
                         std::string_view who) override;

  void on(process_id from, group_reply what);
  /// Another life of the head: it is told and asked again what it may not have heard.
  void head_renewed();
  /// This process has left the cluster: nobody answers any more.
  void abandon_all(const std::string& why);

 private:
  struct question {
    detail::object_ptr answered;  ///< without value; fails when the group is gone, if `fails`
    bool fails = false;
    ask_group asked;
    group_reply reply;
  };
  using question_ptr = std::shared_ptr<question>;
  question_ptr ask(ask_group what, bool fails);
  group_reply wait_for(const question_ptr& asked, const char* for_what);

  process& here_;
  std::mutex mutex_;
  std::uint64_t last_group_ = 0;  // guarded by mutex_, as below
  std::uint64_t last_request_ = 0;
  std::unordered_map<std::uint64_t, question_ptr> open_;
  std::string abandoned_;                          ///< why; empty: it was not
  std::map<global_id, create_group> unconfirmed_;  ///< that the head has not said it knows
  std::deque<global_id> removed_;                  ///< the last
};

inline global_id to_global(placement_group_id id) { return {id.creator, id.number}; }
inline placement_group_id to_public(global_id id) { return {id.owner, id.local}; }

}  // namespace troupe::net
