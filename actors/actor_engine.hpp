/// The part of the runtime that knows its actors: names, the list of the living, drain and abort.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <troupe/actor.hpp>

#include "actors/local_actor.hpp"
#include "actors/registry_state.hpp"
#include "core/parker.hpp"
#include "core/runtime.hpp"

namespace troupe::actors {

/// How the cluster placed an actor in this process.
struct actor_placement {
  std::uint64_t id = 0;  ///< that the cluster knows it by; 0: it is one of this process
  int restarts = 0;
  std::vector<std::uint32_t> gpus;  ///< of its lease
};

/// Thread-safe.
class actor_engine final : public core::component {
 public:
  explicit actor_engine(core::runtime& runtime) : runtime_(runtime) {}

  core::runtime& runtime() const noexcept { return runtime_; }
  core::stage& stage() const noexcept { return *runtime_.the_stage; }
  core::ledger& ledger() const noexcept { return *runtime_.the_ledger; }

  /// `taken` tells whether `creation` was taken over, also when this throws.
  /// `placed`: of one that the cluster placed in this process.
  detail::actor_core_ptr create(const detail::class_info& info, detail::actor_call* creation,
                                detail::options_ptr options, bool& taken,
                                actor_placement placed = {});
  /// Throws `actor_name_error` when there is none of that name and class.
  detail::actor_core_ptr find(std::string_view name, std::string_view in_namespace,
                              const detail::class_info& info);
  /// A dead actor leaves: its name is free again.
  void remove(detail::local_actor& actor) noexcept;

  std::vector<actor_summary> list();
  std::size_t live() const noexcept { return live_.load(std::memory_order_relaxed); }
  std::uint64_t next_id() noexcept { return next_id_.fetch_add(1, std::memory_order_relaxed); }

  /// Whether every accepted call has ended.
  bool idle();
  /// Whoever waits for the end of all calls; woken when an actor has none left.
  void set_drainer(core::parker* drainer) noexcept { drainer_.store(drainer); }
  void actor_is_idle() noexcept {
    if (core::parker* const drainer = drainer_.load()) drainer->unpark();
  }
  /// Ends all actors.
  void abort() noexcept;
  /// Ends the actors in a placement group.
  void end_group(placement_group_id group, const std::string& text);
  /// Names of actors that live, at most `most`.
  std::vector<std::string> names(std::size_t most);

 private:
  void enlist(detail::local_actor& actor);
  template <class Predicate>
  void end_those(Predicate&& chosen, exit_reason reason, const std::string& text);
  detail::actor_core_ptr existing(std::string_view in_namespace, std::string_view name,
                                  const detail::class_info& info);

  core::runtime& runtime_;
  std::atomic<std::uint64_t> next_id_{1};
  std::atomic<std::size_t> live_{0};
  std::atomic<core::parker*> drainer_{nullptr};

  std::mutex mutex_;
  detail::local_actor* first_ = nullptr;  // guarded by mutex_, as below
  registry_state registry_;
  std::unordered_map<std::uint64_t, detail::local_actor*> named_;
};

}  // namespace troupe::actors
